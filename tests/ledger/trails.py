"""A trail without files: bytes in memory, looked at and read as an agent would: thousands of histories fit a test."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from blake3 import blake3

from auditwatch.ledger.advance import advance
from auditwatch.ledger.blocks import blocks_of, hashed_until
from auditwatch.ledger.damage import Finding
from auditwatch.ledger.effects import Commit, Effect, HashAgain, LookAgain, Read
from auditwatch.ledger.events import FileSight, Judged, Observed, Rehash, Rehashed, Ticked
from auditwatch.ledger.identity import (
    FINGERPRINT_BYTES,
    Expectation,
    expectations,
    expected_at_path,
    expected_neighbours,
)
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.ledger.state import Policy, TrailState, begin, resume
from auditwatch.trail.grid import BlockDigest, BlockHasher
from auditwatch.trail.names import is_unfinished
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from auditwatch.trail.sketch import Sketch, extended, overlap
from auditwatch.trail.verdict import Trouble

RULES = Rules(max_line_bytes=200)
NAME = "audit.jsonl"
POLICY = Policy(RULES.rules_id, pending_grace_seconds=30.0, read_bytes=64, file_name=NAME)


@dataclass(slots=True)
class File:
    """One file: its bytes and its inode.

    Attributes:
        is_cut: Whether it is compressed and cut off: its bytes are what can be read of it.
        since: When it became what it is.
        begins: The files that began with all of its content then.
    """

    inode: int
    data: bytearray = field(default_factory=bytearray)
    is_packed: bool = False
    is_cut: bool = False
    since: float = 0.0
    begins: tuple[tuple[int, int], ...] = ()


class Trail:
    """A directory with one trail, and an agent's view of it."""

    def __init__(self, data: bytes | None = b"", policy: Policy = POLICY) -> None:
        self.now = 1000.0
        self.files: dict[str, File] = {}
        self._inodes = 0
        self._born: dict[int, float] = {}
        self.state: TrailState = begin("risk", policy)
        self.stored: dict[tuple[int, int, str], Finding] = {}
        self.trouble: Trouble | None = None
        self.device = 1
        self.is_away = False
        self.is_unpacking = False
        self.held: File | None = None
        self.renamed_while_looked_at: str | None = None
        if data is not None:
            self.create(data)

    def create(self, data: bytes = b"", name: str = NAME, inode: int = 0) -> None:
        """A new file, with a new inode if none is given."""
        self.files[name] = self._file(data, inode=inode)

    def _file(self, data: bytes, inode: int = 0) -> File:
        self._inodes += 1
        number = inode or self._inodes
        self._born.setdefault(number, self.now)
        return File(number, bytearray(data))

    def append(self, data: bytes) -> None:
        """What a producer writes to the active file."""
        self.files[NAME].data += data

    def rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)

    def compress(self, name: str) -> None:
        """What gzip does: another file with the same content, and the old one is gone."""
        self.pack(bytes(self.files.pop(name).data), f"{name}.gz")

    def pack(self, data: bytes, name: str, *, is_cut: bool = False) -> None:
        """A new compressed file with this content, or with what can be read of it."""
        file = replace(self._file(data), is_packed=True, is_cut=is_cut, since=self.now)
        file.begins = tuple((self.device, other.inode) for other in self.files.values() if _begins(other, file))
        self.files[name] = file

    def reuse(self, name: str, inode: int) -> None:
        """A file with the inode of one that is gone."""
        self.files[name].inode = inode
        self._born[inode] = self.now

    def look(self, neighbours: bool = True) -> None:
        """One poll of the agent: look, look again where asked to, read everything."""
        self.now += 1
        effects = self._observe(neighbours)
        for _ in range(1000):
            requests = [effect for effect in effects if not isinstance(effect, Commit) and self._can(effect)]
            if not requests:
                return
            first, later = requests[0], tuple(need for need in requests if isinstance(need, LookAgain))
            effects = (*self.read(first), *later) if isinstance(first, Read) else self._observe(neighbours=True)
        raise AssertionError("a look that never ends")

    def glance(self) -> tuple[Effect, ...]:
        """One look, with nothing read."""
        return self._observe(neighbours=True)

    def restart(self, policy: Policy | None = None) -> None:
        """The agent ends and begins again with what it stored."""
        self.held = None
        self.state = resume(self.state, policy or self.state.policy)

    def wait(self, seconds: float) -> None:
        """Time passes and nothing happens; unended tails of closed segments come due."""
        self.now += seconds
        for effect in self.step(Ticked(self.now)):
            assert isinstance(effect, Read)
            if self.is_there(effect):
                self.read(effect)

    def _can(self, effect: Effect) -> bool:
        return not isinstance(effect, Read) or self.is_there(effect)

    def is_there(self, read: Read) -> bool:
        """Whether the file that was looked at still exists; else the agent could not read it, and looks again."""
        segment = self.state.segment(read.segment)
        there = [*self.files.values(), *([self.held] if self.held else [])]
        return any(segment and file.inode == segment.inode for file in there)

    def step(self, event) -> tuple[Effect, ...]:
        """Advance by an event; a commit stores what it names."""
        self.state, effects = advance(self.state, event)
        for effect in effects:
            if isinstance(effect, Commit):
                self.stored |= {(number, f.offset, f.sha256): f for number, f in effect.findings}
                for number, f in effect.dropped:
                    del self.stored[number, f.offset, f.sha256]
        return effects

    def read(self, read: Read) -> tuple[Effect, ...]:
        """Perform a read."""
        return self.step(self.judged(read))

    def judged(self, read: Read) -> Judged:
        """The answer to a read, as of now."""
        segment = next(s for s in self.state.segments if s.number == read.segment)
        there = [*self.files.values(), *([self.held] if self.held else [])]
        data = bytes(next(file.data for file in there if file.inode == segment.inode))
        scan = Scan(RULES)
        scan.feed(data[read.start : read.end])
        report = scan.finish(read.final)
        judged = read.start + report.bytes
        length = min(FINGERPRINT_BYTES, judged)
        return Judged(
            at=self.now,
            segment=read.segment,
            start=read.start,
            read=judged + report.pending_bytes,
            rules_id=RULES.rules_id,
            report=report,
            head=printed(data[:length]),
            marker=printed(data[judged - length : judged]),
            sketch=self._sketch(segment, data, judged),
            size=None if segment.packed else len(data),
            digests=_digests(segment, read.start, data[:judged]),
        )

    def _sketch(self, segment: Segment, data: bytes, judged: int) -> Sketch | None:
        known = segment.anchor.position
        return extended(segment.sketch, _reader(data), known, judged) if judged > known else None

    def rehash(self, number: int = 1) -> tuple[Effect, ...]:
        """One turn of re-verification over a segment, with the second look where it is asked for."""
        segment = self.state.segment(number)
        assert segment is not None
        data = bytes(next(file.data for file in self.files.values() if file.inode == segment.inode))
        blocks = [
            Rehash(block, blake3(data[block.start : block.end]).hexdigest(), self.now) for block in blocks_of(segment)
        ]
        effects = self.step(Rehashed(self.now, number, tuple(blocks)))
        again = [effect for effect in effects if isinstance(effect, HashAgain)]
        if not again:
            return effects
        self.now += 0.2
        return self.step(Rehashed(self.now, number, tuple(b for b in blocks if b.block.start in again[0].starts)))

    def _observe(self, neighbours: bool) -> tuple[Effect, ...]:
        expected = expected_at_path(self.state)
        active = None if self.trouble or self.is_away else self._sight(NAME, expected)
        if self.renamed_while_looked_at:
            self.rename(NAME, self.renamed_while_looked_at)
            self.renamed_while_looked_at = None
        others = sorted(name for name in self.files if name != NAME and not is_unfinished(name) and not self.is_away)
        sights = tuple(sight for name in others if (sight := self._sight(name, expected)))
        former = self._former(expected)
        if active and former and former.name and self.held and NAME in self.files:
            judged = self.held.data[: expected.marker_offset + expected.marker_length]
            active = replace(active, repeats_all=bool(judged) and self.files[NAME].data.startswith(judged))
        return self.step(
            Observed(
                self.now,
                active,
                self.trouble,
                sights if neighbours else None,
                former,
                directory=0 if self.is_away else self.device,
                is_unpacking=self.is_unpacking,
            )
        )

    def _presumed(self, name: str, file: File) -> dict[int, tuple[Fingerprint, Fingerprint]]:
        known = expected_neighbours(self.state)
        if any((s.device, s.inode) == (self.device, file.inode) for s, _ in known):
            return {}
        alike = [(s.number, e) for s, e in known if s.name == name or s.size == len(file.data)]
        return {number: _prints(file, one) for number, one in alike}

    def _former(self, expected: Expectation) -> FileSight | None:
        """The agent holds the file that the ledger knows."""
        at_path = None if self.is_away else self.files.get(NAME)
        if self.held is None or self.held.inode != expected.inode:
            self.held = at_path if at_path and expected.inode in (0, at_path.inode) else None
        if self.held is None or self.held is at_path:
            return None
        name = next((name for name, file in self.files.items() if file is self.held), "")
        return replace(self._sight_of(self.held, NAME, expected), name=name)

    def _sight(self, name: str, expected: Expectation) -> FileSight | None:
        file = self.files.get(name)
        return self._sight_of(file, name, expected) if file else None

    def _archive_of(self, file: File) -> tuple[int, int, int, int]:
        """What tells the agent that it unpacked this file before."""
        return self.device, file.inode, self._birth(file), len(file.data) // 2 + 1

    def _birth(self, file: File) -> int:
        return int(self._born.get(file.inode, 0.0) * 1e9) + file.inode

    def _sight_of(self, file: File, name: str, expected: Expectation) -> FileSight:
        if file.is_packed:
            known = any((s.device, s.inode, s.born_ns, s.packed) == self._archive_of(file) for s in self.state.closed)
            prints = {} if known else {n: _prints(file, one) for n, one in expectations(self.state).items()}
            return FileSight(
                name,
                self.device,
                file.inode,
                len(file.data),
                self.now,
                packed=self._archive_of(file)[-1],
                born_ns=self._birth(file),
                prints=prints,
                is_cut=file.is_cut,
                since=file.since,
                begins=file.begins,
                distinct=len(set(bytes(file.data).split(b"\n")[:-1])),
            )
        is_other = name == NAME and expected.sketch.lines and expected.inode != file.inode
        data, end = bytes(file.data), expected.marker_offset + expected.marker_length
        return FileSight(
            name=name,
            device=self.device,
            inode=file.inode,
            size=len(data),
            modified=self.now,
            born_ns=self._birth(file),
            head=printed(data[: expected.head_length]) if len(data) >= expected.head_length else None,
            marker=printed(data[expected.marker_offset : end]) if len(data) >= end else None,
            prints=self._presumed(name, file),
            overlap=overlap(expected.sketch, _reader(data), len(data)) if is_other else None,
        )


def _digests(segment: Segment, begun: int, data: bytes) -> tuple[BlockDigest, ...]:
    """Of the blocks that end with this data, of which the part from `begun` on was judged now."""
    if begun > hashed_until(segment):
        return ()
    start = segment.open_block.start if segment.open_block else hashed_until(segment)
    hasher = BlockHasher(start)
    hasher.feed(data[start:])
    return hasher.taken()


def _begins(other: File, packed: File) -> bool:
    return not other.is_packed and len(packed.data) > 0 and other.data.startswith(packed.data)


def _prints(file: File, expected: Expectation) -> tuple[Fingerprint, Fingerprint]:
    end = expected.marker_offset + expected.marker_length
    spans = (0, expected.head_length), (expected.marker_offset, end)
    head, marker = (printed(bytes(file.data[a:b])) if b <= len(file.data) else Fingerprint(b - a) for a, b in spans)
    return head, marker


def _reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


def printed(data: bytes) -> Fingerprint:
    """A fingerprint; which hash it is does not matter here."""
    return Fingerprint(len(data), hashlib.sha256(data).hexdigest())


def open_places(state: TrailState) -> list[tuple[str, int, str]]:
    """Segment name, offset and kind of each open finding."""
    return [(s.name, f.offset, f.kind.value) for s in state.segments for f in s.findings if f.state == "open"]


def verdicts(data: bytes, *, final: bool = False) -> Sequence[tuple[int, str]]:
    """Offset and kind of each damaged line: what one scan of the whole file says."""
    scan = Scan(RULES)
    scan.feed(data)
    return [(defect.offset, defect.kind.value) for defect in scan.finish(final).defects]
