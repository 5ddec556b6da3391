"""The counters file of a trail, `.NAME.counters`, byte for byte: what the trail's writers counted.

Little endian, 64 blocks of 256 bytes. Block 0 is the header, blocks 1 to 63 are slots 0 to 62. Each slot belongs
to one process, except slot 0, which belongs to none and holds the counts of processes that have ended. The reader
and the writers of the file share this codec; they open, lock and write the file themselves.

    header  "AUDITW01", u32 version, u32 slot size, 16-byte random id, u64 poisoned device, u64 poisoned inode
    slot    24 x u64: generation, begun, stored, bytes, 10 x failed, 8 x lock waits, last failure, generation

A slot whose two generations differ was read while it was being written; read it again a moment later. If the first
generation is odd, the slot is being folded into slot 0, or was when the process that folded it died. The odd number is
one less than the generation that slot 0 gets together with the slot's counts. It tells whether slot 0 already has them,
so they are counted exactly once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import reduce
from typing import Final, NamedTuple

REASONS: Final = (
    "disk_full",
    "quota",
    "io_error",
    "read_only",
    "permission",
    "lock_timeout",
    "unserialisable",
    "too_long",
    "poisoned",
    "logged",
    "other",
)
"""Why a write can fail: the closed list that metrics use. `logged` comes from log files, not from a writer."""

FAILURES: Final = tuple(reason for reason in REASONS if reason != "logged")
"""The reasons that a slot counts, in the slot's order."""

WAIT_BOUNDS_SECONDS: Final = (0.0001, 0.001, 0.01, 0.1, 1.0, 5.0)
"""Upper bounds of the first six lock wait buckets; after them come `more` and `timed out`."""

WAIT_BUCKETS: Final = len(WAIT_BOUNDS_SECONDS) + 2
TIMED_OUT: Final = WAIT_BUCKETS - 1

MAGIC: Final = b"AUDITW01"
VERSION: Final = 1
SLOT_BYTES: Final = 256
SLOTS: Final = 63
FILE_BYTES: Final = SLOT_BYTES * (1 + SLOTS)
_UNUSED: Final = bytes(SLOT_BYTES)

_HEADER: Final = struct.Struct("<8sII16sQQ")
_SLOT: Final = struct.Struct(f"<{4 + len(FAILURES) + WAIT_BUCKETS + 2}Q")


class Header(NamedTuple):
    """The start of a counters file.

    Attributes:
        id: 16 random bytes; if they differ from last time, the counters began anew.
        poisoned_device: Device of the file that must no longer be written; 0 for none.
        poisoned_inode: Inode of that file; 0 for none.
    """

    id: bytes
    poisoned_device: int = 0
    poisoned_inode: int = 0


class Slot(NamedTuple):
    """What one process counted; `Slot()` has counted nothing.

    Attributes:
        generation: An even number, increased with every change.
        begun: Appends that were begun.
        stored: Records that were acknowledged.
        bytes: Bytes of these records, newlines included.
        failed: Appends that failed, by reason, in the order of `FAILURES`.
        lock_waits: Appends by how long they waited for the locks: as in `WAIT_BOUNDS_SECONDS`, more, timed out.
        last_failure_ns: When the last append failed, in nanoseconds since 1970; 0 for never.
    """

    generation: int = 0
    begun: int = 0
    stored: int = 0
    bytes: int = 0
    failed: tuple[int, ...] = (0,) * len(FAILURES)
    lock_waits: tuple[int, ...] = (0,) * WAIT_BUCKETS
    last_failure_ns: int = 0

    def plus(self, other: Slot) -> Slot:
        """The sum of both, as if one process had counted; with the generation of this slot."""
        return Slot(
            generation=self.generation,
            begun=self.begun + other.begun,
            stored=self.stored + other.stored,
            bytes=self.bytes + other.bytes,
            failed=_added(self.failed, other.failed),
            lock_waits=_added(self.lock_waits, other.lock_waits),
            last_failure_ns=max(self.last_failure_ns, other.last_failure_ns),
        )


class Counters(NamedTuple):
    """A whole counters file.

    Attributes:
        header: The first block.
        slots: The readable slots by number, without those that were never used.
        unsettled: How many slots were just being written and are missing from `slots`.
    """

    header: Header
    slots: dict[int, Slot]
    unsettled: int

    @property
    def total(self) -> Slot:
        """What all writers together counted."""
        return fold(self.slots.values())


def counters_name(trail_name: str) -> str:
    """The name of the file beside a trail in which its writers count.

    >>> counters_name("audit_trail.jsonl")
    '.audit_trail.jsonl.counters'
    """
    return f".{trail_name}.counters"


def slot_offset(number: int) -> int:
    """The offset in the file at which a slot begins.

    >>> slot_offset(0), slot_offset(62)
    (256, 16128)
    """
    return SLOT_BYTES * (1 + number)


def encode_header(header: Header) -> bytes:
    """One block of 256 bytes."""
    fields = (VERSION, SLOT_BYTES, header.id, header.poisoned_device, header.poisoned_inode)
    return _HEADER.pack(MAGIC, *fields).ljust(SLOT_BYTES, b"\0")


def decode_header(block: bytes) -> Header | None:
    """The header, or None if the bytes are not a counters file of this version.

    >>> decode_header(encode_header(Header(b"i" * 16, 8, 9)))
    Header(id=b'iiiiiiiiiiiiiiii', poisoned_device=8, poisoned_inode=9)
    >>> decode_header(bytes(256)) is None
    True
    """
    if len(block) < _HEADER.size:
        return None
    magic, version, slot_size, identity, device, inode = _HEADER.unpack_from(block)
    if (magic, version, slot_size) != (MAGIC, VERSION, SLOT_BYTES):
        return None
    return Header(identity, device, inode)


def encode_slot(slot: Slot) -> bytes:
    """One block of 256 bytes."""
    numbers = (slot.begun, slot.stored, slot.bytes, *slot.failed, *slot.lock_waits, slot.last_failure_ns)
    return _SLOT.pack(slot.generation, *numbers, slot.generation).ljust(SLOT_BYTES, b"\0")


def decode_slot(block: bytes) -> Slot | None:
    """The slot, or None if it was read while it was being written or folded.

    >>> decode_slot(encode_slot(Slot(generation=2, stored=7))).stored
    7
    >>> decode_slot(encode_slot(Slot(generation=3))) is None
    True
    """
    slot = decode_unsettled_slot(block)
    return slot if slot is not None and _generations(block) == (slot.generation, slot.generation) else None


def decode_unsettled_slot(block: bytes) -> Slot | None:
    """The slot as it was before a process began to fold it, or None if even that is unclear.

    The generation is the second of the two in the slot: folding leaves it alone, so it belongs to the counts.
    """
    if len(block) < _SLOT.size:
        return None
    first, *numbers, last = _SLOT.unpack_from(block)
    if last % 2 or (first != last and not first % 2):
        return None
    begun, stored, size, *rest = numbers
    failed, waits = tuple(rest[: len(FAILURES)]), tuple(rest[len(FAILURES) : -1])
    return Slot(last, begun, stored, size, failed, waits, rest[-1])


def folding_mark(block: bytes) -> int | None:
    """The odd generation that marks a slot as being folded, or None if it is not."""
    first, _ = _generations(block)
    return first if first % 2 else None


def decode(data: bytes) -> Counters | None:
    """The whole file, or None if the bytes are not a counters file of this version.

    A file that was cut short gives the slots that are still there.

    >>> decode(encode_header(Header(b"i" * 16)) + encode_slot(Slot(stored=3))).total.stored
    3
    """
    header = decode_header(data[:SLOT_BYTES])
    if header is None:
        return None
    blocks = (data[at : at + SLOT_BYTES] for at in range(SLOT_BYTES, FILE_BYTES, SLOT_BYTES))
    used = {n: block for n, block in enumerate(blocks) if len(block) == SLOT_BYTES and block != _UNUSED}
    base = decode_slot(used.get(0, _UNUSED))
    found = {number: _beside(block, base) for number, block in used.items()}
    slots = {number: slot for number, slot in found.items() if slot is not None}
    return Counters(header, slots, len(found) - len(slots))


def fold(slots: Iterable[Slot]) -> Slot:
    """All slots added up.

    >>> fold([Slot(stored=1, last_failure_ns=5), Slot(stored=2)]).stored
    3
    """
    return reduce(Slot.plus, slots, Slot())


def wait_bucket(seconds: float) -> int:
    """The bucket for a wait that ended with the lock being taken.

    >>> wait_bucket(0.0001), wait_bucket(0.5), wait_bucket(60.0)
    (0, 4, 6)
    """
    below = (number for number, bound in enumerate(WAIT_BOUNDS_SECONDS) if seconds <= bound)
    return next(below, len(WAIT_BOUNDS_SECONDS))


def _beside(block: bytes, base: Slot | None) -> Slot | None:
    """The counts of a slot that slot 0, the base, does not have yet; None if that is unclear at the moment."""
    mark = folding_mark(block)
    if mark is None:
        return decode_slot(block)
    slot = decode_unsettled_slot(block)
    if slot is None or base is None:
        return None
    return slot if mark > base.generation else Slot(generation=slot.generation)


def _added(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def _generations(block: bytes) -> tuple[int, int]:
    numbers = _SLOT.unpack_from(block)
    return numbers[0], numbers[-1]
