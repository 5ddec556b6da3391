"""The life of violations: one cause opens one, and what it does later is counted in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from auditwatch.ledger.blocks import with_digest
from auditwatch.ledger.damage import Acknowledgement, ViolationRow
from auditwatch.ledger.state import TrailState
from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.ids import violation_id
from auditwatch.trail.kinds import Violation

BY_CONFIGURATION: Final = "configuration"
"""Who acknowledged what the configuration accepts."""

MOST_VIOLATIONS: Final = 1_000
"""Most violations that a trail remembers; of more, the oldest acknowledged ones are forgotten."""


def with_violation(state: TrailState, kind: Violation, segment: str, detail: str, at: float) -> TrailState:
    """The state with one more violation, or one more occurrence of the open one of the same kind.

    Args:
        state: Of the trail.
        kind: Which violation.
        segment: Name of the file in which it was seen.
        detail: One line for people: sizes and positions, never contents.
        at: When it was confirmed.
    """
    known = open_violation(state, kind)
    if known is not None:
        return with_row(state, _again(known, segment, detail, at))
    return _with_new(state, ViolationRow("", kind, segment, detail, at))


def with_accepted(state: TrailState, kind: Violation, segment: str, detail: str, at: float) -> TrailState:
    """The state with an occurrence that the configuration accepts: it is listed and counted, and nobody is paged.

    Args and the rest are those of `with_violation`.
    """
    note = Acknowledgement(at, BY_CONFIGURATION, f"rotation: {state.policy.rotation}")
    known = next((row for row in reversed(state.violations) if row.kind is kind and _is_accepted(row)), None)
    if known is not None:
        return with_row(state, _again(known, segment, detail, at))
    return _with_new(state, ViolationRow("", kind, segment, detail, at, note))


def _with_new(state: TrailState, row: ViolationRow) -> TrailState:
    place = f"{len(state.violations)}/{row.segment}/{row.seen}"
    row = replace(row, id=violation_id(state.name, row.kind, place))
    return replace(state, violations=_within_bounds((*state.violations, row)))


def _again(row: ViolationRow, segment: str, detail: str, at: float) -> ViolationRow:
    return replace(row, count=row.count + 1, latest=detail, latest_segment=segment, latest_seen=at)


def _is_accepted(row: ViolationRow) -> bool:
    return row.acknowledgement is not None and row.acknowledgement.by == BY_CONFIGURATION


def open_violation(state: TrailState, kind: Violation) -> ViolationRow | None:
    """The violation of this kind that is open, the newest if there are several; None if there is none."""
    return next((row for row in reversed(state.violations) if row.kind is kind and row.acknowledgement is None), None)


def with_row(state: TrailState, row: ViolationRow) -> TrailState:
    """The state with this row in place of the one with the same id."""
    return replace(state, violations=tuple(row if known.id == row.id else known for known in state.violations))


def news_of(before: Iterable[ViolationRow], after: Iterable[ViolationRow]) -> tuple[ViolationRow, ...]:
    """The violations that are new, or were seen again, in a step."""
    counts = {row.id: row.count for row in before}
    return tuple(row for row in after if row.count > counts.get(row.id, 0))


def accepting(state: TrailState, row: ViolationRow) -> TrailState:
    """The state in which the bytes that an acknowledged violation names are history, and no others.

    If the acknowledgement was undone, they are what they were before it.
    """
    for named in row.named:
        segment = state.segment(named.segment)
        old, new = (named.recorded, named.found) if row.acknowledgement else (named.found, named.recorded)
        if segment is not None:
            known, fresh = (BlockDigest(named.start, named.end, digest) for digest in (old, new))
            state = state.with_segment(with_digest(segment, known, fresh))
    return state


def _within_bounds(rows: tuple[ViolationRow, ...]) -> tuple[ViolationRow, ...]:
    surplus = len(rows) - MOST_VIOLATIONS
    if surplus <= 0:
        return rows
    forgotten = [row.id for row in rows if row.acknowledgement is not None][:surplus]
    return tuple(row for row in rows if row.id not in forgotten)
