"""A look becomes what is known of a file: seen again, begun, rotated away or gone."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.blocks import same_archive
from auditwatch.ledger.events import FileSight
from auditwatch.ledger.findings import reopened
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Standing, TrailState


def sighted(segment: Segment, sight: FileSight, at: float) -> Segment:
    """The segment with what a look at its file showed."""
    if segment.torn_tail and sight.size > segment.size:
        segment = reopened(segment, segment.torn_tail)
    if not _is_as_read(segment, sight):
        segment = _without_pending(segment)
    return replace(
        segment,
        name=sight.name,
        directory=sight.directory,
        device=sight.device,
        inode=sight.inode,
        size=sight.size,
        modified=sight.modified,
        packed=sight.packed,
        archive=same_archive(segment, sight),
        born_ns=sight.born_ns,
        is_cut=sight.is_cut,
        grown=min(segment.grown, at) if sight.size == segment.size else at,  # a clock may be set back
        unverified_since=None if sight.size == segment.read else segment.unverified_since or at,
    )


def _is_as_read(segment: Segment, sight: FileSight) -> bool:
    """Whether the pending bytes may still be the ones that were read."""
    return sight.size > segment.size or (sight.size, sight.modified) == (segment.size, segment.modified)


def _without_pending(segment: Segment) -> Segment:
    """A writer took back its own pending bytes; what it writes there instead is growth, not history."""
    edge = segment.counted_until if segment.is_catching_up else segment.judged
    return replace(
        segment,
        read=segment.judged,
        counted_until=min(segment.counted_until, edge),
        inherited_until=min(segment.inherited_until, edge),
    )


def with_closed(state: TrailState, sight: FileSight, at: float, history: int) -> TrailState:
    """The state with one more closed segment."""
    segment = replace(_segment(state, sight, at, history), closed=True, is_found=True)
    return replace(state, closed=(*state.closed, segment), next_number=state.next_number + 1)


def with_active(state: TrailState, sight: FileSight, at: float, history: int) -> TrailState:
    """The state with this file as its active segment."""
    segment = _segment(state, sight, at, history)
    return replace(
        state,
        active=segment,
        next_number=state.next_number + 1,
        standing=Standing.PRESENT,
        suspicion=None,
        last_append=sight.modified if sight.size else state.last_append,
    )


def _segment(state: TrailState, sight: FileSight, at: float, history: int) -> Segment:
    fresh = Segment(
        state.next_number,
        sight.name,
        sight.device,
        sight.inode,
        size=0,
        modified=sight.modified,
        inherited_until=0 if state.was_lost else history,
        counted_until=history,
        grown=at,
    )
    return sighted(fresh, sight, at)


def without_active(state: TrailState, active: Segment) -> TrailState:
    """The state after the active file went without a trace."""
    left = replace(active, closed=True, vanished=True)
    return replace(state, active=None, closed=(*state.closed, left), standing=Standing.MISSING)
