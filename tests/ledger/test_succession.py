"""The order of segments: by names of one scheme, else by times."""

from __future__ import annotations

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.succession import oldest_first


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
