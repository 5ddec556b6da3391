"""What the counters of a trail's writers mean: writes, open failures, or why nothing can be read."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Counted
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.writes import with_counts


def counted(state: TrailState, event: Counted) -> Step:
    """The state after a look at the counters; failures from before the first look at the trail are history."""
    writes = state.writes
    if event.trouble:
        writes = replace(writes, trouble=event.trouble)
    else:
        is_old = not state.first_seen or event.last_failure <= state.first_seen
        is_history = not writes.id and is_old
        writes = with_counts(
            writes, event.id, event.counts, event.last_failure, event.at, step=state.step + 1, is_history=is_history
        )
    return (state, ()) if writes == state.writes else (replace(state, writes=writes), (Commit(),))
