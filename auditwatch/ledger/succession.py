"""Which of several files came first."""

from __future__ import annotations

from collections.abc import Iterable

from auditwatch.ledger.events import FileSight
from auditwatch.trail.names import SegmentOrder, segment_order


def oldest_first(active_name: str, sights: Iterable[FileSight]) -> tuple[FileSight, ...]:
    """The files from the oldest to the newest: by their names if all of them follow one scheme, else by their times.

    Args:
        active_name: Name of the active file, without its directory.
        sights: Of closed segments, wherever they are.
    """
    ordered = [(segment_order(active_name, sight.name), sight) for sight in sights]
    schemes = {order[0] if order else None for order, _ in ordered}
    is_by_name = len(schemes) == 1 and None not in schemes
    return tuple(sight for _, sight in sorted(ordered, key=lambda one: _key(*one, is_by_name=is_by_name)))


def _key(order: SegmentOrder | None, sight: FileSight, *, is_by_name: bool) -> tuple[float, SegmentOrder, str, str]:
    time = 0.0 if is_by_name else sight.modified
    return time, order or (0, 0, "", ""), sight.name, sight.directory
