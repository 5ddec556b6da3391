"""What a scan found in a range of bytes, and how the reports of adjacent ranges are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from auditwatch.trail.kinds import Kind

MAX_DEFECTS: Final = 10_000
"""Most defects that a report lists individually; further ones are only counted."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One damaged line and where it is.

    Attributes:
        line: 1-based number of the line, counted from the start of the reported range.
        offset: First byte, counted from the start of the reported range.
        length: Bytes before the newline, a carriage return included.
        kind: What is wrong with it.
        sha256: 64 hex digits over those bytes; line hashes stay out of logs and the page.
        records_inside: Number of whole objects that the line still contains.
    """

    line: int
    offset: int
    length: int
    kind: Kind
    sha256: str
    records_inside: int

    def shifted(self, lines: int, offset: int) -> Defect:
        """The same defect, counted from a start that is this many lines and bytes earlier."""
        line, offset = self.line + lines, self.offset + offset
        return Defect(
            line, offset, self.length, self.kind, self.sha256, self.records_inside
        )  # `replace` takes twice as long


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on the lines of one range of bytes. Reports of adjacent ranges add up; `Report()` is neutral.

    Attributes:
        bytes: Judged bytes: up to and including the last newline, plus the torn tail if the end was final.
        lines: Newline-ended lines.
        records: Whole lines, tolerated ones included.
        by_kind: How many lines there are of each kind that occurred. Tolerated lines are not counted.
        defects: The damaged lines in order, at most `MAX_DEFECTS`.
        torn_tail: 1 if bytes after the last newline were judged because the end was final, else 0.
        pending_bytes: Bytes after the last newline that were not judged.
    """

    bytes: int = 0
    lines: int = 0
    records: int = 0
    by_kind: Mapping[Kind, int] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()
    torn_tail: int = 0
    pending_bytes: int = 0

    @property
    def corrupt_lines(self) -> int:
        """Damaged lines, hygiene included; `lines == records + corrupt_lines - torn_tail`."""
        return sum(self.by_kind.values())

    def __add__(self, right: Report) -> Report:
        """Add the report on the bytes that follow directly.

        Raises:
            ValueError: This report ends after its last newline, in pending bytes or a torn tail: nothing can follow.
        """
        if self.pending_bytes or self.torn_tail:
            if right == Report():
                return self
            raise ValueError("a report that ends after its last newline cannot be followed by another")
        return Report(
            bytes=self.bytes + right.bytes,
            lines=self.lines + right.lines,
            records=self.records + right.records,
            by_kind=_added(self.by_kind, right.by_kind),
            defects=self._joined(right),
            torn_tail=right.torn_tail,
            pending_bytes=right.pending_bytes,
        )

    def _joined(self, right: Report) -> tuple[Defect, ...]:
        room = MAX_DEFECTS - len(self.defects)
        return self.defects + tuple(d.shifted(self.lines, self.bytes) for d in right.defects[:room])


def merge(*reports: Report) -> Report:
    """One report on adjacent ranges, given in order.

    >>> merge(Report(bytes=3, lines=1, records=1), Report(bytes=2, lines=1, records=1)).lines
    2
    """
    return reduce(Report.__add__, reports, Report())


def _added(left: Mapping[Kind, int], right: Mapping[Kind, int]) -> dict[Kind, int]:
    return {kind: left.get(kind, 0) + right.get(kind, 0) for kind in Kind if kind in left or kind in right}
