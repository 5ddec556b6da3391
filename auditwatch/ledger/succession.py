"""Which of several files came first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Segment
from auditwatch.trail.names import SegmentOrder, segment_order

AnyFile = TypeVar("AnyFile", FileSight, Segment)


def oldest_first(active_name: str, files: Iterable[AnyFile]) -> tuple[AnyFile, ...]:
    """The files from the oldest to the newest: by their names if all of them follow one scheme, else by their times.

    Args:
        active_name: Name of the active file, without its directory.
        files: Closed segments, wherever they are.
    """
    files = tuple(files)
    by_name = _by_name(active_name, files)
    return tuple(sorted(files, key=partial(_by_time, active_name))) if by_name is None else by_name


def placed(
    active_name: str, closed: Sequence[Segment], segment: Segment, look: Iterable[FileSight]
) -> tuple[Segment, ...]:
    """The closed segments with one more: before the first that is younger by the names that they have in one look.

    Args:
        active_name: Name of the active file, without its directory.
        closed: In their order.
        segment: As it was seen in that look.
        look: What was seen in it; other segments have names from before, which say nothing.
    """
    younger = _named_around(active_name, closed, segment, look)[1]
    place = next((n for n, known in enumerate(closed) if known.number in younger), len(closed))
    return (*closed[:place], segment, *closed[place:])


def put_first(
    active_name: str, closed: Sequence[Segment], segment: Segment, look: Iterable[FileSight]
) -> tuple[Segment, ...]:
    """The same as `placed`, but after the last that is older by those names, and at the start if none is."""
    older = _named_around(active_name, closed, segment, look)[0]
    place = max((n + 1 for n, known in enumerate(closed) if known.number in older), default=0)
    return (*closed[:place], segment, *closed[place:])


def _named_around(
    active_name: str, closed: Sequence[Segment], segment: Segment, look: Iterable[FileSight]
) -> tuple[set[int], set[int]]:
    """Numbers of the segments that are older, and of those that are younger, by their names in one look."""
    seen = {_as_seen(sight) for sight in look}
    there = tuple(known for known in closed if not known.vanished and _as_seen(known) in seen)
    ordered = _by_name(active_name, (*there, segment), there)
    if ordered is None:
        return set(), set()
    numbers = [known.number for known in ordered]
    place = numbers.index(segment.number)
    return set(numbers[:place]), set(numbers[place + 1 :])


def _as_seen(file: FileSight | Segment) -> tuple[int | str, ...]:
    return file.device, file.inode, file.born_ns, file.name, file.size, file.packed


def _by_name(
    active_name: str, files: tuple[AnyFile, ...], seen: tuple[AnyFile, ...] = ()
) -> tuple[AnyFile, ...] | None:
    """In the order of their names; None if they do not follow one scheme.

    Args:
        active_name: Name of the active file, without its directory.
        files: In any order.
        seen: Some of them, in the order in which they were rotated as we saw it.
    """
    orders = [segment_order(active_name, file.name) for file in files]
    known = [order for order in orders if order is not None]
    if len(known) < len(files) or len({order[0] for order in known}) > 1:
        return None
    ordered = tuple(file for _, file in sorted(zip(known, files, strict=True), key=_by_order))
    is_counted = any(order[1] < 0 for order in known)
    return ordered[::-1] if is_counted and _is_rising(ordered, seen) else ordered


def _is_rising(files: tuple[AnyFile, ...], seen: tuple[AnyFile, ...]) -> bool:
    """Whether files that are in the order of falling counts were given rising ones, as log4j may do.

    The order that we saw decides alone: times would be those of a restore as well.
    """
    places = [seen.index(file) for file in files if file in seen]
    return sum((later > earlier) - (later < earlier) for earlier, later in pairwise(places)) < 0


def _by_order(one: tuple[SegmentOrder, AnyFile]) -> tuple[SegmentOrder, str]:
    return one[0], one[1].directory


def _by_time(active_name: str, file: AnyFile) -> tuple[float, SegmentOrder, str, str]:
    return file.modified, segment_order(active_name, file.name) or (0, 0, "", ""), file.name, file.directory
