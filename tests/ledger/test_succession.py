"""The order of segments: by names of one scheme, else by times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.succession import oldest_first, placed, put_first, set_right
from tests.ledger.trails import POLICY

ACTIVE = "a.jsonl"


def in_order(*files: tuple[str, float]) -> list[str]:
    sights = [FileSight(name, 1, number, 1, modified) for number, (name, modified) in enumerate(files)]
    return [sight.name for sight in oldest_first("a.jsonl", sights)]


def test_names_of_one_scheme_decide_whatever_was_touched() -> None:
    assert in_order(("a.jsonl.1", 1.0), ("a.jsonl.10", 9.0), ("a.jsonl.2.gz", 5.0)) == [
        "a.jsonl.10",
        "a.jsonl.2.gz",
        "a.jsonl.1",
    ]


def test_times_decide_between_schemes_and_for_foreign_names() -> None:
    assert in_order(("a-20260103.jsonl", 3.0), ("a.jsonl.1", 2.0), ("a.jsonl.2", 1.0)) == [
        "a.jsonl.2",
        "a.jsonl.1",
        "a-20260103.jsonl",
    ]
    assert in_order(("second", 2.0), ("third", 3.0), ("first", 1.0)) == ["first", "second", "third"]


def test_where_times_are_equal_names_decide() -> None:
    assert in_order(("a.jsonl.1", 1.0), ("a.jsonl.3", 1.0), ("b", 1.0)) == ["b", "a.jsonl.3", "a.jsonl.1"]


def test_times_of_a_restore_do_not_turn_counts_around() -> None:
    restored = [FileSight(f"a.jsonl.{n}", 1, n, 1, float(n), born_ns=n) for n in (1, 2, 3)]
    assert [sight.name for sight in oldest_first(ACTIVE, restored)] == ["a.jsonl.3", "a.jsonl.2", "a.jsonl.1"]


def closed(*names: str, rising: bool | None = None, found: int = 0) -> tuple[TrailState, list[FileSight]]:
    """A trail with these closed segments, one of them found so, as the next look shows them."""
    segments = (
        Segment(n, name, 1, n, 1, 0.0, packed=1, closed=True, is_found=n == found) for n, name in enumerate(names, 1)
    )
    policy = replace(POLICY, file_name=ACTIVE)
    state = replace(TrailState("a", policy), closed=tuple(segments), are_counts_rising=rising)
    return state, [FileSight(s.name, 1, s.inode, 1, 0.0, packed=1) for s in state.closed]


def one(name: str) -> Segment:
    return Segment(9, name, 1, 9, 1, 0.0, packed=1, closed=True)


def names(segments: Iterable[Segment]) -> list[str]:
    return [segment.name for segment in segments]


def test_one_that_was_missed_goes_before_those_that_its_name_shows_to_be_younger() -> None:
    state, look = closed("a.jsonl.3.gz", "a.jsonl.1.gz")
    assert names(placed(state, one("a.jsonl.2.gz"), look)) == ["a.jsonl.3.gz", "a.jsonl.2.gz", "a.jsonl.1.gz"]


def test_names_from_an_earlier_look_say_nothing() -> None:
    state, look = closed("a.jsonl.1.gz", "a.jsonl.2.gz")
    assert names(placed(state, one("a.jsonl.4.gz"), look[1:])) == ["a.jsonl.1.gz", "a.jsonl.4.gz", "a.jsonl.2.gz"]
    reused = [replace(sight, size=2) for sight in look]
    assert placed(state, one("a.jsonl.4.gz"), reused)[-1].name == "a.jsonl.4.gz"


def test_counts_that_are_known_to_rise_are_read_so() -> None:
    state, look = closed("a.jsonl.1.gz", "a.jsonl.2.gz", rising=True)
    assert placed(state, one("a.jsonl.3.gz"), look)[-1].name == "a.jsonl.3.gz"


def test_what_was_the_active_one_goes_after_those_that_its_name_shows_to_be_older() -> None:
    state, look = closed("a.jsonl.3.gz", "a.jsonl.1.gz")
    late = replace(
        state, closed=tuple(replace(known, number=10 + n, is_later=True) for n, known in enumerate(state.closed))
    )
    assert names(put_first(late, one("a.jsonl.2.gz"), look)) == ["a.jsonl.3.gz", "a.jsonl.2.gz", "a.jsonl.1.gz"]
    assert put_first(late, one("other"), look)[0].name == "other"
    assert put_first(state, one("other"), look)[-1].name == "other"


def test_those_that_were_active_before_our_eyes_tell_how_counts_run() -> None:
    for known, rising in (("a.jsonl.1", "a.jsonl.2"), True), (("a.jsonl.2", "a.jsonl.1"), False):
        assert set_right(*closed(*known)).are_counts_rising is rising
    for unknown in ("a.jsonl.1", "other"), ("a.jsonl.1",), ("a-20260101.jsonl", "a-20260102.jsonl"):
        assert set_right(*closed(*unknown)).are_counts_rising is None
    state, look = closed("a.jsonl.1", "a.jsonl.2", found=2)
    assert set_right(state, look) == state


@pytest.mark.parametrize("rising", [False, True])
def test_a_guessed_place_is_set_right_by_the_names_of_a_later_look(rising: bool) -> None:
    counts = [1, 2, 3] if rising else [3, 2, 1]
    first, second, third = (f"a.jsonl.{count}" for count in counts)
    state, look = closed(first, third, second, found=3)
    assert names(set_right(state, look).closed) == [first, second, third]


def test_dates_need_no_direction() -> None:
    state, look = closed("a-20260102.jsonl", "a-20260101.jsonl", found=1)
    assert names(set_right(state, look).closed) == ["a-20260101.jsonl", "a-20260102.jsonl"]


def test_nothing_is_set_right_without_a_direction_or_a_guess() -> None:
    guessed, look = closed("a.jsonl.1", "a.jsonl.2", found=1)
    assert set_right(guessed, look).closed == guessed.closed
    swapped, look = closed("a.jsonl.1", "a.jsonl.2", rising=False)
    assert names(set_right(swapped, look[:1]).closed) == ["a.jsonl.1", "a.jsonl.2"]
