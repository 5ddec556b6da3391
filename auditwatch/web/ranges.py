"""Findings as people read them: neighbours of one kind as one range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from auditwatch.ledger.damage import Finding, FindingState
from auditwatch.trail.kinds import Kind


@dataclass(frozen=True, slots=True)
class FindingRange:
    """Adjacent findings of one kind, state and origin in one segment.

    Attributes:
        id: Of the first one.
        first_line, last_line: 1-based, both included.
        start: First byte of the first line.
        end: Just after the last byte of the last line, not counting its newline.
        records_inside: Whole objects that these lines still contain.
        seen: When the newest one was found.
    """

    id: str
    kind: Kind
    state: FindingState
    inherited: bool
    first_line: int
    last_line: int
    start: int
    end: int
    records_inside: int
    seen: float

    @property
    def lines(self) -> int:
        """How many findings it stands for."""
        return self.last_line - self.first_line + 1


def ranges(findings: Iterable[Finding]) -> Iterator[FindingRange]:
    """The findings of one segment, given in order, with neighbours joined."""
    current: FindingRange | None = None
    for finding in findings:
        if current is not None and _is_next(current, finding):
            current = _longer(current, finding)
            continue
        if current is not None:
            yield current
        current = _alone(finding)
    if current is not None:
        yield current


def _is_next(current: FindingRange, finding: Finding) -> bool:
    same = (current.kind, current.state, current.inherited) == (finding.kind, finding.state, finding.inherited)
    return same and finding.line == current.last_line + 1


def _longer(current: FindingRange, finding: Finding) -> FindingRange:
    return replace(
        current,
        last_line=finding.line,
        end=finding.offset + finding.length,
        records_inside=current.records_inside + finding.records_inside,
        seen=max(current.seen, finding.first_seen),
    )


def _alone(finding: Finding) -> FindingRange:
    return FindingRange(
        id=finding.id,
        kind=finding.kind,
        state=finding.state,
        inherited=finding.inherited,
        first_line=finding.line,
        last_line=finding.line,
        start=finding.offset,
        end=finding.offset + finding.length,
        records_inside=finding.records_inside,
        seen=finding.first_seen,
    )
