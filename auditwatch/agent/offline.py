"""The state directory without its agent: to look at it, or to apply what is waiting in the inbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from auditwatch.agent.about import agent_status
from auditwatch.agent.requests import event_of, meant, objection, outcome
from auditwatch.ledger.advance import advance
from auditwatch.ledger.effects import Commit
from auditwatch.ledger.events import Scope
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.state import TrailState
from auditwatch.state.inbox import Answer, Request, answer, pending
from auditwatch.state.store import Store, trail_key
from auditwatch.web.snapshot import RunStatus, Snapshot, TrailSnapshot

WATCHED = "watched"
"""Where the store remembers which trails the last agent watched."""


def remember_watched(store: Store, trails: Iterable[tuple[str, str]]) -> None:
    """Store which trails are watched, by name and path, for commands that run without the agent."""
    keys = [trail_key(name, path) for name, path in trails]
    store.put(WATCHED, json.dumps(keys))
    store.concern(keys)


def load_snapshot(state_dir: str) -> Snapshot:
    """What the store says about the trails that were watched last.

    Raises:
        StateUnwritable: There is no store here or it cannot be read.
    """
    store = Store.read_only(state_dir)
    try:
        status = agent_status(started=0.0, state_created=store.created, state_resets=store.resets)
        return Snapshot(time.time(), 0, status, tuple(_trails(store)))
    finally:
        store.close()


def apply_pending(state_dir: str, complain: Callable[[str], None]) -> None:
    """Apply what is waiting in the inbox, and complain about what cannot be believed; the caller holds the lock."""
    store = Store.open(state_dir, time.time())
    try:
        for request in pending(state_dir, complain):
            answer(state_dir, request.id, _applied(store, request))
    finally:
        store.close()


def _watched(store: Store) -> dict[str, TrailState]:
    keys: Sequence[str] = json.loads(store.get(WATCHED) or "[]")
    return {key: state for key in keys if (state := store.load(key)) is not None}


def _trails(store: Store) -> Iterator[TrailSnapshot]:
    for key, state in _watched(store).items():
        runs = {mode: RunStatus.of(store.run(key, mode)) for mode in Mode}
        bound = store.run(key, Mode.SAMPLE).bound
        yield TrailSnapshot(state.name, key.partition("=")[2], state, runs, sample_bound=bound)


def _applied(store: Store, request: Request) -> Answer:
    watched = _watched(store)
    refused = objection(request, watched.values())
    if refused is not None:
        return refused
    if request.scope is Scope.HISTORY:
        return Answer(
            False, message="no agent is running, and only an agent looks at the trail: start it, then ask again"
        )
    names = meant(request, watched.values())
    asked = {key: state for key, state in watched.items() if state.name in names}
    changed = [_changed(store, key, state, request) for key, state in asked.items()]
    return Answer(True, message=outcome(request, asked.values(), changed))


def _changed(store: Store, key: str, before: TrailState, request: Request) -> TrailState:
    after, effects = advance(before, event_of(request, before, time.time()))
    findings = [pair for effect in effects if isinstance(effect, Commit) for pair in effect.findings]
    store.commit(key, before, after, findings)
    return after
