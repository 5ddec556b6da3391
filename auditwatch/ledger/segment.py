"""One file of a trail: what lies there, what was judged, and what is remembered of its bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

from auditwatch.ledger.damage import Finding, FindingState, Opened, Tally
from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.kinds import Kind
from auditwatch.trail.sketch import NO_SKETCH, Sketch


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """BLAKE3-256 of a few bytes, together with their number: short files must be comparable too.

    Attributes:
        length: Number of bytes, 0 to 4096.
        digest: 64 hex digits.
    """

    length: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What we remember of a segment's bytes, no matter by which rules its lines are judged.

    Attributes:
        position: Offset just after the last line that was ever judged; it never falls while the file is the same.
        head: Fingerprint of the first min(4096, position) bytes.
        marker: Fingerprint of the last min(4096, position) bytes before that position.
    """

    position: int = 0
    head: Fingerprint = Fingerprint()
    marker: Fingerprint = Fingerprint()


@dataclass(frozen=True, slots=True)
class Former:
    """What was recorded of a segment before its history was violated.

    Attributes:
        number: Of the segment.
        anchor: As it was.
        sketch: As it was.
        blocks: Digests of its latest bytes, as they were.
        was_closed: Whether it had been rotated away.
    """

    number: int
    anchor: Anchor
    sketch: Sketch
    blocks: tuple[BlockDigest, ...] = ()
    was_closed: bool = False


@dataclass(frozen=True, slots=True)
class TornTail:
    """The last bytes of a closed segment, without a newline, after they were judged as final.

    Attributes:
        offset: Offset of the first of them; it becomes the judged position again if the segment grows after all.
        is_listed: Whether they are a finding; if not, they are part of the unlisted damage.
    """

    offset: int
    is_listed: bool


class Findings(tuple[Finding, ...]):  # noqa: SLOT001  what is worked out is kept in its dict
    """The listed findings of a segment, with what is summed up over them: once, not at each append."""

    @cached_property
    def tallies(self) -> Mapping[Kind, Tally]:
        """Damaged lines by kind, with only the kinds that occur."""
        totals: dict[Kind, Tally] = {}
        for (kind, state, inherited), number in Counter((f.kind, f.state, f.inherited) for f in self).items():
            if state is FindingState.ACKNOWLEDGED:
                totals[kind] = totals.get(kind, Tally()) + Tally(acknowledged=number)
            elif state is FindingState.OPEN:
                totals[kind] = totals.get(kind, Tally()) + Tally(open=number, inherited=number * inherited)
        return totals


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a trail and what is known about its bytes.

    `judged <= read <= size`: bytes before `judged` are verified, bytes from there to `read` contain no newline
    (pending), and the rest was not read yet (unverified).

    Attributes:
        number: Identity within the state; given once, never reused.
        name: File name as last seen.
        device: A hint only, like `inode`: both are reused.
        size: Size in bytes as last seen.
        modified: Modification time as last seen.
        judged: Every line that ends before this position has its verdict.
        read: How far the file was read.
        lines: Newline-ended lines before `judged`.
        inherited_until: Lines that end at or before this position were there at the first look.
        counted_until: Bytes before this position do not count as appended: they are history, or were counted already.
        anchor: What identifies this file by its content; it outlives the verdicts.
        grown: When a look last showed a new size.
        unverified_since: When the oldest unverified byte was seen; None if there is none.
        closed: Whether the segment was rotated away.
        vanished: Whether the file is gone; its findings stay until they are acknowledged.
        torn_tail: The last bytes without a newline, once they were judged as final.
        findings: In order of offset, at most `Policy.max_listed`; dead ones are kept while there is room for them.
        unlisted: Counts of damaged lines for which `findings` had no room.
        unlisted_ranges: Ranges of bytes with unlisted lines, in order; each damaged line in them is listed or counted.
        unlisted_opened: Which steps opened the unlisted lines, oldest first; those that are in none of them are older.
        unlisted_noted: How many of the acknowledged unlisted lines of each kind are inherited.
        born_ns: Hint only: when its file was born; 0 if that is not known.
        sketch: Sampled lines before the anchor's position: they tell a copy from a new file.
        missing_since: When a look first found no file of it; None while it is there, and once it counts as vanished.
        missing_at_rotation: How many rotations there had been when it was last there for certain.
        packed: Bytes of its file if that is compressed, else 0; every other place and size is in its content then.
        directory: Path of the directory that it is in; empty for the trail's own.
        is_cut: Whether it is compressed and cannot be read to its end: `size` is then what it gives.
        sealed: Digests of the bytes that were judged, without the last block; they outlive the verdicts, too.
        open_block: Digest of the last block, up to the last byte that was judged; None if there is none.
        archive: Digests of the pieces of its file if that is compressed, once it was hashed.
        proved: When the bytes that were not hashed again for the longest time were, as last stored; 0 = never.
        is_later: Whether it was found before the file that was the active one until then was found again.
        is_found: Whether it was closed when it was first seen: its place among the others is by its name or time.
    """

    number: int
    name: str
    device: int
    inode: int
    size: int
    modified: float
    judged: int = 0
    read: int = 0
    lines: int = 0
    inherited_until: int = 0
    counted_until: int = 0
    anchor: Anchor = Anchor()
    grown: float = 0.0
    unverified_since: float | None = None
    closed: bool = False
    vanished: bool = False
    torn_tail: TornTail | None = None
    findings: tuple[Finding, ...] = ()
    unlisted: Mapping[Kind, Tally] = field(default_factory=dict)
    unlisted_ranges: tuple[tuple[int, int], ...] = ()
    packed: int = 0
    born_ns: int = 0
    sketch: Sketch = NO_SKETCH
    missing_since: float | None = None
    missing_at_rotation: int = 0
    unlisted_opened: tuple[Opened, ...] = ()
    unlisted_noted: Mapping[Kind, int] = field(default_factory=dict)
    is_cut: bool = False
    directory: str = ""
    sealed: tuple[BlockDigest, ...] = ()
    open_block: BlockDigest | None = None
    archive: tuple[BlockDigest, ...] = ()
    proved: float = 0.0
    is_later: bool = False
    is_found: bool = False

    def __post_init__(self) -> None:
        """Whatever the findings come in, what is summed up over them is kept with them."""
        if not isinstance(self.findings, Findings):
            object.__setattr__(self, "findings", Findings(self.findings))

    def unjudged(self) -> Segment:
        """The segment, to be judged again from its start; its findings stay until the new verdicts are known."""
        return replace(
            self,
            judged=0,
            read=0,
            lines=0,
            torn_tail=None,
            unlisted={},
            unlisted_ranges=(),
            unlisted_opened=(),
            unlisted_noted={},
        )

    @property
    def is_history(self) -> bool:
        """Whether all of it was there at the first look; such a one may have been found late, whatever its number."""
        return 0 < self.size <= self.inherited_until

    @property
    def pending(self) -> int:
        """Bytes that were read and still lack their newline."""
        return self.read - self.judged

    @property
    def unverified(self) -> int:
        """Bytes that were seen but not read yet."""
        return self.size - self.read

    @property
    def is_catching_up(self) -> bool:
        """Whether history is still being read, for the first time or again."""
        return self.read < self.counted_until and self.read < self.size


def tallied(segment: Segment) -> dict[Kind, Tally]:
    """Damaged lines of one segment by kind, with only the kinds that occur."""
    totals = dict(segment.unlisted)
    for kind, tally in cast("Findings", segment.findings).tallies.items():
        totals[kind] = totals.get(kind, Tally()) + tally
    return totals
