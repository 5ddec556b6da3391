"""The one function that changes what we know of a trail."""

from __future__ import annotations

from auditwatch.ledger.acknowledged import acknowledged
from auditwatch.ledger.counted import counted
from auditwatch.ledger.effects import Step
from auditwatch.ledger.events import Acknowledged, Counted, Event, Judged, Observed, Reviewed, Ticked
from auditwatch.ledger.judged import judged, reviewed
from auditwatch.ledger.observed import observed
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.wanted import overdue_tails


def advance(state: TrailState, event: Event) -> Step:
    """The state after an event, and what to do about it, in order.

    Pure: equal arguments give equal results. A stale event gives the same state and no effects.
    """
    match event:
        case Observed():
            return observed(state, event)
        case Judged():
            return judged(state, event)
        case Reviewed():
            return reviewed(state, event)
        case Counted():
            return counted(state, event)
        case Acknowledged():
            return acknowledged(state, event)
        case Ticked():
            return state, overdue_tails(state, event.at)
