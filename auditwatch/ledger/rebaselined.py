"""Taking what lies there as new history, and what has to be remembered of the former one for that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from auditwatch.ledger.blocks import blocks_of
from auditwatch.ledger.damage import Acknowledgement, Rebaseline, ViolationRow
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import Rebaselined
from auditwatch.ledger.segment import Former, Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.violations import accepting, news_of
from auditwatch.trail.kinds import HISTORY

MOST_REBASELINES: Final = 100
"""Most of them that a trail remembers."""

MOST_FORMER_BLOCKS: Final = 1_000
"""The latest 4 GB: they are stored with each step as long as the violation is open."""


def rebaselined(state: TrailState, event: Rebaselined) -> Step:
    """The state without open violations of history; the same state if there are none.

    A file that was truncated or replaced is judged anew since that was confirmed; of one that was rewritten in place,
    the digests that the violation names are accepted.
    """
    meant = {row.id for row in open_history(state.violations) if row.step <= event.step}
    if not meant:
        return state, ()
    note = Acknowledgement(event.at, event.by, event.reason)
    violations = tuple(replace(row, acknowledgement=note) if row.id in meant else row for row in state.violations)
    taken = Rebaseline(event.at, event.by, event.reason, event.proof, len(meant))
    after = replace(state, violations=violations, rebaselines=(*state.rebaselines, taken)[-MOST_REBASELINES:])
    for row in violations:
        if row.id in meant:
            after = accepting(after, row)
    return after, (Commit(),)


def open_history(violations: Iterable[ViolationRow]) -> tuple[ViolationRow, ...]:
    """Violations of history that are not acknowledged."""
    return tuple(row for row in violations if row.kind in HISTORY and row.acknowledgement is None)


def former_history(before: TrailState, after: TrailState) -> Former | None:
    """What to remember after a step: the history as it was before the first violation that is still open."""
    if not open_history(after.violations):
        return None
    news = open_history(news_of(before.violations, after.violations))
    if open_history(before.violations) or not news:
        return after.former
    segment = _violated(before, news[0])
    if segment is None:
        return None
    blocks = blocks_of(segment)[-MOST_FORMER_BLOCKS:]
    return Former(segment.number, segment.anchor, segment.sketch, blocks, segment.closed)


def _violated(before: TrailState, row: ViolationRow) -> Segment | None:
    """The segment that a violation is about: the one that it names, else the file at the path, else the newest one."""
    numbers = {named.segment for named in row.named}
    known = (*((before.active,) if before.active else ()), *reversed(before.closed))
    plain = [segment for segment in known if segment.anchor.position and not segment.packed]
    return next((s for s in plain if s.number in numbers), plain[0] if plain and not numbers else None)
