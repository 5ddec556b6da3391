"""What is shown and asked of segments taken together; of the closed ones it is worked out once, not at each append."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.segment import Segment, tallied
from auditwatch.trail.kinds import Kind


@dataclass(frozen=True, slots=True)
class Sums:
    """Of the segments whose files exist.

    Attributes:
        segments: How many there are.
        size: In bytes, like the others.
        judged: Bytes with a verdict.
        read: Bytes that were read.
        pending: Bytes that were read and lack their newline.
        lines: Newline-ended lines that were judged.
        pending_since: When the oldest pending byte came, as far as anyone may still end its line.
        unverified_since: When the oldest byte that was not read was seen.
        is_catching_up: Whether history is still being read.
    """

    segments: int = 0
    size: int = 0
    judged: int = 0
    read: int = 0
    pending: int = 0
    lines: int = 0
    pending_since: float | None = None
    unverified_since: float | None = None
    is_catching_up: bool = False

    @property
    def unverified(self) -> int:
        """Bytes that were seen but not read yet."""
        return self.size - self.read

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.segments + other.segments,
            self.size + other.size,
            self.judged + other.judged,
            self.read + other.read,
            self.pending + other.pending,
            self.lines + other.lines,
            _earliest(self.pending_since, other.pending_since),
            _earliest(self.unverified_since, other.unverified_since),
            self.is_catching_up or other.is_catching_up,
        )


class Closed(tuple[Segment, ...]):  # noqa: SLOT001  what is worked out is kept in its dict
    """The closed segments of a trail, oldest first; vanished ones, which may have findings, too."""

    @cached_property
    def files(self) -> tuple[Segment, ...]:
        """Those whose files exist."""
        return tuple(segment for segment in self if not segment.vanished)

    @cached_property
    def missing(self) -> tuple[Segment, ...]:
        """Those that were not found at the last look at them, and do not count as gone yet."""
        return tuple(segment for segment in self if segment.missing_since is not None)

    @cached_property
    def unread(self) -> tuple[Segment, ...]:
        """Those with bytes that were not read."""
        return tuple(segment for segment in self.files if segment.read != segment.size)

    @cached_property
    def unended(self) -> tuple[Segment, ...]:
        """Those that were read to their end, where a last line lacks its newline and has no verdict.

        Where a compressed segment is cut off, its last bytes are not torn: what follows them is unread.
        """
        return tuple(s for s in self.files if s.judged != s.size == s.read and not s.is_cut)

    @cached_property
    def sums(self) -> Sums:
        """Over those whose files exist."""
        return sum(map(sums_of, self.files), Sums())

    @cached_property
    def tallies(self) -> Mapping[Kind, Tally]:
        """Damaged lines by kind, with only the kinds that occur."""
        totals: dict[Kind, Tally] = {}
        add_tallies(totals, self)
        return totals


def sums_of(segment: Segment) -> Sums:
    """Of one segment whose file exists."""
    unverified = segment.size != segment.read
    seen = segment.grown if segment.unverified_since is None else segment.unverified_since
    return Sums(
        1,
        segment.size,
        segment.judged,
        segment.read,
        segment.pending,
        segment.lines,
        segment.grown if segment.pending and not segment.is_cut else None,
        seen if unverified else None,
        segment.is_catching_up,
    )


def add_tallies(totals: dict[Kind, Tally], segments: Iterable[Segment]) -> None:
    """Add the damaged lines of these segments to totals by kind."""
    for segment in segments:
        for kind, tally in tallied(segment).items():
            totals[kind] = totals.get(kind, Tally()) + tally


def _earliest(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
