"""Damaged lines without a finding of their own: counted by kind, with the steps that opened them.

A segment lists at most `Policy.max_listed` findings. What goes beyond that has no row that could say when it was
opened, so the counts of the latest steps are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Final

from auditwatch.ledger.damage import Opened, Tally
from auditwatch.ledger.events import Scope
from auditwatch.ledger.segment import Segment
from auditwatch.trail.kinds import Kind

MOST_OPENED: Final = 32
"""Most steps of a segment that are kept apart. Beyond that the earliest are put together, as the later of them: whoever
asked between the two acknowledges less than was meant, never something that was not seen."""

Tallies = Mapping[Kind, Tally]


def with_unlisted(segment: Segment, found: Tallies, step: int) -> Segment:
    """The segment with more unlisted lines, which this step opened."""
    return replace(
        segment,
        unlisted=_sum(segment.unlisted, found),
        unlisted_opened=_with(segment.unlisted_opened, Opened(step, found)),
    )


def without_one(segment: Segment, kind: Kind) -> Segment:
    """The segment with one unlisted line of this kind less: an open one that is not inherited, if there is one."""
    known = segment.unlisted.get(kind, Tally())
    if not known.open:
        noted = min(segment.unlisted_noted.get(kind, 0), known.acknowledged - 1)
        left = replace(known, acknowledged=known.acknowledged - 1)
        return replace(
            segment,
            unlisted={**segment.unlisted, kind: left},
            unlisted_noted={**segment.unlisted_noted, kind: noted},
        )
    left = replace(known, open=known.open - 1, inherited=min(known.inherited, known.open - 1))
    opened = _without_latest(segment.unlisted_opened, kind)
    return replace(segment, unlisted={**segment.unlisted, kind: left}, unlisted_opened=opened)


def unlisted_noted(segment: Segment, scope: Scope, step: int) -> Segment:
    """The segment after the unlisted lines that were open at a step were acknowledged, all or the inherited ones."""
    later = tuple(opened for opened in segment.unlisted_opened if opened.step > step)
    newer: Tallies = reduce(_sum, (opened.counts for opened in later), {})
    taken = {kind: _taken(known, newer.get(kind, Tally()), scope) for kind, known in segment.unlisted.items()}
    if not any(one.acknowledged for one in taken.values()):
        return segment
    earlier = tuple(opened for opened in segment.unlisted_opened if opened.step <= step)
    left = () if scope is Scope.ALL else tuple(_without_inherited(opened) for opened in earlier)
    return replace(
        segment,
        unlisted=_sum(segment.unlisted, taken),
        unlisted_opened=(*left, *later),
        unlisted_noted={kind: segment.unlisted_noted.get(kind, 0) - one.inherited for kind, one in taken.items()},
    )


def unlisted_reopened(segment: Segment, step: int) -> Segment:
    """The segment with all its unlisted lines open again."""
    back = {
        kind: Tally(known.acknowledged, segment.unlisted_noted.get(kind, 0))
        for kind, known in segment.unlisted.items()
        if known.acknowledged
    }
    if not back:
        return segment
    counts = {kind: replace(known, acknowledged=0) for kind, known in segment.unlisted.items()}
    return with_unlisted(replace(segment, unlisted=counts, unlisted_noted={}), back, step)


def _taken(known: Tally, newer: Tally, scope: Scope) -> Tally:
    """What an acknowledgement adds to a tally: less that is open, more that is acknowledged."""
    inherited = max(0, known.inherited - newer.inherited)
    number = inherited if scope is Scope.INHERITED else max(0, known.open - newer.open)
    return Tally(-number, -inherited, number)


def _without_inherited(opened: Opened) -> Opened:
    return replace(opened, counts={kind: Tally(one.open - one.inherited) for kind, one in opened.counts.items()})


def _without_latest(opened: tuple[Opened, ...], kind: Kind) -> tuple[Opened, ...]:
    """One line of this kind less, in the latest step that has one."""
    for place in reversed(range(len(opened))):
        one = opened[place].counts.get(kind, Tally())
        if one.open:
            left = Tally(one.open - 1, min(one.inherited, one.open - 1))
            changed = replace(opened[place], counts={**opened[place].counts, kind: left})
            return (*opened[:place], changed, *opened[place + 1 :])
    return opened


def _with(known: tuple[Opened, ...], more: Opened) -> tuple[Opened, ...]:
    found = (*known, more)
    if len(found) <= MOST_OPENED:
        return found
    first, second, *others = found
    return (Opened(second.step, _sum(first.counts, second.counts)), *others)


def _sum(one: Tallies, other: Tallies) -> dict[Kind, Tally]:
    return {kind: one.get(kind, Tally()) + other.get(kind, Tally()) for kind in {**one, **other}}
