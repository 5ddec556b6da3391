"""What a step of a trail changes in the few numbers that `state.step` keeps of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from auditwatch.ledger.segment import Segment, tallied
from auditwatch.ledger.state import TrailState
from auditwatch.state.step import TrailMark, trail_mark


def is_growth_alone(before: TrailState | None, after: TrailState) -> bool:
    """Whether a step without findings only moved positions: lost in a power cut, it would be judged again.

    Everything else (rotations, violations, acknowledgements, what writers counted) has to survive one.
    """
    if before is None:
        return False
    return (
        before.closed is after.closed
        and before.violations is after.violations
        and before.next_number == after.next_number
        and before.first_seen == after.first_seen
        and before.writes is after.writes
        and before.writes_note is after.writes_note
        and before.unlisted_note is after.unlisted_note
        and _unlisted(before) == _unlisted(after)
    )


def _unlisted(state: TrailState) -> object:
    return state.active.unlisted if state.active else None


def mark_after(
    key: str,
    known: TrailMark | None,
    before: TrailState | None,
    after: TrailState,
    step: int,
    *,
    is_growth: bool = False,
) -> TrailMark:
    """The mark of a trail after a step; the work is that of what changed, however many segments there are."""
    if known is None or before is None:
        return trail_mark(key, after, step)
    judged = after.active.judged if after.active else 0
    if is_growth:
        return replace(known, step=step, judged=judged)
    found = Counter(known.open)
    for old, new in _changed(before, after):
        found.subtract(_open(old))
        found.update(_open(new))
    ids = trail_mark(key, replace(after, closed=(), active=None), step)
    open_now = {kind: count for kind, count in found.items() if count > 0}
    return replace(ids, judged=judged, open=open_now)


def _changed(before: TrailState, after: TrailState) -> Iterator[tuple[Segment | None, Segment | None]]:
    if before.closed is not after.closed:
        known = {segment.number: segment for segment in before.closed}
        for segment in after.closed:
            old = known.pop(segment.number, None)
            if old is not segment:
                yield old, segment
        yield from ((segment, None) for segment in known.values())
    if before.active is not after.active:
        yield before.active, after.active


def _open(segment: Segment | None) -> dict[str, int]:
    if segment is None:
        return {}
    return {kind.value: tally.open for kind, tally in tallied(segment).items() if tally.open}
