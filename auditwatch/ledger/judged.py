"""What a verdict means: the judged position moves, findings are reconciled, new damage is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from auditwatch.ledger.blocks import remembering
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Judged, Reviewed
from auditwatch.ledger.findings import Reconciled, reconcile, tail_of
from auditwatch.ledger.segment import Anchor, Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.wanted import wanted
from auditwatch.trail.kinds import Kind


def judged(state: TrailState, event: Judged) -> Step:
    """The state after the verdict on bytes after the judged position; the same state if the verdict is stale."""
    segment = state.segment(event.segment)
    if segment is None or not _is_fresh(state, segment, event):
        return state, ()
    result = reconcile(state, segment, event.start, event.report, event.at)
    after = _moved(result.segment, event)
    growth = max(0, after.judged - max(segment.counted_until, segment.judged))
    lines = event.report.lines if event.read > segment.counted_until else 0
    state = replace(
        state.with_segment(after),
        appended_bytes=state.appended_bytes + growth,
        appended_lines=state.appended_lines + lines,
    )
    state = _with_detected(state, result, event.at)
    return state, (*_commit(event, result), *wanted(state))


def _commit(event: Judged, result: Reconciled) -> tuple[Commit, ...]:
    """Nothing to store if only pending bytes were read: they will be read again anyway."""
    if not event.report.bytes:
        return ()
    return (_stored(event.segment, result),)


def _is_fresh(state: TrailState, segment: Segment, event: Judged) -> bool:
    return (
        event.start == segment.judged
        and event.rules_id == state.policy.rules_id
        and segment.judged + event.report.bytes <= event.read <= segment.size
    )


def _moved(segment: Segment, event: Judged) -> Segment:
    judged = event.start + event.report.bytes
    # Since the look the file has grown, or a writer took bytes back: what is pending may be younger than that look.
    has_changed = event.size is not None and event.size != segment.size
    return replace(
        remembering(segment, event.digests),
        judged=judged,
        read=event.read,
        lines=segment.lines + event.report.lines,
        counted_until=max(segment.counted_until, judged),
        anchor=_anchored(segment.anchor, judged, event),
        sketch=event.sketch or segment.sketch,
        grown=event.at if has_changed else segment.grown,
        torn_tail=tail_of(segment, event.start, event.report),
        unverified_since=None if event.read == segment.size else segment.unverified_since,
    )


def _anchored(anchor: Anchor, judged: int, event: Judged) -> Anchor:
    """The anchor at a position that is further on; what was judged before is remembered as it was then."""
    if judged <= anchor.position:
        return anchor
    head = anchor.head if anchor.head.length == event.head.length else event.head
    return Anchor(judged, head, event.marker)


def reviewed(state: TrailState, event: Reviewed) -> Step:
    """The state after a new verdict on lines that were judged before; the same state if the verdict is stale."""
    segment = state.segment(event.segment)
    end = event.start + event.report.bytes
    if segment is None or event.rules_id != state.policy.rules_id or end > segment.judged:
        return state, ()
    # A line that was whole when it was judged and is damaged now is not inherited damage, wherever it is.
    reviewed = replace(segment, lines=event.lines_before, inherited_until=0)
    result = reconcile(state, reviewed, event.start, event.report, event.at)
    if not result.changed and not result.fresh:
        return state, ()
    after = replace(result.segment, lines=segment.lines, inherited_until=segment.inherited_until)
    state = state.with_segment(after)
    return _with_detected(state, result, event.at), (_stored(event.segment, result),)


def _stored(number: int, result: Reconciled) -> Commit:
    return Commit(
        tuple((number, finding) for finding in result.changed), tuple((number, finding) for finding in result.dropped)
    )


def _with_detected(state: TrailState, result: Reconciled, at: float) -> TrailState:
    fresh: Mapping[Kind, int] = result.fresh or {}
    if not fresh:
        return state
    detected = {**state.detected, **{kind: state.detected.get(kind, 0) + n for kind, n in fresh.items()}}
    return replace(state, detected=detected, last_corrupt={**state.last_corrupt, **dict.fromkeys(fresh, at)})
