"""The lifecycle of findings: how a new report on a range of bytes changes the findings known there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from auditwatch.ledger.blocks import forgetting
from auditwatch.ledger.damage import Finding, FindingState, Tally
from auditwatch.ledger.segment import Anchor, Segment, TornTail
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.unlisted import with_unlisted, without_one
from auditwatch.trail.ids import finding_id
from auditwatch.trail.kinds import Kind
from auditwatch.trail.report import Defect, Report
from auditwatch.trail.sketch import NO_SKETCH

MAP_BYTES = 4 << 20
"""Unlisted ranges closer together than this are joined: the map shows nothing smaller than a block of the grid."""

LIVING = (FindingState.OPEN, FindingState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class _Unlisted:
    """New damage that there is no room to list: how much of each kind, and in which range."""

    counts: Mapping[Kind, Tally]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A segment after a report, and what changed in it.

    Attributes:
        changed: Findings to store: new, superseded, gone and reopened ones.
        dropped: Dead findings that made room for living ones.
        fresh: How many damaged lines of each kind are new: neither known nor inherited.
    """

    segment: Segment
    changed: tuple[Finding, ...] = ()
    dropped: tuple[Finding, ...] = ()
    fresh: Mapping[Kind, int] | None = None


def reconcile(state: TrailState, segment: Segment, start: int, report: Report, at: float) -> Reconciled:
    """The segment's findings after a report on the bytes from `start`.

    The same bytes at the same place are the same finding. Other damaged bytes there supersede it. If the line is whole
    now, or no longer there, the finding is gone. Findings in the part of the range that the report does not list (it
    lists at most `MAX_DEFECTS`) keep their state.

    Args:
        state: Its name goes into ids; its policy says how many findings a segment lists.
        segment: The segment, still with its old `lines`: line numbers are counted from there.
        start: Where the report's range begins.
        report: A report whose offsets are counted from `start` and whose lines are counted from `segment.lines`.
        at: Now.
    """
    if not report.defects and not _living_between(segment.findings, start, start + report.bytes):
        return Reconciled(segment)
    defects = tuple(defect.shifted(segment.lines, start) for defect in report.defects)
    end = _listed_end(report, defects, start)
    met = {(d.offset, d.sha256): d for d in defects}
    at_offset = {d.offset for d in defects}
    step = state.step + 1
    aged = tuple(_aged(f, met, at_offset, at, step) if start <= f.offset < end else f for f in segment.findings)
    new = [_finding(state, segment, d, at) for d in _unknown(segment, defects)]
    room = max(0, state.policy.max_listed - sum(finding.state in LIVING for finding in aged))
    unlisted = _unlisted(segment, new[room:], report, end, start + report.bytes)
    return _stored(state, segment, aged, new[:room], unlisted)


def tail_of(segment: Segment, start: int, report: Report) -> TornTail | None:
    """The torn tail that a report found, as a segment remembers it after it was reconciled with that report."""
    if not report.torn_tail:
        return None
    offset = start + report.defects[-1].offset  # the only defect: only a tail without a newline is read as final
    return TornTail(offset, any(f.offset == offset and f.state in LIVING for f in segment.findings))


def reopened(segment: Segment, tail: TornTail) -> Segment:
    """The segment, to be judged again from the beginning of its torn tail, because the tail has grown after all."""
    ranges = tuple((low, min(high, tail.offset)) for low, high in segment.unlisted_ranges if low < tail.offset)
    segment = segment if tail.is_listed else without_one(segment, Kind.TORN)
    return replace(segment, judged=tail.offset, read=tail.offset, torn_tail=None, unlisted_ranges=ranges)


def restart(segment: Segment) -> tuple[Segment, tuple[Finding, ...]]:
    """The segment, to be judged from its start, and the findings that are gone because they were beyond its end.

    What the file contains now is not growth. Other findings stay: the new verdicts will confirm or supersede them.
    """
    findings = tuple(_beyond_end(finding, segment.size) for finding in segment.findings)
    lost = tuple(new for old, new in zip(segment.findings, findings, strict=True) if new is not old)
    anew = replace(
        forgetting(segment).unjudged(),
        anchor=Anchor(),
        sketch=NO_SKETCH,
        counted_until=segment.size,
        inherited_until=0,
        findings=findings,
    )
    return anew, lost


def _beyond_end(finding: Finding, size: int) -> Finding:
    if finding.offset < size or finding.state not in LIVING:
        return finding
    return replace(finding, state=FindingState.GONE)


def _living_between(findings: tuple[Finding, ...], start: int, end: int) -> bool:
    place = bisect_left(findings, start, key=lambda finding: finding.offset)  # they are in order of it
    return place < len(findings) and findings[place].offset < end


def _listed_end(report: Report, defects: tuple[Defect, ...], start: int) -> int:
    is_cut = report.corrupt_lines > len(defects)
    return defects[-1].offset + 1 if is_cut and defects else start + report.bytes


def _unknown(segment: Segment, defects: tuple[Defect, ...]) -> Iterator[Defect]:
    """Defects that are not a finding yet and not part of the unlisted damage."""
    known = {(f.offset, f.sha256) for f in segment.findings}
    listed = {f.offset for f in segment.findings}
    for defect in defects:
        is_counted = defect.offset not in listed and _is_unlisted(segment, defect.offset)
        if not is_counted and (defect.offset, defect.sha256) not in known:
            yield defect


def _is_unlisted(segment: Segment, offset: int) -> bool:
    return any(low <= offset < high for low, high in segment.unlisted_ranges)


def _aged(
    finding: Finding, met: Mapping[tuple[int, str], Defect], at_offset: set[int], at: float, step: int
) -> Finding:
    defect = met.get((finding.offset, finding.sha256))
    if defect is not None:
        known = replace(finding, kind=defect.kind, line=defect.line, last_seen=at)
        return known if finding.state in LIVING else replace(known, state=FindingState.OPEN, step=step)
    if finding.state not in LIVING:
        return finding
    state = FindingState.SUPERSEDED if finding.offset in at_offset else FindingState.GONE
    return replace(finding, state=state)


def _finding(state: TrailState, segment: Segment, defect: Defect, at: float) -> Finding:
    return Finding(
        id=finding_id(state.name, defect.offset, defect.sha256),
        line=defect.line,
        offset=defect.offset,
        length=defect.length,
        kind=defect.kind,
        sha256=defect.sha256,
        records_inside=defect.records_inside,
        inherited=defect.offset + defect.length < segment.inherited_until,
        first_seen=at,
        last_seen=at,
        step=state.step + 1,
    )


def _unlisted(segment: Segment, left: list[Finding], report: Report, listed_end: int, end: int) -> _Unlisted:
    """What is counted but not listed: findings without room, and damage that the report itself only counts."""
    counts: dict[Kind, Tally] = {}
    for finding in left:
        counts[finding.kind] = counts.get(finding.kind, Tally()) + Tally(1, int(finding.inherited))
    if not any(low < end and listed_end < high for low, high in segment.unlisted_ranges):
        is_inherited = end <= segment.inherited_until
        for kind, count in _uncarried(report).items():
            counts[kind] = counts.get(kind, Tally()) + Tally(count, count * is_inherited)
    return _Unlisted(counts, left[0].offset if left else listed_end, end)


def _uncarried(report: Report) -> dict[Kind, int]:
    """Damaged lines that the report counts but does not list."""
    if report.corrupt_lines == len(report.defects):
        return {}
    counts = dict(report.by_kind)
    for defect in report.defects:
        counts[defect.kind] -= 1
    return {kind: count for kind, count in counts.items() if count}


def _stored(
    state: TrailState, segment: Segment, aged: tuple[Finding, ...], listed: list[Finding], unlisted: _Unlisted
) -> Reconciled:
    """The segment with its findings; living ones take the room of dead ones."""
    dropped = _oldest_dead(aged, len(aged) + len(listed) - state.policy.max_listed)
    changed = [new for old, new in zip(segment.findings, aged, strict=True) if old is not new]
    if dropped:
        aged, changed = _without(aged, dropped), list(_without(changed, dropped))
    findings = tuple(sorted((*aged, *listed), key=lambda f: f.offset)) if listed else aged
    segment = _counted(replace(segment, findings=findings), unlisted, state.step + 1)
    return Reconciled(segment, (*changed, *listed), dropped, _fresh(listed, unlisted.counts))


def _oldest_dead(findings: Iterable[Finding], number: int) -> tuple[Finding, ...]:
    if number <= 0:
        return ()
    dead = [finding for finding in findings if finding.state not in LIVING]
    return tuple(sorted(dead, key=lambda f: f.last_seen)[:number])


def _without(findings: Iterable[Finding], dropped: Iterable[Finding]) -> tuple[Finding, ...]:
    places = {(finding.offset, finding.sha256) for finding in dropped}
    return tuple(finding for finding in findings if (finding.offset, finding.sha256) not in places)


def _counted(segment: Segment, new: _Unlisted, step: int) -> Segment:
    if not new.counts:
        return segment
    ranges = _joined(sorted((*segment.unlisted_ranges, (new.start, new.end))))
    return replace(with_unlisted(segment, new.counts, step), unlisted_ranges=ranges)


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The ranges in order, with those close together joined.

    >>> _joined([(0, 10), (20, 30), (9 << 20, 10 << 20)])
    ((0, 30), (9437184, 10485760))
    """
    joined: list[tuple[int, int]] = []
    for low, high in ranges:
        if joined and low - joined[-1][1] < MAP_BYTES:
            start, end = joined.pop()
            joined.append((start, max(high, end)))
        else:
            joined.append((low, high))
    return tuple(joined)


def _fresh(listed: Iterable[Finding], unlisted: Mapping[Kind, Tally]) -> dict[Kind, int]:
    counts: dict[Kind, int] = {kind: t.open - t.inherited for kind, t in unlisted.items() if t.open > t.inherited}
    for finding in listed:
        if not finding.inherited:
            counts[finding.kind] = counts.get(finding.kind, 0) + 1
    return counts
