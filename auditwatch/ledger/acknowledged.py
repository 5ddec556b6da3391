"""Acknowledging findings, violations and failed writes, and undoing that."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.damage import Acknowledgement, Finding, FindingState, ViolationRow
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Acknowledged, Scope
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.unlisted import unlisted_noted, unlisted_reopened
from auditwatch.ledger.violations import accepting
from auditwatch.ledger.writes import noted, unnoted
from auditwatch.trail.ids import unlisted_id, write_failures_id


def known_ids(state: TrailState) -> frozenset[str]:
    """Every id that an acknowledgement of this trail can name."""
    found = {finding.id for segment in state.segments for finding in segment.findings}
    return frozenset(found | {row.id for row in state.violations} | _known_groups(state))


def group_ids(trail: str) -> frozenset[str]:
    """The ids that stand for however many there are: failed writes, and damaged lines that are only counted."""
    return frozenset((write_failures_id(trail), unlisted_id(trail)))


def _known_groups(state: TrailState) -> set[str]:
    found = {write_failures_id(state.name)} if state.writes.open or any(state.writes.acknowledged) else set()
    is_counted = any(one.open or one.acknowledged for s in state.segments for one in s.unlisted.values())
    return found | ({unlisted_id(state.name)} if is_counted else set())


def acknowledged(state: TrailState, event: Acknowledged) -> Step:
    """The state after an acknowledgement; the same state if it applies to nothing."""
    closed = tuple(_noted_segment(state, segment, event) for segment in state.closed)
    active = _noted_segment(state, state.active, event) if state.active else None
    violations = tuple(_noted_violation(row, event) for row in state.violations)
    after = replace(state, closed=closed, active=active, violations=violations)
    after = _noted_writes(_with_unlisted_note(state, after, event), event)
    for before, row in zip(state.violations, violations, strict=True):
        if row is not before:
            after = accepting(after, row)
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


def _noted_segment(state: TrailState, segment: Segment, event: Acknowledged) -> Segment:
    findings = tuple(_noted(finding, event, state.step + 1) for finding in segment.findings)
    return _noted_unlisted(state, replace(segment, findings=findings), event)


def _noted(finding: Finding, event: Acknowledged, step: int) -> Finding:
    if not _is_meant(finding, event):
        return finding
    if event.undo:
        return replace(finding, state=FindingState.OPEN, acknowledgement=None, step=step)
    return replace(finding, state=FindingState.ACKNOWLEDGED, acknowledgement=_note(event))


def _is_meant(finding: Finding, event: Acknowledged) -> bool:
    wanted = FindingState.ACKNOWLEDGED if event.undo else FindingState.OPEN
    if finding.state is not wanted:
        return False
    if event.scope is Scope.IDS:
        return finding.id in event.ids
    return finding.step <= event.step and (event.scope is Scope.ALL or finding.inherited)


def _noted_violation(row: ViolationRow, event: Acknowledged) -> ViolationRow:
    is_named = row.id in event.ids
    is_meant = is_named if event.scope is Scope.IDS else event.scope is Scope.ALL and row.step <= event.step
    if not is_meant or (row.acknowledgement is None) == event.undo:
        return row
    return replace(row, acknowledgement=None if event.undo else _note(event))


def _noted_writes(state: TrailState, event: Acknowledged) -> TrailState:
    """Failed writes have one id per trail, and none of them counts as inherited."""
    is_named = write_failures_id(state.name) in event.ids
    if not (is_named if event.scope is Scope.IDS else event.scope is Scope.ALL):
        return state
    writes = unnoted(state.writes, event.at, state.step + 1) if event.undo else noted(state.writes, event.step)
    if writes == state.writes:
        return state
    return replace(state, writes=writes, writes_note=None if event.undo else _note(event))


def _noted_unlisted(state: TrailState, segment: Segment, event: Acknowledged) -> Segment:
    """Unlisted lines have one id per trail, as failed writes do."""
    if event.scope is Scope.IDS and unlisted_id(state.name) not in event.ids:
        return segment
    if event.undo:
        return unlisted_reopened(segment, state.step + 1)
    scope = Scope.INHERITED if event.scope is Scope.INHERITED else Scope.ALL
    return unlisted_noted(segment, scope, event.step)


def _with_unlisted_note(before: TrailState, after: TrailState, event: Acknowledged) -> TrailState:
    pairs = zip(before.segments, after.segments, strict=True)
    if all(old.unlisted == new.unlisted for old, new in pairs):
        return after
    return replace(after, unlisted_note=None if event.undo else _note(event))


def _note(event: Acknowledged) -> Acknowledgement:
    return Acknowledgement(event.at, event.by, event.reason)
