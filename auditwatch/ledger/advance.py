"""The one function that moves what we know of a trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from auditwatch.ledger.acknowledgement import acknowledged
from auditwatch.ledger.effects import Commit, Effect
from auditwatch.ledger.events import Acknowledged, Counted, Event, Judged, Observed, Reviewed, Ticked
from auditwatch.ledger.history import observed
from auditwatch.ledger.lifecycle import Reconciled, reconcile
from auditwatch.ledger.reading import overdue_tails, wanted
from auditwatch.ledger.state import Fingerprint, Policy, Segment, TrailState
from auditwatch.ledger.writes import counted
from auditwatch.trail.kinds import Kind

Step = tuple[TrailState, tuple[Effect, ...]]


def begin(name: str, policy: Policy) -> TrailState:
    """A trail of which nothing is known."""
    return TrailState(name=name, policy=policy, rules_id=policy.rules_id)


def resume(state: TrailState, policy: Policy) -> TrailState:
    """A stored state under the policy of today. Other rules: everything is judged again, nothing counts twice."""
    state = replace(state, policy=policy, suspicion=None)
    if state.rules_id == policy.rules_id:
        return state
    closed = tuple(_unjudged(segment) for segment in state.closed)
    active = _unjudged(state.active) if state.active else None
    return replace(state, rules_id=policy.rules_id, closed=closed, active=active)


def _unjudged(segment: Segment) -> Segment:
    return replace(
        segment,
        judged=0,
        read=0,
        lines=0,
        torn_tail=0,
        head=Fingerprint(),
        marker=Fingerprint(),
        beyond={},
        crowded=(),
    )


def advance(state: TrailState, event: Event) -> Step:
    """The state after an event, and what is to be done about it, in order.

    Pure: equal arguments give equal results. A stale event gives the same state and no effect.
    """
    match event:
        case Observed():
            return observed(state, event)
        case Judged():
            return _judged(state, event)
        case Reviewed():
            return _reviewed(state, event)
        case Counted():
            return _counted(state, event)
        case Acknowledged():
            return acknowledged(state, event)
        case Ticked():
            return state, overdue_tails(state, event.at)


def _judged(state: TrailState, event: Judged) -> Step:
    segment = _segment(state, event.segment)
    if segment is None or not _is_fresh(state, segment, event):
        return state, ()
    result = reconcile(state.name, segment, event.start, event.report, event.at)
    after = _moved(result.segment, event)
    growth = max(0, after.judged - max(segment.counted_until, segment.judged))
    lines = event.report.lines if event.read > segment.counted_until else 0
    state = replace(
        _with(state, after),
        appended_bytes=state.appended_bytes + growth,
        appended_lines=state.appended_lines + lines,
    )
    state = _with_detected(state, result, event.at)
    return state, (*_commit(event, result), *wanted(state))


def _commit(event: Judged, result: Reconciled) -> tuple[Commit, ...]:
    """Nothing to store where only pending bytes were read: they will be read again anyway."""
    if not event.report.bytes:
        return ()
    return (Commit(tuple((event.segment, finding) for finding in result.changed)),)


def _is_fresh(state: TrailState, segment: Segment, event: Judged) -> bool:
    return (
        event.start == segment.judged
        and event.rules_id == state.policy.rules_id
        and segment.judged + event.report.bytes <= event.read <= segment.size
    )


def _moved(segment: Segment, event: Judged) -> Segment:
    judged = event.start + event.report.bytes
    return replace(
        segment,
        judged=judged,
        read=event.read,
        lines=segment.lines + event.report.lines,
        counted_until=max(segment.counted_until, judged),
        head=event.head,
        marker=event.marker,
        torn_tail=event.report.torn_tail,
        unverified_since=None if event.read == segment.size else segment.unverified_since,
    )


def _reviewed(state: TrailState, event: Reviewed) -> Step:
    segment = _segment(state, event.segment)
    end = event.start + event.report.bytes
    if segment is None or event.rules_id != state.policy.rules_id or end > segment.judged:
        return state, ()
    # What was whole when it was judged and is damaged now was not there at first sight, wherever it lies.
    reviewed = replace(segment, lines=event.lines_before, inherited_until=0)
    result = reconcile(state.name, reviewed, event.start, event.report, event.at)
    if not result.changed and not result.fresh:
        return state, ()
    after = replace(result.segment, lines=segment.lines, inherited_until=segment.inherited_until)
    state = _with(state, after)
    changed = tuple((event.segment, finding) for finding in result.changed)
    return _with_detected(state, result, event.at), (Commit(changed),)


def _counted(state: TrailState, event: Counted) -> Step:
    """What the writers counted; failures from before the trail was first looked at are its history."""
    writes = state.writes
    if event.trouble:
        writes = replace(writes, trouble=event.trouble)
    else:
        is_old = not state.first_seen or event.last_failure <= state.first_seen
        is_history = not writes.id and is_old
        writes = counted(writes, event.id, event.counts, event.last_failure, event.at, is_history=is_history)
    return (state, ()) if writes == state.writes else (replace(state, writes=writes), (Commit(),))


def _with_detected(state: TrailState, result: Reconciled, at: float) -> TrailState:
    fresh: Mapping[Kind, int] = result.fresh or {}
    if not fresh:
        return state
    detected = {**state.detected, **{kind: state.detected.get(kind, 0) + n for kind, n in fresh.items()}}
    return replace(state, detected=detected, last_corrupt={**state.last_corrupt, **dict.fromkeys(fresh, at)})


def _segment(state: TrailState, number: int) -> Segment | None:
    return next((segment for segment in state.segments if segment.number == number), None)


def _with(state: TrailState, segment: Segment) -> TrailState:
    if state.active and state.active.number == segment.number:
        return replace(state, active=segment)
    closed = tuple(segment if known.number == segment.number else known for known in state.closed)
    return replace(state, closed=closed)
