"""Closed segments whose files are no longer there: rotated out, as it should be, or missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from auditwatch.ledger.events import Nameless
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.violations import with_violation
from auditwatch.trail.kinds import Violation

NAMED: Final = 3
"""Most segments that the detail of a violation names."""


def overdue(state: TrailState, at: float) -> tuple[Segment, ...]:
    """The segments that have been missing for so long that their absence is proved."""
    return tuple(
        segment
        for segment in state.past.missing
        if segment.missing_since is not None and at - segment.missing_since >= state.policy.absence_seconds
    )


def let_go(state: TrailState, gone: Sequence[Segment], at: float) -> TrailState:
    """The state without these segments, which leave all sums; what was not retention is a violation."""
    numbers = {segment.number for segment in gone}
    closed = tuple(
        replace(segment, vanished=True, missing_since=None) if segment.number in numbers else segment
        for segment in state.closed
    )
    expired = [segment for segment in gone if _holds_lines(segment) and _is_retention(state, segment, numbers, at)]
    missing = [segment for segment in gone if _holds_lines(segment) and segment not in expired]
    state = replace(
        state,
        closed=closed,
        expired=state.expired + len(expired),
        expired_unread=state.expired_unread + sum(not _is_read(segment) for segment in expired),
    )
    return _with_missing(state, missing, at) if missing else state


def rotated_out(state: TrailState, active: Segment, at: float, *, is_read: bool) -> TrailState:
    """The state after the active file was rotated, and then removed, before it was looked at again.

    Args:
        state: With it.
        active: The file.
        at: When that was seen.
        is_read: Whether it was held open and read to its end; between a stop and the next start it was not.
    """
    left = replace(active, closed=True, vanished=True)
    state = replace(
        state, active=None, closed=(*state.closed, left), rotations=state.rotations + 1, expired=state.expired + 1
    )
    state = replace(state, expired_unread=state.expired_unread + (not is_read), suspicion=None)
    is_early = state.policy.keep_seconds is not None and at - active.grown < state.policy.keep_seconds
    return _with_missing(state, [left], at) if is_early else state


def written_to_nothing(state: TrailState, event: Nameless) -> TrailState:
    """The state after somebody went on writing to a file that no longer has a name."""
    detail = f"{event.size} bytes written to a file of the trail after it was deleted: its writer still has it open"
    return with_violation(state, Violation.DELETED, state.policy.file_name, detail, event.at)


def _is_retention(state: TrailState, segment: Segment, gone: set[int], at: float) -> bool:
    """Retention removes oldest first, and not before `keep`, or else leaves as much as went.

    With `keep: 0s` something else takes segments away at any time. Without `keep`, a rotation that comes along removes
    as many as it likes, as long as some stay; else what went in one look went together. An older one that is missing
    itself does not make a younger one too early. What was not read to its end may go with a rotation, or between a stop
    and the next start: it is counted apart.
    """
    staying = [known for known in state.closed if not known.vanished and known.number not in gone]
    older = state.closed[: state.closed.index(segment)]
    is_oldest = all(known.vanished or known.missing_since is not None or known.number in gone for known in older)
    keep = state.policy.keep_seconds
    if keep is not None:
        return keep == 0 or (is_oldest and _is_read(segment) and at - segment.grown >= keep)
    came_along = state.rotations > segment.missing_at_rotation
    if not is_oldest or not (_is_read(segment) or state.is_resumed or came_along):
        return False
    together = [known for known in state.closed if known.missing_since == segment.missing_since]
    return bool(staying) if came_along else len(staying) >= sum(map(_holds_lines, together))


def _is_read(segment: Segment) -> bool:
    return segment.judged == segment.size or segment.torn_tail is not None


def _holds_lines(segment: Segment) -> bool:
    """Empty segments may go without a word."""
    return segment.size > 0


def _with_missing(state: TrailState, missing: Sequence[Segment], at: float) -> TrailState:
    names = ", ".join(segment.name for segment in missing[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    size, lines = sum(segment.size for segment in missing), sum(segment.lines for segment in missing)
    detail = f"{names}{more}: gone with {size} bytes, {lines} judged lines; younger segments or `keep` say too early"
    return with_violation(state, Violation.SEGMENT_MISSING, missing[0].name, detail, at)
