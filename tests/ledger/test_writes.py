"""What writers counted, over restarts, new counters files, half-read ones and hostile ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from auditwatch.ledger.acknowledged import known_ids
from auditwatch.ledger.advance import advance
from auditwatch.ledger.effects import Commit
from auditwatch.ledger.events import Acknowledged, Counted, Observed, Scope
from auditwatch.ledger.state import Policy, TrailState, begin, resume
from auditwatch.ledger.writes import MOST, MOST_OPEN, NO_FAILURES, Counts, by_reason
from auditwatch.trail.counters import FAILURES
from auditwatch.trail.ids import write_failures_id

POLICY = Policy("0" * 16)
A, B = "aa" * 16, "bb" * 16


def failed(number: int, reason: str = "disk_full") -> tuple[int, ...]:
    return tuple(number * (name == reason) for name in FAILURES)


def watched(first_seen: float = 100.0) -> TrailState:
    state, _ = advance(begin("risk", POLICY), Observed(first_seen, None, others=()))
    return state


def read(
    state: TrailState, at: float, failures: int = 0, *, stored: int = 0, id_: str = A, last: float = 0
) -> TrailState:
    after, _ = advance(state, Counted(at, id_, Counts(stored, failed(failures)), last or at))
    return after


def told(
    state: TrailState, at: float, scope: Scope = Scope.ALL, *, seen: TrailState | None = None, undo: bool = False
) -> TrailState:
    ids = frozenset({write_failures_id("risk")} if scope is Scope.IDS else ())
    step = (seen or state).step
    after, _ = advance(state, Acknowledged(at, step, scope, "ann", "disk was full", ids, undo))
    return after


def open_(state: TrailState) -> int:
    return sum(state.writes.failures_open)


def test_failures_from_before_first_sight_are_counted_and_not_open() -> None:
    state = read(watched(), 101, 7, stored=9, last=99)
    assert (state.writes.total, open_(state)) == (Counts(9, failed(7)), 0)
    assert state.writes.last_failure == 99
    assert open_(read(state, 102, 8)) == 1


def test_what_was_read_before_the_first_look_at_the_trail_is_history_too() -> None:
    assert open_(read(begin("risk", POLICY), 101, 7)) == 0


def test_a_counters_file_that_appears_later_with_a_failure_since_first_sight_is_open() -> None:
    assert open_(read(watched(), 500, 2, last=400)) == 2


def test_counters_that_begin_anew_are_added() -> None:
    state = read(read(watched(), 101, last=1, stored=10), 102, 1, stored=12)
    state = read(state, 103, 2, stored=5, id_=B)
    assert (state.writes.total, open_(state)) == (Counts(17, failed(3)), 3)


def test_a_file_read_while_slots_were_on_their_way_neither_loses_nor_doubles() -> None:
    state = read(watched(), 101, last=1, stored=10)
    for stored in (4, 10, 11, 3, 12):
        state = read(state, 102, last=1, stored=stored)
    assert state.writes.total.stored == 12


def test_reading_the_same_again_is_no_step() -> None:
    event = Counted(101, A, Counts(3), 0)
    state, effects = advance(watched(), event)
    assert effects == (Commit(),)
    assert advance(state, replace(event, at=102.0)) == (state, ())
    assert advance(state, replace(event, at=102.0))[0] is state


def test_a_file_that_cannot_be_read_forgets_nothing() -> None:
    state = read(read(watched(), 101, last=1), 102, 3)
    blind, _ = advance(state, Counted(103, trouble="permission denied"))
    assert (blind.writes.is_up, blind.writes.total, open_(blind)) == (False, state.writes.total, 3)
    again = read(blind, 104, 3, last=102)
    assert again.writes == state.writes
    assert again.writes.is_up


def test_a_trail_without_counters_is_not_up() -> None:
    assert not watched().writes.is_up


def test_a_restart_keeps_everything() -> None:
    state = read(read(watched(), 101, last=1), 102, 3)
    assert resume(state, POLICY).writes == state.writes
    assert read(resume(state, POLICY), 103, 3, last=102).writes == state.writes


def test_numbers_that_no_writer_reaches_stay_numbers() -> None:
    state = read(read(watched(), 101, last=1), 102, 63 << 64, stored=63 << 64, last=1e300)
    assert (state.writes.total.stored, open_(state), state.writes.last_failure) == (MOST, MOST, 102)
    assert read(state, 103, 63 << 64, id_=B).writes.total.stored == MOST


def test_all_means_what_had_been_seen_when_it_was_asked() -> None:
    seen = read(read(watched(), 101, last=1), 102, 3)
    state = told(read(seen, 90, 5), 250, seen=seen)  # the clock was set back in between
    assert (open_(state), sum(state.writes.acknowledged)) == (2, 3)
    assert state.writes_note
    assert state.writes_note.by == "ann"
    assert (open_(told(state, 260)), state.writes.total.failed) == (0, failed(5))


@pytest.mark.parametrize("scope", [Scope.ALL, Scope.IDS])
def test_a_note_is_stored_once(scope: Scope) -> None:
    state = read(read(watched(), 101, last=1), 102, 3)
    after, effects = advance(
        state, Acknowledged(104, state.step, scope, "a", "b", frozenset({write_failures_id("risk")}))
    )
    assert effects == (Commit(),)
    assert open_(after) == 0
    assert told(after, 110) is after


def test_inherited_does_not_mean_failures() -> None:
    state = read(read(watched(), 101, last=1), 102, 3)
    assert told(state, 103, Scope.INHERITED) is state


def test_a_note_can_be_taken_back() -> None:
    state = told(read(read(watched(), 101, last=1), 102, 3), 103, Scope.IDS)
    back = told(state, 105, Scope.IDS, undo=True)
    assert (open_(back), back.writes.acknowledged, back.writes_note) == (3, NO_FAILURES, None)
    assert open_(told(back, 107)) == 0


def test_failures_have_an_id_as_soon_as_there_are_some_to_take_note_of() -> None:
    name = write_failures_id("risk")
    state = read(watched(), 101, 2, last=1)
    assert name not in known_ids(state)
    state = read(state, 102, 3)
    assert name in known_ids(state)
    assert name in known_ids(told(state, 103))


def test_failures_seen_at_very_many_moments_are_all_kept() -> None:
    states = [read(watched(), 101, last=1)]
    for number in range(1, 100):
        states.append(read(states[-1], 101 + number, number))
    assert (open_(states[-1]), len(states[-1].writes.open)) == (99, MOST_OPEN)
    assert open_(told(states[-1], 300, seen=states[94])) == 5


def test_reasons_are_named() -> None:
    assert by_reason(failed(2, "too_long"))["too_long"] == 2


class Writers(RuleBasedStateMachine):
    """Writers count, die and are folded; the agent reads now and then, sometimes half of it; it is restarted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.state = read(watched(), 101, last=1, id_="00" * 16)
        self.files = 0
        self.truth = self.in_file = Counts()
        self.noted = 0

    @rule(stored=st.integers(0, 5), failures=st.integers(0, 3), reason=st.sampled_from(FAILURES))
    def count(self, stored: int, failures: int, reason: str) -> None:
        more = Counts(stored, failed(failures, reason))
        self.truth = self.truth.with_each(more, int.__add__)
        self.in_file = self.in_file.with_each(more, int.__add__)

    @rule(share=st.floats(0, 1))
    def read_half(self, share: float) -> None:
        self._read(self.in_file.with_each(self.in_file, lambda number, _: int(number * share)))

    @rule()
    def read_whole(self) -> None:
        self._read(self.in_file)
        assert self.state.writes.total == self.truth

    @rule()
    def begin_anew(self) -> None:
        self.read_whole()  # what was never read of a file that is gone is not known to anybody
        self.files += 1
        self.in_file = Counts()

    @rule()
    def take_note(self) -> None:
        self.now += 1
        self.state = told(self.state, self.now)

    @rule()
    def restart(self) -> None:
        self.state = resume(self.state, POLICY)

    def _read(self, counts: Counts) -> None:
        self.now += 1
        before = self.state.writes.total
        self.state, _ = advance(self.state, Counted(self.now, f"{self.files:032x}", counts, self.now))
        assert self.state.writes.total.with_each(before, max) == self.state.writes.total

    @invariant()
    def open_and_acknowledged_are_all_failures(self) -> None:
        writes = self.state.writes
        parts = tuple(a + b for a, b in zip(writes.failures_open, writes.acknowledged, strict=True))
        assert parts == writes.total.failed


TestWriters = Writers.TestCase
hostile = st.integers(0, 1 << 70)


@given(st.lists(st.tuples(st.sampled_from([A, B]), hostile, hostile, st.floats()), max_size=8))
def test_hostile_counters_never_lower_a_sum(looks: list[tuple[str, int, int, float]]) -> None:
    state = watched()
    for at, (id_, stored, failures, last) in enumerate(looks):
        after = read(state, 200.0 + at, failures, stored=stored, id_=id_, last=last)
        assert after.writes.total.beyond(state.writes.total) == after.writes.total.with_each(
            state.writes.total, lambda now, then: now - then
        )
        assert after.writes.last_failure <= 200.0 + at
        assert after.writes.total.stored <= MOST
        state = after
