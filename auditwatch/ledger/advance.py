"""The one function that changes what we know of a trail."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.acknowledged import acknowledged
from auditwatch.ledger.archived import unpacked_again
from auditwatch.ledger.counted import counted
from auditwatch.ledger.damage import ViolationRow
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import (
    Acknowledged,
    Counted,
    Event,
    Forgotten,
    Judged,
    Nameless,
    Observed,
    Rebaselined,
    Rehashed,
    Reviewed,
    Ticked,
    Unpacked,
)
from auditwatch.ledger.forgotten import forgotten
from auditwatch.ledger.judged import judged, reviewed
from auditwatch.ledger.observed import observed
from auditwatch.ledger.rebaselined import former_history, rebaselined
from auditwatch.ledger.rehashed import rehashed
from auditwatch.ledger.segment import Former
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.vanished import written_to_nothing
from auditwatch.ledger.wanted import overdue_tails


def advance(state: TrailState, event: Event) -> Step:
    """The state after an event, and what to do about it, in order.

    Pure: equal arguments give equal results. A stale event gives the same state and no effects.
    """
    after, effects = _decided(state, event)
    if any(isinstance(effect, Commit) for effect in effects):
        after = replace(after, step=state.step + 1, violations=_dated(state, after), former=_former(state, after))
    return after, effects


def _decided(state: TrailState, event: Event) -> Step:  # noqa: C901, PLR0911  one case, and one return, an event
    match event:
        case Observed():
            return observed(state, event)
        case Judged():
            return judged(state, event)
        case Reviewed():
            return reviewed(state, event)
        case Rehashed():
            return rehashed(state, event)
        case Unpacked():
            return unpacked_again(state, event)
        case Counted():
            return counted(state, event)
        case Acknowledged():
            return acknowledged(state, event)
        case Forgotten():
            return forgotten(state, event)
        case Rebaselined():
            return rebaselined(state, event)
        case Nameless():
            return written_to_nothing(state, event), (Commit(),)
        case Ticked():
            return state, overdue_tails(state, event.at)


def _former(before: TrailState, after: TrailState) -> Former | None:
    return after.former if after.violations is before.violations else former_history(before, after)


def _dated(before: TrailState, after: TrailState) -> tuple[ViolationRow, ...]:
    """The violations, with the number of this step on those that it opened, or changed while they were open."""
    if after.violations is before.violations:
        return after.violations
    known = {row.id: row for row in before.violations}
    return tuple(
        row if row.acknowledgement or known.get(row.id) == row else replace(row, step=before.step + 1)
        for row in after.violations
    )
