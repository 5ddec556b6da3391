"""Which bytes to judge next."""

from __future__ import annotations

from auditwatch.ledger.effects import Read
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState


def wanted(state: TrailState) -> tuple[Read, ...]:
    """One read for each segment with unread bytes; the active file comes first, because people wait for it."""
    newest_first = reversed(state.segments)
    unread = (segment for segment in newest_first if segment.read != segment.size and not segment.vanished)
    return tuple(_read(segment, state.policy.read_bytes) for segment in unread)


def _read(segment: Segment, most: int) -> Read:
    """History and growth never share a read, so that only growth counts as appended.

    A compressed file is read from its start each time, so it is read as far as possible, and nobody will add to it.
    """
    edge = segment.counted_until if segment.read < segment.counted_until else segment.size
    end = min(segment.size, edge, segment.size if segment.packed else segment.read + most)
    is_final = bool(segment.packed) and not segment.is_cut and end == segment.size
    return Read(segment.number, segment.judged, segment.read, end, final=is_final)


def overdue_tails(state: TrailState, at: float) -> tuple[Read, ...]:
    """Final reads of the pending tails of closed segments that have not grown for the grace period.

    Where a compressed segment is cut off, its last bytes are not torn: what follows them is unread.
    """
    return tuple(
        Read(segment.number, segment.judged, segment.read, segment.size, final=True)
        for segment in state.closed
        if segment.judged != segment.size == segment.read
        and not segment.vanished
        and not segment.is_cut
        and segment.grown + state.policy.pending_grace_seconds <= at
    )
