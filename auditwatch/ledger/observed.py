"""What a look at the files means: a first look, growth, rotation, or a violation of history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from auditwatch.ledger.archived import GoneFindings, told, without_unfinished
from auditwatch.ledger.effects import Commit, Effect, LookAgain, Read, Step
from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.findings import restart
from auditwatch.ledger.identity import (
    fault,
    is_back,
    is_same_inode,
    repetition,
    rotated_to,
)
from auditwatch.ledger.neighbours import (
    is_away,
    is_quiet,
    strangers,
    unknown,
    with_archives,
    with_found,
    with_missed,
    with_neighbours,
    with_order,
)
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.sighted import sighted, with_active, with_closed, without_active
from auditwatch.ledger.state import Standing, Suspicion, TrailState
from auditwatch.ledger.succession import put_first
from auditwatch.ledger.vanished import let_go, overdue, rotated_out
from auditwatch.ledger.violations import with_accepted, with_violation
from auditwatch.ledger.wanted import wanted
from auditwatch.trail.kinds import Violation
from auditwatch.trail.names import is_unfinished

COPYTRUNCATE: Final = "copytruncate"
"""The trail is copied, then emptied; what is written in between is lost, and its owner accepts that."""

DISCARD: Final = "discard"
"""The trail is emptied by its producer, or by a rotation that keeps nothing."""


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
    if after is not looked:
        return after, _again(after, effects, lost)
    return looked, effects or _unread(looked)


def _unread(state: TrailState) -> tuple[Read, ...]:
    """What a look that showed nothing new leaves to be read: a read that was asked for may have failed."""
    return tuple(read for read in wanted(state) if state.active is None or read.segment != state.active.number)


def _again(state: TrailState, effects: tuple[Effect, ...], lost: GoneFindings = ()) -> tuple[Effect, ...]:
    """The effects, with the reads that are wanted now."""
    others = tuple(effect for effect in effects if not isinstance(effect, Read))
    return (*others, Commit(lost), *wanted(state))


def _later_look(before: TrailState, event: Observed) -> Step:
    state, effects = _looked_at_path(with_neighbours(before, event), event)
    if state.suspicion is not None or LookAgain() in effects:
        return state, effects
    after = with_order(before, with_archives(state, event), event)
    is_found = after.active is None or is_quiet(after, event)  # else a rotation is not yet seen to its end
    if is_found and (gone := overdue(after, event.at)):
        after = let_go(after, gone, event.at)
    if after is not state:
        effects = _again(after, effects)
    if after.is_settled and event.others is not None and not event.is_unpacking and not is_away(after, event):
        after = replace(after, is_resumed=False, rotations_settled=after.rotations)
    return after, effects


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
    for sight in strangers(state, event):
        state = with_closed(state, sight, event.at, history=sight.size)
    state = replace(state, first_seen=event.at, directory=event.directory)
    if event.active is None:
        standing = Standing.ROTATED if state.closed else Standing.MISSING
        state = replace(state, standing=standing)
    else:
        state = with_active(state, event.active, event.at, history=event.active.size)
        state = replace(state, last_append=event.active.modified if event.active.size else 0.0)
    return state, (Commit(), *wanted(state))


def _await(state: TrailState, event: Observed) -> Step:
    """There was no file at the last look; whatever appears now was written while we watched."""
    if event.others is None:
        return state, (LookAgain(),)
    if event.active is None:
        after = with_missed(state, event)
        standing = Standing.ROTATED if state.standing is Standing.ROTATED or after is not state else Standing.MISSING
        return replace(after, standing=standing), () if after is state else (Commit(), *wanted(after))
    back = next((s for s in state.closed if s.vanished and is_back(s, event.active)), None)
    if back is not None:
        revived = replace(back, name=event.active.name, closed=False, vanished=False)
        others = tuple(segment for segment in state.closed if segment is not back)
        return _present(replace(state, closed=others), revived, event.active, event.at, commit=True)
    return _next_file(state, event, event.active)


def _next_file(state: TrailState, event: Observed, sight: FileSight) -> Step:
    """The file that was awaited: new, or a copy of the one that was rotated away, perhaps edited.

    Others may have come and gone before it: names are not settled until everything beside it was looked at.
    """

    def begun(state: TrailState) -> TrailState:
        state = replace(state, rotations_settled=min(state.rotations_settled, state.rotations - 1))
        return with_active(with_missed(state, event), sight, event.at, history=0)

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
    renamed = rotated_to(active, strangers(state, event))
    former = event.former
    if renamed is not None or former is None or not _is_rotations_name(former.name) or is_away(state, event):
        return renamed
    return former if is_same_inode(active, former) and fault(active, former) is None else None


def _is_rotations_name(name: str) -> bool:
    """Whether a file may be a closed segment under this name, and not what an editor leaves beside its own."""
    return bool(name) and not is_unfinished(name)


def _without_a_name(state: TrailState, active: Segment, event: Observed, sight: FileSight) -> Step:
    """Another file is at the path, and the old one is nowhere."""
    state, active, rest = _with_rest(state, active, event)
    kept = event.former.name if event.former and not sight.repeats_all else ""
    repeated = repetition(active, sight) if kept else None
    is_same = active.anchor.position > 0 and fault(active, sight) is None
    if repeated is None and not is_same and _is_rotated_out(state, event):
        return _after_rotated_out(state, active, event, rest)
    if active.anchor.position:
        if repeated is not None:  # as `sed -i.bak` and editors leave them
            return _after(rest, _changed(state, active, event, sight, _beside(repeated, kept)))
        return _after(rest, _compared(state, active, event, sight))
    if rest:
        return state, (*rest, LookAgain())
    left = (replace(active, closed=True, vanished=True),) if active.findings or active.unlisted else ()
    state = replace(state, active=None, closed=(*state.closed, *left))  # no history that could be violated
    state = with_active(with_missed(state, event), sight, event.at, history=0)
    return state, (Commit(), *wanted(state))


def _copied(state: TrailState, active: Segment, renamed: FileSight, event: Observed, repeated: Suspicion) -> Step:
    """The old file lives on beside a copy of it, as `sed -i.1` leaves them."""

    def confirm(state: TrailState) -> TrailState:
        return _not_as_growth(_rotated(state, active, renamed, event)[0])

    return _suspected(state, _beside(repeated, renamed.name), event.at, confirm)


def _beside(repeated: Suspicion, name: str) -> Suspicion:
    return replace(repeated, detail=f"{repeated.detail}; the file that was judged is {name} now")


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
    if is_same_inode(active, sight):
        return _truncated(state, active, event, sight, suspicion)
    return _changed(state, active, event, sight, suspicion)


def _truncated(state: TrailState, active: Segment, event: Observed, sight: FileSight, suspicion: Suspicion) -> Step:
    """A file that changed in place. If a copy lies beside it: what was written after it was made is in neither."""
    copy, rotation = rotated_to(active, strangers(state, event)), state.policy.rotation
    if copy is not None:
        suspicion = replace(suspicion, detail=f"{suspicion.detail}; copied to {copy.name} before")
    if rotation == COPYTRUNCATE and copy is not None:  # it may have grown beyond its former size since
        kind = Violation.EMPTIED if suspicion.kind is Violation.EMPTIED else Violation.TRUNCATED
        accepted = replace(suspicion, kind=kind, is_accepted=True)
        return _suspected(state, accepted, event.at, lambda s: _rotated(s, active, copy, event)[0])
    if rotation == COPYTRUNCATE and event.is_unpacking:
        return state, ()
    is_discarded = rotation == DISCARD and suspicion.kind in (Violation.EMPTIED, Violation.TRUNCATED)
    return _changed(state, active, event, sight, replace(suspicion, is_accepted=is_discarded))


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
        if rest:
            return state, (*rest, LookAgain())
        if is_away(state, event):
            return replace(state, standing=Standing.MISSING), ()
        return without_active(state, active), (Commit(),)
    patience = state.policy.absence_seconds
    if is_away(state, event):
        patience = max(state.policy.pending_grace_seconds, 2 * patience)
        state = replace(state, standing=Standing.MISSING)
    suspicion = Suspicion(Violation.DELETED, f"no file where {active.anchor.position} bytes had been judged")
    return _after(rest, _suspected(state, suspicion, event.at, lambda s: without_active(s, active), patience))


def _is_rotated_out(state: TrailState, event: Observed) -> bool:
    """Whether retention took the active file before it was looked at again: younger files are there, no older ones.

    Either nobody looked, or it is held open and so can still be read to its end.
    """
    active = state.active.number if state.active else 0
    living = [s for s in state.closed if not s.vanished and s.missing_since is None]
    is_held = event.former is not None and not _is_rotations_name(event.former.name)
    return (
        (state.is_resumed or is_held)
        and not is_away(state, event)
        and (bool(unknown(state, event)) or bool(living))
        and all(segment.number > active and not segment.is_history for segment in living)
    )


def _after_rotated_out(state: TrailState, active: Segment, event: Observed, rest: tuple[Read, ...]) -> Step:
    if rest:
        return state, (*rest, LookAgain())
    out = rotated_out(state, active, event.at, is_read=event.former is not None)
    after = with_missed(out, replace(event, others=unknown(state, event)))
    if event.active is None:
        after = replace(after, standing=Standing.ROTATED)
    else:
        after = with_active(after, event.active, event.at, history=0)
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
    suspected = replace(suspicion, since=at, patience_seconds=patience)
    if known is None or _differs(known, suspected) or at < known.since:
        return replace(state, suspicion=suspected), () if patience else (LookAgain(),)
    if at - known.since < patience:
        return state, ()
    name = state.policy.file_name
    noted = with_accepted if suspicion.is_accepted else with_violation
    state = noted(replace(state, suspicion=None), suspicion.kind, name, suspicion.detail, at)
    state = confirm(state)
    return state, (Commit(), *wanted(state))


def _differs(one: Suspicion, other: Suspicion) -> bool:
    """Whether two looks do not suspect the same."""
    seen, again = ((s.kind, s.patience_seconds, s.is_accepted) for s in (one, other))
    return seen != again


def _rotated(state: TrailState, active: Segment, sight: FileSight, event: Observed) -> Step:
    """The file was renamed and lives on as a closed segment, perhaps with others that we did not see."""
    others = (other for other in unknown(state, event) if other is not sight)
    left = replace(sighted(active, sight, event.at), closed=True)
    closed = put_first(state, left, event.others or ())
    state = replace(state, active=None, closed=closed, rotations=state.rotations + 1)
    for other in others:
        state = with_found(state, other, event)
    if event.active is None:
        state = replace(state, standing=Standing.ROTATED, suspicion=None)
    else:
        state = with_active(state, event.active, event.at, history=0)
    return state, (Commit(), *wanted(state))
