"""Compressed neighbours: which of them are still being written, and what is wrong with those that are not."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.damage import Finding
from auditwatch.ledger.effects import Commit, Step
from auditwatch.ledger.events import FileSight, Observed, Unpacked
from auditwatch.ledger.findings import restart
from auditwatch.ledger.identity import is_part, is_same_inode
from auditwatch.ledger.neighbours import are_names_settled
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.violations import with_violation
from auditwatch.ledger.wanted import wanted
from auditwatch.trail.kinds import Violation
from auditwatch.trail.names import uncompressed

GoneFindings = tuple[tuple[int, Finding], ...]
"""Findings that are gone, each with the number of its segment."""


def without_unfinished(state: TrailState, event: Observed) -> Observed:
    """The look without the compressed files that may still be written: they get no verdict yet.

    A file is written, or read by a program that will delete it, as long as its uncompressed namesake lies beside it,
    or while it cannot be read to its end, or holds less than it should, and changed within the grace period.
    """
    others = event.others or ()
    by_name = are_names_settled(state, event)
    unfinished = [sight for sight in others if _is_unfinished(state, sight, event, by_name=by_name)]
    if not unfinished:
        return event
    is_awaited = any(not _has_namesake(sight, event) for sight in unfinished)
    left = tuple(sight for sight in others if sight not in unfinished)
    return replace(event, others=left, is_unpacking=event.is_unpacking or is_awaited)


def _is_unfinished(state: TrailState, sight: FileSight, event: Observed, *, by_name: bool) -> bool:
    if not sight.packed or any(_is_as_known(segment, sight) for segment in state.files):
        return False
    if event.at - sight.since >= state.policy.pending_grace_seconds:
        return False
    is_short = sight.is_cut or any(
        is_part(segment, sight, by_name=by_name and not segment.vanished) for segment in state.segments
    )
    return is_short or _has_namesake(sight, event)


def _is_as_known(segment: Segment, sight: FileSight) -> bool:
    return segment.packed == sight.packed and is_same_inode(segment, sight)


def _has_namesake(sight: FileSight, event: Observed) -> bool:
    """Whether the file that it was, or will be, made from is still there."""
    plain = uncompressed(sight.name)
    there = (*(event.others or ()), *((event.active,) if event.active else ()))
    return any(not other.packed and other.name == plain for other in there)


def told(before: TrailState, after: TrailState, at: float) -> tuple[TrailState, GoneFindings]:
    """The state with a violation for each closed segment that is newly found to be cut off, or to hold too little.

    A segment that lost bytes is judged from its start; its findings beyond the new end are gone.
    """
    lost: GoneFindings = ()
    if after.closed is before.closed:
        return after, lost
    known = {segment.number: segment for segment in before.segments}
    for segment in after.closed:
        detail = _complaint(known.get(segment.number), segment)
        if detail and not segment.vanished:
            after, gone = _complained(after, segment, detail, at)
            lost += gone
    return after, lost


def unpacked_again(state: TrailState, event: Unpacked) -> Step:
    """The state after a known compressed segment was read again: unchanged, or with a violation and judged anew.

    If more of it was judged meanwhile, it is known from elsewhere than what was compared; the next reading tells.
    """
    segment = state.segment(event.segment)
    if segment is None or segment.vanished or segment.packed != event.packed:
        return state, ()
    if segment.anchor.position != event.position:
        return state, ()
    seen = replace(segment, size=event.size, is_cut=event.is_cut, read=min(segment.read, event.size))
    differs = segment.anchor.position > 0 and (event.head, event.marker) != (segment.anchor.head, segment.anchor.marker)
    if seen == segment and not differs:
        return state, ()
    after, lost = told(state, state.with_segment(seen), event.at)
    if differs and after.segment(seen.number) == seen:
        after, lost = _with_other_content(state, after, seen, event.at)
    return after, (Commit(lost), *wanted(after))


def _with_other_content(
    before: TrailState, after: TrailState, seen: Segment, at: float
) -> tuple[TrailState, GoneFindings]:
    """Judged from its start; if it is not said yet that it is cut off, its content was rewritten."""
    if after.violations == before.violations:
        detail = f"{seen.size} bytes of other content found where {seen.anchor.position} had been judged"
        after = with_violation(after, Violation.REWRITTEN, seen.name, detail, at)
    restarted, findings = restart(seen)
    return after.with_segment(restarted), tuple((seen.number, finding) for finding in findings)


def _complaint(known: Segment | None, segment: Segment) -> str:
    """What is newly wrong with a closed segment, for people; empty if nothing is."""
    judged = segment.anchor.position
    is_short = segment.size < judged
    is_news = segment.is_cut and (known is None or (known.is_cut, known.size) != (True, segment.size))
    if segment.is_cut and (is_news or is_short):
        where = f", where {judged} had been judged" if is_short else ""
        return f"damaged or cut off after {segment.size} bytes of its content{where}"
    what = "bytes of content" if segment.packed else "bytes"
    return f"{segment.size} {what} found where {judged} had been judged" if is_short else ""


def _complained(state: TrailState, segment: Segment, detail: str, at: float) -> tuple[TrailState, GoneFindings]:
    kind = Violation.TRUNCATED if segment.size or segment.packed else Violation.EMPTIED
    kind = Violation.ARCHIVE_CUT if segment.is_cut else kind
    state = with_violation(state, kind, segment.name, detail, at)
    if segment.size >= segment.anchor.position:
        return state, ()
    restarted, findings = restart(segment)
    return state.with_segment(restarted), tuple((segment.number, finding) for finding in findings)
