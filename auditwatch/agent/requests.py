"""Acknowledgements from the inbox, applied by the one writer of the state."""

from __future__ import annotations

from collections.abc import Iterable

from auditwatch.ledger.acknowledged import known_ids
from auditwatch.ledger.events import Acknowledged, Scope
from auditwatch.ledger.state import TrailState
from auditwatch.state.inbox import Answer, Request


def event_of(request: Request, at: float) -> Acknowledged:
    """What a request means to the ledger of a trail."""
    return Acknowledged(
        at=at,
        asked=request.asked,
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
    """Why a request cannot be applied: an unknown trail or id, and then none of it is applied; None if it can be."""
    asked = [state for state in states if request.trail in ("", state.name)]
    if not asked:
        return Answer(False, (request.trail,), f"no trail is named {request.trail!r}")
    if request.scope is not Scope.IDS:
        return None
    known = frozenset[str]().union(*(known_ids(state) for state in asked))
    unknown = tuple(found for found in request.ids if found not in known)
    return Answer(False, unknown, f"no finding has the id {' or '.join(unknown)}") if unknown else None
