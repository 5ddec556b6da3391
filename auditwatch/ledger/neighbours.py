"""The files beside a trail: which known segments they are, which are new, and which are copies."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.identity import (
    fault,
    is_copy,
    is_plain_copy,
    is_same_inode,
    known_as,
    repeats,
    rotated_to,
)
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.sighted import sighted, with_closed
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.succession import oldest_first, placed, set_right


def is_away(state: TrailState, event: Observed) -> bool:
    """Whether the directory itself is not there, or another file system hides it: then nothing in it was removed.

    If the trail is there, or all its closed segments that were there before, the devices were only numbered anew.
    """
    if state.directory in (0, event.directory):
        return False
    if event.active is not None and state.active is not None and fault(state.active, event.active) is None:
        return False
    closed = [segment for segment in state.closed if not segment.vanished and segment.missing_since is None]
    return not event.directory or not closed or len(known_as(closed, event.others or ())) < len(closed)


def with_neighbours(state: TrailState, event: Observed) -> TrailState:
    """The closed segments as they are now: renamed, grown by a late append, vanished or back."""
    if event.others is None or is_away(state, event):
        return state
    # The active file may have the inode of a closed one that was deleted; under a new name it is still not that one.
    others = tuple(s for s in event.others if not (state.active and is_same_inode(state.active, s)))
    found = _found(state, event, others)
    now = tuple(_neighbour(s, found.get(s.number), event, state.rotations_settled) for s in state.closed)
    return state if now == state.closed else replace(state, closed=now)


def are_names_settled(state: TrailState, event: Observed) -> bool:
    """Whether files have the names that they had: no rotation goes on, or was not yet seen to its end."""
    return is_quiet(state, event) and state.rotations == state.rotations_settled


def is_quiet(state: TrailState, event: Observed) -> bool:
    """Whether the file at the path is the one that was there at the last look."""
    return bool(state.active and event.active and is_same_inode(state.active, event.active))


def _found(state: TrailState, event: Observed, others: tuple[FileSight, ...]) -> dict[int, FileSight]:
    """The closed segments among the neighbours; one that is long gone does not take what the active one became."""
    living = [segment for segment in state.closed if not segment.vanished]
    found = known_as(living, others, by_name=are_names_settled(state, event))
    if state.active and not is_quiet(state, event):  # its bytes tell more than the size of one that nobody read
        unread = [segment.number for segment in living if not segment.anchor.position and not segment.packed]
        for number in unread:
            if number in found and found[number].packed and repeats(state.active, found[number]):
                del found[number]
    taken = {id(sight) for sight in found.values()}  # to compare each with each would take longer the more there are
    left = [sight for sight in others if id(sight) not in taken]
    if state.active and not is_quiet(state, event):
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
    if event.others is None or event.is_reading:
        return state
    packed = [sight for sight in strangers(state, event) if sight.packed]
    for sight in packed:
        became = state.active is not None and not is_quiet(state, event) and repeats(state.active, sight)
        if _is_news(state, sight) and not became:  # what the active file became is for a look at the path to say
            is_later = state.active is not None and not is_quiet(state, event)
            state = with_found(state, sight, event, is_later=is_later)
    own = {(segment.device, segment.inode) for segment in state.files}
    copies = tuple(sight.name for sight in packed if (sight.device, sight.inode) not in own)
    return state if copies == state.copies else replace(state, copies=copies)


def with_order(before: TrailState, state: TrailState, event: Observed) -> TrailState:
    """With the closed segments in the order that their names tell, if those are not the ones of the look before."""
    if event.others is None or event.is_unpacking or state.closed is before.closed:
        return state
    return set_right(state, event.others)


def with_found(state: TrailState, sight: FileSight, event: Observed, *, is_later: bool = False) -> TrailState:
    """With a segment that nobody had seen: a rotation that was missed, or one from before first sight, found late."""
    if event.at < state.first_seen or not _is_history(state, sight):  # a clock that is set back says nothing
        found = replace(with_closed(state, sight, event.at, history=0).closed[-1], is_later=is_later)
        # A plain file would have been seen before; a compressed one may have been in the making for some time.
        closed = placed(state, found, event.others or ()) if sight.packed else (*state.closed, found)
        return replace(state, closed=closed, next_number=state.next_number + 1, rotations=state.rotations + 1)
    *known, found = with_closed(state, sight, event.at, history=sight.size).closed
    count = next((n for n, segment in enumerate(known) if not segment.is_history), len(known))
    gone = [segment for segment in known[:count] if segment.vanished]
    there = [segment for segment in known[:count] if not segment.vanished]
    ordered = oldest_first(state.policy.file_name, (*there, found), is_rising=state.are_counts_rising)
    closed = (*gone, *ordered, *known[count:])
    return replace(state, closed=closed, next_number=state.next_number + 1)


def _is_history(state: TrailState, sight: FileSight) -> bool:
    """Whether a file was there before first sight, and could not be known then: compressed, or in another place.

    Any program may set the time at which it was modified.
    """
    born = sight.born_ns / 1e9 or sight.modified
    return bool(sight.packed or sight.directory) and born < state.first_seen


def with_missed(state: TrailState, event: Observed) -> TrailState:
    """With the segments that came and went between two looks: busy writers rotate that often."""
    for missed in unknown(state, event):
        state = with_found(state, missed, event)
    return state


def unknown(state: TrailState, event: Observed) -> tuple[FileSight, ...]:
    """Strangers that are no copies, whenever they were written, from the oldest to the newest."""
    found = tuple(sight for sight in strangers(state, event) if _is_news(state, sight))
    return oldest_first(state.policy.file_name, found, is_rising=True) if state.are_counts_rising else found


def _is_news(state: TrailState, sight: FileSight) -> bool:
    """Whether a file holds more than a copy of a segment that is there."""
    if sight.packed:
        return not any(is_copy(segment, sight) for segment in state.files)
    return state.active is None or not is_plain_copy(state.active, sight)


def strangers(state: TrailState, event: Observed) -> tuple[FileSight, ...]:
    """Neighbours that are neither known closed segments nor the active file, renamed since it was looked at."""
    # The inode of a file that is gone may be reused: by one that was born later, or by the archive of another segment.
    closed = (segment for segment in state.closed if not segment.vanished and segment.missing_since is None)
    known: defaultdict[tuple[int, int], list[Segment | FileSight]] = defaultdict(list)
    for file in (*closed, *((event.active,) if event.active else ())):
        known[file.device, file.inode].append(file)
    return tuple(
        sight
        for sight in event.others or ()
        if not any(is_same_inode(file, sight) for file in known.get((sight.device, sight.inode), ()))
    )
