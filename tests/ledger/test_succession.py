"""The order of segments: by names of one scheme, else by times."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.succession import oldest_first, placed, put_first

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


def closed(*names: str) -> tuple[list[Segment], list[FileSight]]:
    segments = [Segment(n, name, 1, n, 1, 0.0, packed=1, closed=True) for n, name in enumerate(names, 1)]
    return segments, [FileSight(s.name, 1, s.inode, 1, 0.0, packed=1) for s in segments]


def found(name: str, number: int = 9) -> Segment:
    return Segment(number, name, 1, number, 1, 0.0, packed=1, closed=True)


def test_one_that_was_missed_goes_before_those_that_its_name_shows_to_be_younger() -> None:
    known, look = closed("a.jsonl.3.gz", "a.jsonl.1.gz")
    assert [s.name for s in placed(ACTIVE, known, found("a.jsonl.2.gz"), look)] == [
        "a.jsonl.3.gz",
        "a.jsonl.2.gz",
        "a.jsonl.1.gz",
    ]


def test_names_from_an_earlier_look_say_nothing() -> None:
    known, look = closed("a.jsonl.1.gz", "a.jsonl.2.gz")
    assert [s.name for s in placed(ACTIVE, known, found("a.jsonl.4.gz"), look[1:])] == [
        "a.jsonl.1.gz",
        "a.jsonl.4.gz",
        "a.jsonl.2.gz",
    ]
    reused = [replace(sight, size=2) for sight in look]
    assert placed(ACTIVE, known, found("a.jsonl.4.gz"), reused)[-1].name == "a.jsonl.4.gz"


def test_the_order_that_was_seen_says_how_counts_run() -> None:
    known, look = closed("a.jsonl.1.gz", "a.jsonl.2.gz")
    assert placed(ACTIVE, known, found("a.jsonl.3.gz"), look)[-1].name == "a.jsonl.3.gz"


def test_what_was_the_active_one_goes_after_those_that_its_name_shows_to_be_older() -> None:
    known, look = closed("a.jsonl.3.gz", "a.jsonl.1.gz")
    assert [s.name for s in put_first(ACTIVE, known, found("a.jsonl.2.gz"), look)] == [
        "a.jsonl.3.gz",
        "a.jsonl.2.gz",
        "a.jsonl.1.gz",
    ]
    assert put_first(ACTIVE, known, found("other"), look)[0].name == "other"
