"""What it means that the stored state was lost: a violation, and nothing found from now on is inherited."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Forgotten
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.violations import with_violation
from auditwatch.trail.kinds import Violation


def forgotten(state: TrailState, event: Forgotten) -> Step:
    """The state after a loss; the same state if it has been told of this one before.

    What is judged keeps its verdicts. Bytes that are not judged yet may have been judged, and acknowledged or not,
    before the loss: damage in them is open.
    """
    rows = (row for row in state.violations if row.kind is Violation.STATE_LOST)
    if any(event.at in (row.seen, row.latest_seen) for row in rows):
        return state, ()
    closed = tuple(_disinherited(segment) for segment in state.closed)
    active = _disinherited(state.active) if state.active else None
    state = with_violation(state, Violation.STATE_LOST, event.place, event.detail, event.at)
    return replace(state, closed=closed, active=active, was_lost=True), (Commit(),)


def _disinherited(segment: Segment) -> Segment:
    if segment.inherited_until <= segment.judged:
        return segment
    return replace(segment, inherited_until=segment.judged)
