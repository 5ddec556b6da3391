"""Acknowledging findings, violations and failed writes, and undoing that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from auditwatch.ledger.damage import Acknowledgement, Finding, FindingState, Tally, ViolationRow
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Acknowledged, Scope
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.writes import noted, unnoted
from auditwatch.trail.ids import write_failures_id
from auditwatch.trail.kinds import Kind


def known_ids(state: TrailState) -> frozenset[str]:
    """Every id that an acknowledgement of this trail can name."""
    found = {finding.id for segment in state.segments for finding in segment.findings}
    return frozenset(found | {row.id for row in state.violations} | _failures_ids(state))


def _failures_ids(state: TrailState) -> set[str]:
    is_any = state.writes.open or any(state.writes.acknowledged)
    return {write_failures_id(state.name)} if is_any else set()


def acknowledged(state: TrailState, event: Acknowledged) -> Step:
    """The state after an acknowledgement; the same state if it applies to nothing."""
    closed = tuple(_noted_segment(segment, event) for segment in state.closed)
    active = _noted_segment(state.active, event) if state.active else None
    violations = tuple(_noted_violation(row, event) for row in state.violations)
    after = _noted_writes(replace(state, closed=closed, active=active, violations=violations), event)
    if after == state:
        return state, ()
    return after, (Commit(_changes(state, after)),)


def _changes(before: TrailState, after: TrailState) -> tuple[tuple[int, Finding], ...]:
    return tuple(
        (new.number, finding)
        for old, new in zip(before.segments, after.segments, strict=True)
        for known, finding in zip(old.findings, new.findings, strict=True)
        if finding is not known
    )


def _noted_segment(segment: Segment, event: Acknowledged) -> Segment:
    findings = tuple(_noted(finding, event) for finding in segment.findings)
    return replace(segment, findings=findings, unlisted=_noted_unlisted(segment.unlisted, event))


def _noted(finding: Finding, event: Acknowledged) -> Finding:
    if not _is_meant(finding, event):
        return finding
    if event.undo:
        return replace(finding, state=FindingState.OPEN, acknowledgement=None)
    return replace(finding, state=FindingState.ACKNOWLEDGED, acknowledgement=_note(event))


def _is_meant(finding: Finding, event: Acknowledged) -> bool:
    wanted = FindingState.ACKNOWLEDGED if event.undo else FindingState.OPEN
    if finding.state is not wanted:
        return False
    if event.scope is Scope.IDS:
        return finding.id in event.ids
    return finding.first_seen <= event.asked and (event.scope is Scope.ALL or finding.inherited)


def _noted_violation(row: ViolationRow, event: Acknowledged) -> ViolationRow:
    is_named = row.id in event.ids
    is_meant = is_named if event.scope is Scope.IDS else event.scope is Scope.ALL and row.seen <= event.asked
    if not is_meant or (row.acknowledgement is None) == event.undo:
        return row
    return replace(row, acknowledgement=None if event.undo else _note(event))


def _noted_writes(state: TrailState, event: Acknowledged) -> TrailState:
    """Failed writes have one id per trail, and none of them counts as inherited."""
    is_named = write_failures_id(state.name) in event.ids
    if not (is_named if event.scope is Scope.IDS else event.scope is Scope.ALL):
        return state
    writes = unnoted(state.writes, event.at) if event.undo else noted(state.writes, event.asked)
    if writes == state.writes:
        return state
    return replace(state, writes=writes, writes_note=None if event.undo else _note(event))


def _noted_unlisted(unlisted: Mapping[Kind, Tally], event: Acknowledged) -> Mapping[Kind, Tally]:
    """Unlisted lines have no id: only `all` and `inherited` apply to them, and there is no undo."""
    if event.scope is Scope.IDS or event.undo:
        return unlisted
    return {kind: _noted_tally(tally, event.scope) for kind, tally in unlisted.items()}


def _noted_tally(tally: Tally, scope: Scope) -> Tally:
    taken = tally.open if scope is Scope.ALL else tally.inherited
    return Tally(tally.open - taken, 0, tally.acknowledged + taken)


def _note(event: Acknowledged) -> Acknowledgement:
    return Acknowledgement(event.at, event.by, event.reason)
