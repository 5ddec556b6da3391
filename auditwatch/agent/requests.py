"""Acknowledgements from the inbox, applied by the one writer of the state."""

from __future__ import annotations

from collections.abc import Iterable

from auditwatch.ledger.acknowledged import group_ids, known_ids
from auditwatch.ledger.events import Acknowledged, Scope
from auditwatch.ledger.state import TrailState
from auditwatch.state.inbox import Answer, Request
from auditwatch.trail.words import count_text


def event_of(request: Request, state: TrailState, at: float) -> Acknowledged:
    """What a request to which there is no objection means to the ledger of a trail."""
    seen = request.seen.get(state.name)
    return Acknowledged(
        at=at,
        step=seen.step if seen else 0,
        scope=request.scope,
        by=request.by,
        reason=request.reason,
        ids=frozenset(request.ids),
        undo=request.undo,
    )


def meant(request: Request, states: Iterable[TrailState]) -> list[str]:
    """Names of the trails that a request is about."""
    return [state.name for state in states if request.trail in ("", state.name)]


def objection(request: Request, states: Iterable[TrailState]) -> Answer | None:
    """Why a request cannot be applied, and then none of it is applied; None if it can be.

    It names an unknown trail or id, or it cannot be told what its asker saw.
    """
    asked = [state for state in states if request.trail in ("", state.name)]
    if not asked:
        return Answer(False, (request.trail,), f"no trail is named {request.trail!r}")
    if request.scope is Scope.IDS:
        known = frozenset[str]().union(*(known_ids(state) for state in asked))
        unknown = tuple(found for found in request.ids if found not in known)
        if unknown:
            return Answer(False, unknown, f"no finding has the id {' or '.join(unknown)}")
    return next((found for state in asked if (found := _unseen(request, state))), None)


def _unseen(request: Request, state: TrailState) -> Answer | None:
    """Why it cannot be told what was open when this was asked, where that matters."""
    is_about_a_group = group_ids(state.name) & frozenset(request.ids) and not request.undo
    if request.scope is Scope.IDS and not is_about_a_group:
        return None
    seen = request.seen.get(state.name)
    if seen is None:
        why = "the request does not say what its asker saw: an earlier version of auditwatch made it"
    elif seen.first_seen and (seen.first_seen != state.first_seen or seen.step > state.step):
        why = f"what is known of {state.name} was begun anew after this was asked"
    else:
        return None
    return Answer(False, (), f"{why}; look at `auditwatch findings`, then ask again")


def outcome(request: Request, before: Iterable[TrailState], after: Iterable[TrailState]) -> str:
    """What a request changed, in a line for the one who asked."""
    was, now = _acknowledged(before), _acknowledged(after)
    words = ("damaged line", "violation", "failed write")
    parts = [count_text(abs(new - old), word) for word, old, new in zip(words, was, now, strict=True) if new != old]
    if not parts:
        return "nothing was acknowledged" if request.undo else "nothing was open"
    return f"{'open again' if request.undo else 'acknowledged'}: {', '.join(parts)}"


def _acknowledged(states: Iterable[TrailState]) -> tuple[int, int, int]:
    """Acknowledged damaged lines, violations and failed writes."""
    known = tuple(states)
    return (
        sum(tally.acknowledged for state in known for tally in state.tallies().values()),
        sum(len(state.violations) - len(state.open_violations) for state in known),
        sum(sum(state.writes.acknowledged) for state in known),
    )
