"""Sums over segments: the same however often they are asked for, and not worked out again while nothing changed."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, TrailState, begin
from auditwatch.ledger.sums import sums_of
from auditwatch.trail.kinds import Kind

SIZES = st.lists(st.integers(0, 50), min_size=3, max_size=3).map(sorted)


@st.composite
def segments(draw: st.DrawFn) -> tuple[Segment, ...]:
    found = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        judged, read, size = draw(SIZES)
        segment = Segment(number, f"a.{number}", 1, number, size, 1.0, judged=judged, read=read, lines=judged // 2)
        found.append(
            replace(
                segment,
                grown=float(draw(st.integers(0, 9))),
                unverified_since=draw(st.none() | st.floats(0, 9)),
                counted_until=draw(st.integers(0, 50)),
                vanished=draw(st.booleans()),
                is_cut=draw(st.booleans()),
                unlisted=draw(st.dictionaries(st.sampled_from(Kind), st.just(Tally(2, 1, 1)), max_size=2)),
            )
        )
    return tuple(found)


def state(known: tuple[Segment, ...], active: Segment | None) -> TrailState:
    return replace(begin("risk", Policy("rules")), closed=known, active=active)


@given(known=segments(), has_active=st.booleans())
def test_sums_are_those_of_the_files_that_are_there(known: tuple[Segment, ...], has_active: bool) -> None:
    active = replace(known[0], number=99, vanished=False) if known and has_active else None
    trail = state(known, active)
    files, sums = trail.files, trail.sums
    assert files == tuple(segment for segment in trail.segments if not segment.vanished)
    assert sums.segments == len(files)
    assert sums.size == sum(segment.size for segment in files)
    assert sums.judged == sum(segment.judged for segment in files)
    assert sums.unverified == sum(segment.unverified for segment in files)
    assert sums.pending == sum(segment.pending for segment in files)
    assert sums.lines == sum(segment.lines for segment in files)
    assert sums.is_catching_up == any(segment.is_catching_up for segment in files)
    since = [segment.grown for segment in files if segment.pending and not segment.is_cut]
    assert sums.pending_since == min(since, default=None)
    unseen = [sums_of(segment).unverified_since for segment in files if segment.unverified]
    assert sums.unverified_since == min((at for at in unseen if at is not None), default=None)
    tallies = trail.tallies()
    assert set(tallies) == set(Kind)
    for kind, tally in tallies.items():
        assert tally == sum((s.unlisted.get(kind, Tally()) for s in trail.segments), Tally())


def test_what_is_known_of_closed_segments_is_worked_out_once() -> None:
    closed = tuple(Segment(number, f"a.{number}", 1, number, 8, 1.0, judged=8, read=8) for number in range(1, 4))
    before = state(closed, Segment(4, "a", 1, 4, 8, 1.0))
    sums = before.past.sums
    after = replace(before, active=Segment(4, "a", 1, 4, 20, 2.0))
    assert after.past is before.past
    assert after.past.sums is sums
    rotated = replace(after, closed=after.closed[1:])
    assert rotated.past.sums.segments == 2
