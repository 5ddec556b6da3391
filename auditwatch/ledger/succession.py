"""Which of several files came first."""

from __future__ import annotations

from collections.abc import Iterable
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
    ordered = [(segment_order(active_name, file.name), file) for file in files]
    schemes = {order[0] if order else None for order, _ in ordered}
    is_by_name = len(schemes) == 1 and None not in schemes
    return tuple(file for _, file in sorted(ordered, key=lambda one: _key(*one, is_by_name=is_by_name)))


def _key(order: SegmentOrder | None, file: AnyFile, *, is_by_name: bool) -> tuple[float, SegmentOrder, str, str]:
    time = 0.0 if is_by_name else file.modified
    return time, order or (0, 0, "", ""), file.name, file.directory
