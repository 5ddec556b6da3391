"""Which bytes to judge next."""

from __future__ import annotations

from auditwatch.ledger.effects import Read
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState


def wanted(state: TrailState) -> tuple[Read, ...]:
    """One read for each segment with unread bytes; the active file comes first, because people wait for it."""
    active = (state.active,) if state.active and state.active.read != state.active.size else ()
    newest_first = (*active, *reversed(state.past.unread))
    return tuple(_read(segment, state.policy.read_bytes) for segment in newest_first)


def _read(segment: Segment, most: int) -> Read:
    """History and growth never share a read, so that only growth counts as appended.

    A compressed file is read from its start each time, so it is read as far as possible, and nobody will add to it.
    """
    edge = segment.counted_until if segment.read < segment.counted_until else segment.size
    end = min(segment.size, edge, segment.size if segment.packed else segment.read + most)
    is_final = bool(segment.packed) and not segment.is_cut and end == segment.size
    return Read(segment.number, segment.judged, segment.read, end, final=is_final)


def overdue_tails(state: TrailState, at: float) -> tuple[Read, ...]:
    """Final reads of the pending tails of closed segments that have not grown for the grace period."""
    return tuple(
        Read(segment.number, segment.judged, segment.read, segment.size, final=True)
        for segment in state.past.unended
        if segment.grown + state.policy.pending_grace_seconds <= at
    )
