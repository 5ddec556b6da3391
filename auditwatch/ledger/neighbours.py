"""The files beside a trail: which known segments they are, which are new, and which are copies."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.identity import (
    fault,
    is_copy,
    is_plain_copy,
    is_same_inode,
    known_as,
    rotated_to,
)
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.sighted import sighted, with_closed
from auditwatch.ledger.state import TrailState


def is_away(state: TrailState, event: Observed) -> bool:
    """Whether the directory itself is not there, or another file system hides it: then nothing in it was removed.

    If the trail is there, the devices were only numbered anew.
    """
    if event.active is not None and state.active is not None and fault(state.active, event.active) is None:
        return False
    return state.directory not in (0, event.directory)


def with_neighbours(state: TrailState, event: Observed) -> TrailState:
    """The closed segments as they are now: renamed, grown by a late append, vanished or back."""
    if event.others is None or is_away(state, event):
        return state
    # The active file may have the inode of a closed one that was deleted; under a new name it is still not that one.
    others = tuple(s for s in event.others if not (state.active and is_same_inode(state.active, s)))
    found = _found(state, event, others)
    now = tuple(_neighbour(s, found.get(s.number), event, state.rotations) for s in state.closed)
    return state if now == state.closed else replace(state, closed=now)


def _found(state: TrailState, event: Observed, others: tuple[FileSight, ...]) -> dict[int, FileSight]:
    """The closed segments among the neighbours; one that is long gone does not take what the active one became."""
    is_quiet = bool(state.active and event.active and is_same_inode(state.active, event.active))
    living = [segment for segment in state.closed if not segment.vanished]
    found = known_as(living, others, by_name=is_quiet and state.rotations == state.rotations_settled)
    taken = {id(sight) for sight in found.values()}  # to compare each with each would take longer the more there are
    left = [sight for sight in others if id(sight) not in taken]
    if state.active and not is_quiet:
        became = rotated_to(state.active, left)
        left = [sight for sight in left if sight is not became]
    return found | known_as((segment for segment in state.closed if segment.vanished), left, by_name=False)


def _neighbour(segment: Segment, sight: FileSight | None, event: Observed, rotations: int) -> Segment:
    if sight is not None:
        seen = replace(sighted(segment, sight, event.at), missing_since=None, vanished=False)
        return segment if seen == segment else seen  # what stays the same object is not stored again
    if event.is_unpacking or segment.vanished or segment.directory in event.unlisted:
        return segment
    if segment.missing_since is None:
        return replace(segment, missing_since=event.at, missing_at_rotation=rotations)
    return replace(segment, missing_since=min(segment.missing_since, event.at))


def with_archives(state: TrailState, event: Observed) -> TrailState:
    """With the compressed segments that nobody had seen: from before first sight, or rotated while nobody looked.

    Copies of a segment that is still there are only named.
    """
    if event.others is None:
        return state
    packed = [sight for sight in strangers(state, event) if sight.packed]
    for sight in packed:
        if _is_news(state, sight):
            is_history = sight.modified < state.first_seen
            state = with_closed(state, sight, event.at, history=sight.size if is_history else 0)
            state = _oldest_first(state) if is_history else replace(state, rotations=state.rotations + 1)
    own = {(segment.device, segment.inode) for segment in state.files}
    copies = tuple(sight.name for sight in packed if (sight.device, sight.inode) not in own)
    return state if copies == state.copies else replace(state, copies=copies)


def _oldest_first(state: TrailState) -> TrailState:
    """With the last closed segment, found late, among those from before first sight."""
    *known, found = state.closed
    place = next(
        (n for n, segment in enumerate(known) if not segment.packed or not segment.inherited_until), len(known)
    )
    return replace(state, closed=(*known[:place], found, *known[place:]))


def with_missed(state: TrailState, event: Observed) -> TrailState:
    """With the segments that came and went between two looks: busy writers rotate that often."""
    for missed in unknown(state, event):
        state = replace(with_closed(state, missed, event.at, history=0), rotations=state.rotations + 1)
    return state


def unknown(state: TrailState, event: Observed) -> tuple[FileSight, ...]:
    """Strangers that are no copies, whenever they were written."""
    return tuple(sight for sight in strangers(state, event) if _is_news(state, sight))


def _is_news(state: TrailState, sight: FileSight) -> bool:
    """Whether a file holds more than a copy of a segment that is there."""
    if sight.packed:
        return not any(is_copy(segment, sight) for segment in state.files)
    return state.active is None or not is_plain_copy(state.active, sight)


def strangers(state: TrailState, event: Observed) -> tuple[FileSight, ...]:
    """Neighbours that are neither known closed segments nor the active file, renamed since it was looked at."""
    # The inode of a file that is gone may be reused.
    closed = (segment for segment in state.closed if not segment.vanished and segment.missing_since is None)
    known = {(file.device, file.inode) for file in (*closed, *((event.active,) if event.active else ()))}
    return tuple(sight for sight in event.others or () if (sight.device, sight.inode) not in known)
