"""What a look at the files means: a first look, growth, rotation, or a violation of history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from auditwatch.ledger.archived import GoneFindings, told, without_unfinished
from auditwatch.ledger.blocks import same_archive
from auditwatch.ledger.effects import Commit, Effect, LookAgain, Read, Step
from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.findings import reopened, restart
from auditwatch.ledger.identity import (
    fault,
    is_back,
    is_copy,
    is_plain_copy,
    is_same_inode,
    known_as,
    repetition,
    rotated_to,
)
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Standing, Suspicion, TrailState
from auditwatch.ledger.vanished import let_go, overdue, rotated_out
from auditwatch.ledger.violations import with_violation
from auditwatch.ledger.wanted import wanted
from auditwatch.trail.kinds import Violation


def observed(state: TrailState, event: Observed) -> Step:
    """The state after a look at the files, and what to read; the very same state object if nothing was new."""
    after, effects = _looked(state, event)
    return (state if after == state else after), effects


def _looked(state: TrailState, event: Observed) -> Step:
    if event.trouble is not None:
        return replace(state, standing=Standing.UNREADABLE, trouble=event.trouble), ()
    step = _later_look if state.first_seen else _first_look
    looked, effects = step(replace(state, trouble=None), without_unfinished(state, event))
    after, lost = told(state, looked, event.at)
    return (looked, effects) if after is looked else (after, _again(after, effects, lost))


def _again(state: TrailState, effects: tuple[Effect, ...], lost: GoneFindings = ()) -> tuple[Effect, ...]:
    """The effects, with the reads that are wanted now."""
    others = tuple(effect for effect in effects if not isinstance(effect, Read))
    return (*others, Commit(lost), *wanted(state))


def _later_look(state: TrailState, event: Observed) -> Step:
    state, effects = _looked_at_path(_neighbours(state, event), event)
    if state.suspicion is not None or LookAgain() in effects:
        return state, effects
    after = _adopted(state, event)
    if gone := overdue(after, event.at):
        after = let_go(after, gone, event.at)
    if after is not state:
        effects = _again(after, effects)
    if after.is_settled and event.others is not None and not event.is_unpacking:
        after = replace(after, is_resumed=False, rotations_settled=after.rotations)
    return after, effects


def _is_away(state: TrailState, event: Observed) -> bool:
    """Whether the directory itself is not there, or another file system hides it: then nothing in it was removed.

    If the trail is there, the devices were only numbered anew.
    """
    if event.active is not None and state.active is not None and fault(state.active, event.active) is None:
        return False
    return state.directory not in (0, event.directory)


def _looked_at_path(state: TrailState, event: Observed) -> Step:
    if event.active is not None and event.directory:
        state = replace(state, directory=event.directory)
    if state.active is None:
        return _await(state, event)
    if event.active is None:
        return _missing(state, state.active, event)
    if not is_same_inode(state.active, event.active):
        return _swapped(state, state.active, event, event.active)
    return _compared(state, state.active, event, event.active)


def _first_look(state: TrailState, event: Observed) -> Step:
    """The first look: everything that is there now was there before us."""
    for sight in _strangers(state, event):
        state = _with_closed(state, sight, event.at, history=sight.size)
    state = replace(state, first_seen=event.at, directory=event.directory)
    if event.active is None:
        standing = Standing.ROTATED if state.closed else Standing.MISSING
        state = replace(state, standing=standing)
    else:
        state = _with_active(state, event.active, event.at, history=event.active.size)
        state = replace(state, last_append=event.active.modified if event.active.size else 0.0)
    return state, (Commit(), *wanted(state))


def _await(state: TrailState, event: Observed) -> Step:
    """There was no file at the last look; whatever appears now was written while we watched."""
    if event.others is None:
        return state, (LookAgain(),)
    if event.active is None:
        after = _with_missed(state, event)
        standing = Standing.ROTATED if state.standing is Standing.ROTATED or after is not state else Standing.MISSING
        return replace(after, standing=standing), () if after is state else (Commit(), *wanted(after))
    back = next((s for s in state.closed if s.vanished and is_back(s, event.active)), None)
    if back is not None:
        revived = replace(back, name=event.active.name, closed=False, vanished=False)
        others = tuple(segment for segment in state.closed if segment is not back)
        return _present(replace(state, closed=others), revived, event.active, event.at, commit=True)
    return _next_file(state, event, event.active)


def _next_file(state: TrailState, event: Observed, sight: FileSight) -> Step:
    """The file that was awaited: new, or a copy of the one that was rotated away, perhaps edited."""

    def begun(state: TrailState) -> TrailState:
        return _with_active(_with_missed(state, event), sight, event.at, history=0)

    repeated = repetition(state.closed[-1], sight) if state.closed else None
    if repeated is not None:
        return _suspected(state, repeated, event.at, lambda s: _not_as_growth(begun(s)))
    state = begun(state)
    return state, (Commit(), *wanted(state))


def _present(state: TrailState, active: Segment, sight: FileSight, at: float, commit: bool = False) -> Step:
    has_grown = sight.size > active.size
    state = replace(
        state,
        active=sighted(active, sight, at),
        standing=Standing.PRESENT,
        suspicion=None,
        last_append=sight.modified if has_grown else state.last_append,
    )
    return state, (*((Commit(),) if commit else ()), *wanted(state))


def _swapped(state: TrailState, active: Segment, event: Observed, sight: FileSight) -> Step:
    """Another file is at the path: a rotation if the old one is beside it, even if both have the same content."""
    if event.others is None:
        return state, (LookAgain(),)
    if (renamed := _renamed(state, active, event)) is not None:
        repeated = repetition(active, sight)
        if repeated is not None:
            return _copied(state, active, renamed, event, repeated)
        return _rotated(state, active, renamed, event)
    return (state, ()) if event.is_unpacking else _without_a_name(state, active, event, sight)


def _renamed(state: TrailState, active: Segment, event: Observed) -> FileSight | None:
    """The active segment under another name, beside the trail or wherever the held file is now."""
    renamed = rotated_to(active, _strangers(state, event))
    former = event.former
    if renamed is not None or former is None or not former.name or _is_away(state, event):
        return renamed
    return former if fault(active, former) is None else None


def _without_a_name(state: TrailState, active: Segment, event: Observed, sight: FileSight) -> Step:
    """Another file is at the path, and the old one is nowhere."""
    state, active, rest = _with_rest(state, active, event)
    if _is_rotated_out(state, event):
        return _after_rotated_out(state, active, event, rest)
    if active.anchor.position:
        return _after(rest, _compared(state, active, event, sight))
    if rest:
        return state, (*rest, LookAgain())
    state = _with_missed(state, event)  # no history that could be violated
    fresh = replace(active, read=0, counted_until=0, inherited_until=0, size=0)
    return _present(state, fresh, sight, event.at, commit=True)


def _copied(state: TrailState, active: Segment, renamed: FileSight, event: Observed, repeated: Suspicion) -> Step:
    """The old file lives on beside a copy of it, as `sed -i.1` leaves them."""
    suspicion = replace(repeated, detail=f"{repeated.detail}; the file that was judged is {renamed.name} now")

    def confirm(state: TrailState) -> TrailState:
        return _not_as_growth(_rotated(state, active, renamed, event)[0])

    return _suspected(state, suspicion, event.at, confirm)


def _not_as_growth(state: TrailState) -> TrailState:
    """What the active file repeats was appended once before."""
    active = state.active
    return replace(state, active=replace(active, counted_until=active.size)) if active else state


def _compared(state: TrailState, active: Segment, event: Observed, sight: FileSight) -> Step:
    suspicion = fault(active, sight)
    if suspicion is None:
        return _present(state, active, sight, event.at)
    if event.others is None:
        return state, (LookAgain(),)
    if is_same_inode(active, sight) and (copy := rotated_to(active, _strangers(state, event))) is not None:
        # A copy beside the trail is not a rotation: what was written between copying and truncating is in neither.
        suspicion = replace(suspicion, detail=f"{suspicion.detail}; copied to {copy.name} before")
    return _changed(state, active, event, sight, suspicion)


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


def _missing(state: TrailState, active: Segment, event: Observed) -> Step:
    if event.others is None:
        return state, (LookAgain(),)
    if (sight := _renamed(state, active, event)) is not None:
        return _rotated(state, active, sight, event)
    return (state, ()) if event.is_unpacking else _nowhere(state, active, event)


def _nowhere(state: TrailState, active: Segment, event: Observed) -> Step:
    """No file is at the path, and the old one is nowhere."""
    state, active, rest = _with_rest(state, active, event)
    if _is_rotated_out(state, event):
        return _after_rotated_out(state, active, event, rest)
    if active.anchor.position == 0:
        if _is_away(state, event):
            return replace(state, standing=Standing.MISSING), ()
        return (state, (*rest, LookAgain())) if rest else (_gone(state, active), (Commit(),))
    patience = state.policy.absence_seconds
    if _is_away(state, event):
        patience = max(state.policy.pending_grace_seconds, 2 * patience)
        state = replace(state, standing=Standing.MISSING)
    suspicion = Suspicion(Violation.DELETED, f"no file where {active.anchor.position} bytes had been judged")
    return _after(rest, _suspected(state, suspicion, event.at, lambda s: _gone(s, active), patience))


def _is_rotated_out(state: TrailState, event: Observed) -> bool:
    """Whether retention took the active file before it was looked at again: younger files are there, no older ones.

    Either nobody looked, or it is held open and so can still be read to its end.
    """
    there = {(sight.device, sight.inode) for sight in event.others or ()}
    active = state.active.number if state.active else 0
    living = [s for s in state.closed if not s.vanished and (s.device, s.inode) in there]
    is_held = event.former is not None and not event.former.name
    return (
        (state.is_resumed or is_held)
        and not _is_away(state, event)
        and (bool(_unknown(state, event)) or any(segment.number > active for segment in living))
        and all(segment.number > active for segment in living)
    )


def _after_rotated_out(state: TrailState, active: Segment, event: Observed, rest: tuple[Read, ...]) -> Step:
    if rest:
        return state, (*rest, LookAgain())
    out = rotated_out(state, active, event.at, is_read=event.former is not None)
    after = _with_missed(out, replace(event, others=_unknown(state, event)))
    if event.active is None:
        after = replace(after, standing=Standing.ROTATED)
    else:
        after = _with_active(after, event.active, event.at, history=0)
    return after, (Commit(), *wanted(after))


def _with_rest(state: TrailState, active: Segment, event: Observed) -> tuple[TrailState, Segment, tuple[Read, ...]]:
    """With what was still written to the file before it lost its name, and how to read it: it is held open."""
    former = event.former
    if former is None or former.size < active.size or fault(active, former) is not None:
        return state, active, ()
    active = sighted(active, replace(former, name=active.name), event.at)
    state = state.with_segment(active)
    return state, active, tuple(read for read in wanted(state) if read.segment == active.number)


def _after(rest: tuple[Read, ...], step: Step) -> Step:
    """A step that suspects something about a file, after the rest of that file was read; a confirmed one waits not."""
    state = step[0]
    return (state, (*rest, LookAgain())) if rest and state.suspicion else step


def _gone(state: TrailState, active: Segment) -> TrailState:
    left = replace(active, closed=True, vanished=True)
    return replace(state, active=None, closed=(*state.closed, left), standing=Standing.MISSING)


def _changed(state: TrailState, active: Segment, event: Observed, sight: FileSight, suspicion: Suspicion) -> Step:
    restarted, lost = restart(sighted(active, sight, event.at))
    state, effects = _suspected(state, suspicion, event.at, lambda s: replace(s, active=restarted))
    if state.active is not restarted:
        return state, effects
    return state, (Commit(tuple((active.number, finding) for finding in lost)), *effects)


def _suspected(
    state: TrailState,
    suspicion: Suspicion,
    at: float,
    confirm: Callable[[TrailState], TrailState],
    patience: float = 0.0,
) -> Step:
    """A violation: suspected at the first look, confirmed at a later one, when the patience has passed as well."""
    known = state.suspicion
    if known is None or (known.kind, known.patience_seconds) != (suspicion.kind, patience) or at < known.since:
        suspected = replace(suspicion, since=at, patience_seconds=patience)
        return replace(state, suspicion=suspected), () if patience else (LookAgain(),)
    if at - known.since < patience:
        return state, ()
    name = state.active.name if state.active else ""
    state = with_violation(replace(state, suspicion=None), suspicion.kind, name, suspicion.detail, at)
    state = confirm(state)
    return state, (Commit(), *wanted(state))


def _rotated(state: TrailState, active: Segment, sight: FileSight, event: Observed) -> Step:
    """The file was renamed and lives on as a closed segment, perhaps with others that we did not see."""
    others = (other for other in _unknown(state, event) if other is not sight)
    left = replace(sighted(active, sight, event.at), closed=True)
    state = replace(state, active=None, closed=(*state.closed, left), rotations=state.rotations + 1)
    for other in others:
        state = replace(_with_closed(state, other, event.at, history=0), rotations=state.rotations + 1)
    if event.active is None:
        state = replace(state, standing=Standing.ROTATED, suspicion=None)
    else:
        state = _with_active(state, event.active, event.at, history=0)
    return state, (Commit(), *wanted(state))


def _strangers(state: TrailState, event: Observed) -> tuple[FileSight, ...]:
    """Neighbours that are neither known closed segments nor the active file, renamed since it was looked at."""
    # The inode of a file that is gone may be reused.
    closed = (segment for segment in state.closed if not segment.vanished and segment.missing_since is None)
    known = {(file.device, file.inode) for file in (*closed, *((event.active,) if event.active else ()))}
    return tuple(sight for sight in event.others or () if (sight.device, sight.inode) not in known)


def _is_news(state: TrailState, sight: FileSight) -> bool:
    """Whether a file holds more than a copy of a segment that is there."""
    if sight.packed:
        return not any(is_copy(segment, sight) for segment in state.files)
    return state.active is None or not is_plain_copy(state.active, sight)


def _with_missed(state: TrailState, event: Observed) -> TrailState:
    """With the segments that came and went between two looks: busy writers rotate that often."""
    for missed in _unknown(state, event):
        state = replace(_with_closed(state, missed, event.at, history=0), rotations=state.rotations + 1)
    return state


def _unknown(state: TrailState, event: Observed) -> tuple[FileSight, ...]:
    """Strangers that are no copies, whenever they were written."""
    return tuple(sight for sight in _strangers(state, event) if _is_news(state, sight))


def _neighbours(state: TrailState, event: Observed) -> TrailState:
    """The closed segments as they are now: renamed, grown by a late append, vanished or back."""
    if event.others is None or _is_away(state, event):
        return state
    # The active file may have the inode of a closed one that was deleted; under a new name it is still not that one.
    others = tuple(s for s in event.others if not (state.active and is_same_inode(state.active, s)))
    found = _found(state, event, others)
    now = (_neighbour(s, found.get(s.number), event, state.rotations) for s in state.closed)
    return replace(state, closed=tuple(now))


def _found(state: TrailState, event: Observed, others: tuple[FileSight, ...]) -> dict[int, FileSight]:
    """The closed segments among the neighbours; one that is long gone does not take what the active one became."""
    is_quiet = bool(state.active and event.active and is_same_inode(state.active, event.active))
    living = [segment for segment in state.closed if not segment.vanished]
    found = known_as(living, others, by_name=is_quiet and state.rotations == state.rotations_settled)
    left = [sight for sight in others if sight not in found.values()]
    if state.active and not is_quiet:
        became = rotated_to(state.active, left)
        left = [sight for sight in left if sight is not became]
    return found | known_as((segment for segment in state.closed if segment.vanished), left, by_name=False)


def _neighbour(segment: Segment, sight: FileSight | None, event: Observed, rotations: int) -> Segment:
    if sight is not None:
        return replace(sighted(segment, sight, event.at), missing_since=None, vanished=False)
    if event.is_unpacking or segment.vanished or segment.directory in event.unlisted:
        return segment
    if segment.missing_since is None:
        return replace(segment, missing_since=event.at, missing_at_rotation=rotations)
    return replace(segment, missing_since=min(segment.missing_since, event.at))


def _adopted(state: TrailState, event: Observed) -> TrailState:
    """With the compressed segments that nobody had seen: from before first sight, or rotated while nobody looked.

    Copies of a segment that is still there are only named.
    """
    strangers = [sight for sight in _strangers(state, event) if sight.packed]
    for sight in strangers:
        if _is_news(state, sight):
            is_history = sight.modified < state.first_seen
            state = _with_closed(state, sight, event.at, history=sight.size if is_history else 0)
            state = _oldest_first(state) if is_history else replace(state, rotations=state.rotations + 1)
    if event.others is None:
        return state
    own = {(segment.device, segment.inode) for segment in state.files}
    copies = tuple(sight.name for sight in strangers if (sight.device, sight.inode) not in own)
    return state if copies == state.copies else replace(state, copies=copies)


def _oldest_first(state: TrailState) -> TrailState:
    """With the last closed segment, found late, among those from before first sight."""
    *known, found = state.closed
    place = next(
        (n for n, segment in enumerate(known) if not segment.packed or not segment.inherited_until), len(known)
    )
    return replace(state, closed=(*known[:place], found, *known[place:]))


def _with_closed(state: TrailState, sight: FileSight, at: float, history: int) -> TrailState:
    segment = replace(_segment(state, sight, at, history), closed=True)
    return replace(state, closed=(*state.closed, segment), next_number=state.next_number + 1)


def _with_active(state: TrailState, sight: FileSight, at: float, history: int) -> TrailState:
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
    return Segment(
        number=state.next_number,
        name=sight.name,
        directory=sight.directory,
        device=sight.device,
        inode=sight.inode,
        size=sight.size,
        modified=sight.modified,
        packed=sight.packed,
        born_ns=sight.born_ns,
        is_cut=sight.is_cut,
        inherited_until=0 if state.was_lost else history,
        counted_until=history,
        grown=at,
        unverified_since=at if sight.size else None,
    )
