"""Which of several files came first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TypeGuard, TypeVar

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.trail.names import SegmentOrder, segment_order

AnyFile = TypeVar("AnyFile", FileSight, Segment)


def oldest_first(active_name: str, files: Iterable[AnyFile], *, is_rising: bool | None = None) -> tuple[AnyFile, ...]:
    """The files from the oldest to the newest: by their names if all of them follow one scheme, else by their times.

    Args:
        active_name: Name of the active file, without its directory.
        files: Closed segments, wherever they are.
        is_rising: Whether a higher count is a younger file, as log4j may name them.
    """
    files = tuple(files)
    by_name = _by_name(active_name, files, is_rising)
    return tuple(sorted(files, key=partial(_by_time, active_name))) if by_name is None else by_name


def placed(state: TrailState, segment: Segment, look: Iterable[FileSight]) -> tuple[Segment, ...]:
    """The closed segments with one more: before the first that is younger by the names that they have in one look.

    Args:
        state: With the others.
        segment: As it was seen in that look.
        look: What was seen in it; other segments have names from before, which say nothing.
    """
    closed, younger = state.closed, _named_around(state, state.closed, segment, look)[1]
    place = next((n for n, known in enumerate(closed) if known.number in younger), len(closed))
    return (*closed[:place], segment, *closed[place:])


def put_first(state: TrailState, segment: Segment, look: Iterable[FileSight]) -> tuple[Segment, ...]:
    """The closed segments with the one that was the active one until now, before those that were found earlier.

    That is after the last that is older by the names of one look, or right at the start of those found earlier.

    Args:
        state: With the others.
        segment: As it was seen in that look.
        look: What was seen in it.
    """
    closed = state.closed
    later = next((n for n, s in enumerate(closed) if s.is_later and s.number > segment.number), len(closed))
    older = _named_around(state, closed[later:], segment, look)[0]
    place = max((n + 1 for n, known in enumerate(closed) if known.number in older), default=later)
    return (*closed[:place], segment, *closed[place:])


def set_right(state: TrailState, look: Iterable[FileSight]) -> TrailState:
    """The state with the closed segments that one look shows in the order of the names that they have in it.

    What was found closed was put in its place by a guess: while a rotation is going on, a look shows a part of it.
    Whether counts rise is told by those that were active before our eyes; times would be those of a restore as well.

    Args:
        state: With the segments as the look shows them.
        look: What was seen in it.
    """
    there = _there(state.closed, look)
    state = _with_direction(state, there)
    names = [segment_order(state.policy.file_name, known.name) for known in there]
    is_guess = state.are_counts_rising is None and any(map(_is_counted, names))
    if is_guess or not any(known.is_found for known in there):
        return state
    ordered = _by_name(state.policy.file_name, there, state.are_counts_rising)
    if ordered is None or ordered == there:
        return state
    places, right = {segment.number for segment in there}, iter(ordered)
    closed = tuple(next(right) if segment.number in places else segment for segment in state.closed)
    return replace(state, closed=closed)


def _with_direction(state: TrailState, there: Iterable[Segment]) -> TrailState:
    seen = (segment_order(state.policy.file_name, known.name) for known in there if not known.is_found)
    counts = [order[1] for order in seen if _is_counted(order)]
    steps = sum((later > earlier) - (later < earlier) for earlier, later in pairwise(counts))
    return replace(state, are_counts_rising=steps < 0) if steps else state


def _named_around(
    state: TrailState, closed: Sequence[Segment], segment: Segment, look: Iterable[FileSight]
) -> tuple[set[int], set[int]]:
    """Numbers of the segments that are older, and of those that are younger, by their names in one look."""
    there = (*_there(closed, look), segment)
    ordered = _by_name(state.policy.file_name, there, state.are_counts_rising)
    if ordered is None:
        return set(), set()
    numbers = [known.number for known in ordered]
    place = numbers.index(segment.number)
    return set(numbers[:place]), set(numbers[place + 1 :])


def _there(closed: Iterable[Segment], look: Iterable[FileSight]) -> tuple[Segment, ...]:
    """The segments that one look shows."""
    seen = {_as_seen(sight) for sight in look}
    return tuple(known for known in closed if not known.vanished and _as_seen(known) in seen)


def _as_seen(file: FileSight | Segment) -> tuple[int | str, ...]:
    return file.device, file.inode, file.born_ns, file.name, file.size, file.packed


def _by_name(active_name: str, files: Sequence[AnyFile], is_rising: bool | None) -> tuple[AnyFile, ...] | None:
    """In the order of their names; None if they do not follow one scheme."""
    orders = [segment_order(active_name, file.name) for file in files]
    known = [order for order in orders if order is not None]
    if len(known) < len(files) or len({order[0] for order in known}) > 1:
        return None
    ordered = tuple(file for _, file in sorted(zip(known, files, strict=True), key=_by_order))
    return ordered[::-1] if is_rising and any(map(_is_counted, known)) else ordered


def _is_counted(order: SegmentOrder | None) -> TypeGuard[SegmentOrder]:
    """Whether a name bears a count; `segment_order` negates it, so that a higher one comes first."""
    return order is not None and order[1] < 0


def _by_order(one: tuple[SegmentOrder, AnyFile]) -> tuple[SegmentOrder, str]:
    return one[0], one[1].directory


def _by_time(active_name: str, file: AnyFile) -> tuple[float, SegmentOrder, str, str]:
    return file.modified, segment_order(active_name, file.name) or (0, 0, "", ""), file.name, file.directory
