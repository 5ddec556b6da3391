"""Taking what lies there as new history, and what has to be remembered of the former one for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from auditwatch.ledger.damage import Acknowledgement, Rebaseline, ViolationRow
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Rebaselined
from auditwatch.ledger.segment import Former
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.violations import accepting, news_of
from auditwatch.trail.kinds import HISTORY

MOST_REBASELINES: Final = 100
"""Most of them that a trail remembers."""


def rebaselined(state: TrailState, event: Rebaselined) -> Step:
    """The state without open violations of history; the same state if there are none.

    What the file holds is accepted as far as a violation names it, or is judged anew since one was confirmed.
    """
    meant = {row.id for row in open_history(state.violations) if row.step <= event.step}
    if not meant:
        return state, ()
    note = Acknowledgement(event.at, event.by, event.reason)
    violations = tuple(replace(row, acknowledgement=note) if row.id in meant else row for row in state.violations)
    taken = Rebaseline(event.at, event.by, event.reason, event.proof, len(meant))
    rebaselines = (*state.rebaselines, taken)[-MOST_REBASELINES:]
    former = state.former if any(open_history(violations)) else None
    for row in violations:
        state = accepting(state, row) if row.id in meant else state
    return replace(state, violations=violations, rebaselines=rebaselines, former=former), (Commit(),)


def open_history(violations: Iterable[ViolationRow]) -> tuple[ViolationRow, ...]:
    """Violations of history that are not acknowledged."""
    return tuple(row for row in violations if row.kind in HISTORY and row.acknowledgement is None)


def former_history(before: TrailState, after: TrailState) -> Former | None:
    """What to remember after a step: the history as it was before the first violation that is still open."""
    news = news_of(before.violations, after.violations)
    if open_history(before.violations) or not open_history(news):
        return after.former
    known = (*((before.active,) if before.active else ()), *reversed(before.closed))
    segment = next((segment for segment in known if segment.anchor.position), None)
    return Former(segment.number, segment.anchor, segment.sketch) if segment else None
