"""The life of findings: what a new report on a range of bytes makes of those known there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from auditwatch.ledger.state import MAX_ROWS, Finding, FindingState, Segment, Tally
from auditwatch.trail.ids import finding_id
from auditwatch.trail.kinds import Kind
from auditwatch.trail.report import Defect, Report

MAP_BYTES = 4 << 20
"""Crowded ranges nearer than this become one: the map shows no less than a block of the grid."""

LIVING = (FindingState.OPEN, FindingState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A segment after a report, and what changed in it.

    Attributes:
        changed: Findings to store: new, superseded, gone and reopened ones.
        fresh: How many lines of each kind were not known and not there at first sight.
    """

    segment: Segment
    changed: tuple[Finding, ...] = ()
    fresh: Mapping[Kind, int] | None = None


def reconcile(trail: str, segment: Segment, start: int, report: Report, at: float) -> Reconciled:
    """What a report on the bytes from `start` makes of a segment's findings.

    The same bytes at the same place are the same finding; other bytes there supersede it; where the line is whole
    now, or no longer there, the finding is gone. Findings in the range that the report no longer lists one by one
    (it holds `MAX_DEFECTS`) keep their state.

    Args:
        trail: Name that ids are made of.
        segment: Still with its old `lines`: places are counted from there.
        start: Where the report's range begins.
        report: Its defects' places are counted from `start`, lines from `segment.lines`.
        at: Now.
    """
    if not report.defects and not _living_between(segment.findings, start, start + report.bytes):
        return Reconciled(segment)
    defects = tuple(defect.shifted(segment.lines, start) for defect in report.defects)
    end = _listed_end(report, defects, start)
    met = {(d.offset, d.sha256): d for d in defects}
    at_offset = {d.offset for d in defects}
    kept = tuple(_aged(f, met, at_offset, at) if start <= f.offset < end else f for f in segment.findings)
    known = {(f.offset, f.sha256) for f in kept}
    new = [_finding(trail, segment, d, at) for d in defects if (d.offset, d.sha256) not in known]
    return _stored(segment, kept, new, start, report)


def _living_between(findings: tuple[Finding, ...], start: int, end: int) -> bool:
    return any(start <= finding.offset < end for finding in findings)


def _listed_end(report: Report, defects: tuple[Defect, ...], start: int) -> int:
    is_cut = report.corrupt_lines > len(defects)
    return defects[-1].offset + 1 if is_cut and defects else start + report.bytes


def _aged(finding: Finding, met: Mapping[tuple[int, str], Defect], at_offset: set[int], at: float) -> Finding:
    defect = met.get((finding.offset, finding.sha256))
    if defect is not None:
        state = finding.state if finding.state in LIVING else FindingState.OPEN
        return replace(finding, state=state, kind=defect.kind, line=defect.line, last_seen=at)
    if finding.state not in LIVING:
        return finding
    state = FindingState.SUPERSEDED if finding.offset in at_offset else FindingState.GONE
    return replace(finding, state=state)


def _finding(trail: str, segment: Segment, defect: Defect, at: float) -> Finding:
    return Finding(
        id=finding_id(trail, defect.offset, defect.sha256),
        line=defect.line,
        offset=defect.offset,
        length=defect.length,
        kind=defect.kind,
        sha256=defect.sha256,
        records_inside=defect.records_inside,
        inherited=defect.offset + defect.length < segment.inherited_until,
        first_seen=at,
        last_seen=at,
    )


def _stored(segment: Segment, kept: tuple[Finding, ...], new: list[Finding], start: int, report: Report) -> Reconciled:
    room = max(0, MAX_ROWS - len(kept))
    listed, crowd = new[:room], _crowd(segment, new[room:], start, report)
    changed = tuple(new for old, new in zip(segment.findings, kept, strict=True) if old is not new)
    findings = tuple(sorted((*kept, *listed), key=lambda f: f.offset)) if listed else kept
    segment = replace(segment, findings=findings)
    if crowd:
        segment = _crowded(segment, crowd, start, start + report.bytes)
    fresh = _fresh(listed, crowd)
    return Reconciled(segment, (*changed, *listed), fresh)


def _crowd(segment: Segment, unlisted: Iterable[Finding], start: int, report: Report) -> dict[Kind, Tally]:
    """Counts of what finds no row; none where the range was counted so before."""
    end = start + report.bytes
    if any(low < end and start < high for low, high in segment.crowded):
        return {}
    counts: dict[Kind, Tally] = {}
    for finding in unlisted:
        counts[finding.kind] = counts.get(finding.kind, Tally()) + Tally(1, int(finding.inherited))
    is_inherited = end <= segment.inherited_until
    for kind, count in _uncarried(report).items():
        counts[kind] = counts.get(kind, Tally()) + Tally(count, count * is_inherited)
    return counts


def _uncarried(report: Report) -> dict[Kind, int]:
    """Damaged lines that the report counts and does not list."""
    if report.corrupt_lines == len(report.defects):
        return {}
    counts = dict(report.by_kind)
    for defect in report.defects:
        counts[defect.kind] -= 1
    return {kind: count for kind, count in counts.items() if count}


def _crowded(segment: Segment, crowd: Mapping[Kind, Tally], start: int, end: int) -> Segment:
    beyond = dict(segment.beyond)
    for kind, tally in crowd.items():
        beyond[kind] = beyond.get(kind, Tally()) + tally
    ranges = segment.crowded
    if ranges and start - ranges[-1][1] < MAP_BYTES:
        ranges, start = ranges[:-1], ranges[-1][0]
    return replace(segment, beyond=beyond, crowded=(*ranges, (start, end)))


def _fresh(listed: Iterable[Finding], crowd: Mapping[Kind, Tally]) -> dict[Kind, int]:
    counts: dict[Kind, int] = {kind: t.open - t.inherited for kind, t in crowd.items() if t.open > t.inherited}
    for finding in listed:
        if not finding.inherited:
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
    return counts
