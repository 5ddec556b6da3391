"""`state.step`: how far the store has come, beside it, so that a store that fell behind does not pass for the newest.

The file is a row of pages. The first two hold the *head*: which store this is, its last transaction, and the last one
that is durable. Each trail has two records of a quarter of a page, in two further pages: what was known of it. Of each
pair one is written at a time, the older one, so that a torn write leaves the other. A head fits into one sector.

All pages are there from the beginning, filled with zeros: writing a step needs no room on the disk. A record of a trail
is written after the transaction that first stored the trail is durable; a trail that has a record and is not in the
store was lost.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from auditwatch.host.durable import replace_file
from auditwatch.ledger.state import TrailState
from auditwatch.state.lock import give_to_owner_of
from auditwatch.state.rows import DamagedRow, checksum, decoded, encoded
from auditwatch.state.store_file import identity

_PAGE_BYTES: Final = 4096
_RECORD_BYTES: Final = 1024
_SHARED: Final = _PAGE_BYTES // _RECORD_BYTES
_MOST_BYTES: Final = 1 << 28
_CHECKSUM_BYTES: Final = 16
_LENGTH_BYTES: Final = 2

_LISTED_IDS: Final = 24
"""Ids of violations that a record names; further ones are part of their number."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Head:
    """How far a store has come.

    Attributes:
        serial: Counts the writes of the head.
        boot: During which boot this was written; empty if that is not known.
        store: Id of the store.
        committed: Its last transaction.
        durable: The last one that survives a power cut.
    """

    serial: int
    boot: str
    store: str
    committed: int
    durable: int

    def reached(self, boot: str) -> int:
        """The transaction that the store must have reached: a kill loses nothing, a new boot what is not durable.

        >>> head = Head(1, "a", "s", committed=7, durable=5)
        >>> head.reached("a"), head.reached("b"), head.reached("")
        (7, 5, 5)
        """
        return self.committed if boot and boot == self.boot else self.durable


@dataclass(frozen=True, slots=True)
class TrailMark:
    """What was known of a trail, in a few numbers.

    Attributes:
        trail: The trail, as `trail_digest` has it.
        step: Transaction that this was part of.
        judged: Highest judged position of its active segment.
        open: Open findings, by kind.
        violations: Ids of open violations, the newest `_LISTED_IDS`.
        violations_open: How many there are.
    """

    trail: str
    step: int = 0
    judged: int = 0
    open: Mapping[str, int] = field(default_factory=dict)
    violations: tuple[str, ...] = ()
    violations_open: int = 0


@dataclass(frozen=True, slots=True)
class Steps:
    """What `state.step` says.

    Attributes:
        head: None if neither copy of it is intact.
        trails: By digest.
    """

    head: Head | None
    trails: Mapping[str, TrailMark]


def trail_digest(key: str) -> str:
    """How `state.step` names a trail: keys hold whole paths, and a record has a fixed size."""
    return hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def trail_mark(key: str, state: TrailState, step: int) -> TrailMark:
    """What is known of a trail, in a few numbers."""
    found = {kind.value: tally.open for kind, tally in state.tallies().items() if tally.open}
    ids = tuple(row.id for row in state.open_violations)
    judged = state.active.judged if state.active else 0
    return TrailMark(trail_digest(key), step, judged, found, ids[-_LISTED_IDS:], len(ids))


def steps_of(path: Path) -> Steps | None:
    """What the file says; None if there is none.

    Raises:
        OSError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    heads = (_unpacked(Head, data, offset) for offset in _head_offsets())
    head = max((head for head in heads if head), key=lambda head: head.serial, default=None)
    return Steps(head, {mark.trail: mark for mark, _ in _marks(data)})


def _marks(data: bytes) -> Iterator[tuple[TrailMark, int]]:
    """The newer record of each trail, with its place."""
    for place in range((len(data) // _PAGE_BYTES - 2) // 2 * _SHARED):
        pair = (_unpacked(TrailMark, data, offset) for offset in _record_offsets(place))
        newest = max((mark for mark in pair if mark), key=lambda mark: mark.step, default=None)
        if newest:
            yield newest, place


class StepFile:
    """The file, open for writing. Not thread-safe.

    Attributes:
        head: As last written.
        marks: As last written, by the digest of their trail.
    """

    def __init__(self, path: Path, head: Head, marks: Iterable[TrailMark]) -> None:
        self._path = path
        self.head = head
        self.marks = {mark.trail: mark for mark in marks}
        self._places = {trail: place for place, trail in enumerate(self.marks)}
        self._turns: dict[str, int] = {}
        self._pages = 2 + 2 * (len(self._places) // _SHARED + 1)
        self._descriptor = self._created()
        status = os.fstat(self._descriptor)
        self._file = status.st_dev, status.st_ino

    def _created(self) -> int:
        """A new file takes the place of the old one, durably; every slot of it holds the same as its twin."""
        data = bytearray(self._pages * _PAGE_BYTES)
        for offset in _head_offsets():
            _put(data, offset, self.head)
        for trail, place in self._places.items():
            for offset in _record_offsets(place):
                _put(data, offset, self.marks[trail])
        directory = os.fspath(self._path.parent)
        replace_file(os.fspath(self._path), bytes(data), prepare=lambda file: give_to_owner_of(directory, file))
        return os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is written is still the one at its path."""
        return identity(self._path) == self._file

    def write(self, committed: int, durable: int, marks: Iterable[TrailMark] = ()) -> None:
        """Say how far the store has come, and some of its trails; nothing is durable before `sync`.

        Raises:
            OSError: It cannot be written; what it says then is no more than is true.
        """
        for mark in marks:
            self._write_mark(mark)
        head = Head(self.head.serial + 1, self.head.boot, self.head.store, committed, durable)
        os.pwrite(self._descriptor, _packed(head), _head_offsets()[head.serial % 2])
        self.head = head

    def _write_mark(self, mark: TrailMark) -> None:
        place, packed = self._places.get(mark.trail), _packed(mark)
        turn = self._turns.get(mark.trail, 0)
        if place is None:
            place = self._new_place()
            os.pwrite(self._descriptor, packed, _record_offsets(place)[1 - turn])
        os.pwrite(self._descriptor, packed, _record_offsets(place)[turn])
        self._turns[mark.trail] = 1 - turn
        self._places[mark.trail] = place
        self.marks[mark.trail] = mark

    def _new_place(self) -> int:
        place = len(self._places)
        if 2 + 2 * (place // _SHARED) >= self._pages:
            os.pwrite(self._descriptor, bytes(2 * _PAGE_BYTES), self._pages * _PAGE_BYTES)
            self._pages += 2
        return place

    def sync(self) -> None:
        """Make what was written durable.

        Raises:
            OSError: It is not known whether it is.
        """
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file; it cannot be used after that."""
        os.close(self._descriptor)


def _head_offsets() -> tuple[int, int]:
    return 0, _PAGE_BYTES


def _record_offsets(place: int) -> tuple[int, int]:
    """Where the two records of a trail are: at the same place in two pages."""
    page, slot = divmod(place, _SHARED)
    first = (2 + 2 * page) * _PAGE_BYTES + slot * _RECORD_BYTES
    return first, first + _PAGE_BYTES


def _packed(value: Head | TrailMark) -> bytes:
    body = encoded(value)
    return checksum(type(value).__name__, body) + len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _put(data: bytearray, offset: int, value: Head | TrailMark) -> None:
    packed = _packed(value)
    data[offset : offset + len(packed)] = packed


def _unpacked(kind: type[_T], data: bytes, offset: int) -> _T | None:
    """What was written there; None if it is not intact."""
    start = offset + _CHECKSUM_BYTES + _LENGTH_BYTES
    length = int.from_bytes(data[start - _LENGTH_BYTES : start], "big")
    try:
        return decoded(kind, kind.__name__, data[start : start + length], data[offset : offset + _CHECKSUM_BYTES])
    except DamagedRow:
        return None
