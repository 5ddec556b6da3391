"""One cause opens one violation; what it does later is counted in it, and the number of rows has a bound."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.damage import Acknowledgement
from auditwatch.ledger.state import TrailState, begin
from auditwatch.ledger.violations import (
    MOST_VIOLATIONS,
    news_of,
    open_violation,
    with_accepted,
    with_row,
    with_violation,
)
from auditwatch.trail.kinds import Violation
from tests.ledger.trails import POLICY

REWRITTEN, TRUNCATED = Violation.REWRITTEN, Violation.TRUNCATED
NOTE = Acknowledgement(50.0, "ann", "planned")


def acknowledged(state: TrailState) -> TrailState:
    for row in state.open_violations:
        state = with_row(state, replace(row, acknowledgement=NOTE))
    return state


def test_the_same_kind_again_is_counted_and_shows_where_it_happened_last() -> None:
    first = with_violation(begin("risk", POLICY), REWRITTEN, "a.jsonl", "block 1", 10.0)
    again = with_violation(first, REWRITTEN, "a.jsonl.1", "block 7", 20.0)
    (row,) = again.violations
    assert (row.segment, row.detail, row.seen, row.count) == ("a.jsonl", "block 1", 10.0, 2)
    assert (row.latest_segment, row.latest, row.latest_seen) == ("a.jsonl.1", "block 7", 20.0)
    assert news_of(first.violations, again.violations) == (row,)
    assert news_of(again.violations, acknowledged(again).violations) == ()


def test_another_kind_is_another_violation() -> None:
    state = with_violation(begin("risk", POLICY), REWRITTEN, "a.jsonl", "block 1", 10.0)
    state = with_violation(state, TRUNCATED, "a.jsonl", "3 bytes", 10.0)
    assert [row.kind for row in state.violations] == [REWRITTEN, TRUNCATED]
    assert len({row.id for row in state.violations}) == 2


def test_what_happens_after_an_acknowledgement_opens_another_one() -> None:
    state = acknowledged(with_violation(begin("risk", POLICY), REWRITTEN, "a.jsonl", "block 1", 10.0))
    assert open_violation(state, REWRITTEN) is None
    state = with_violation(state, REWRITTEN, "a.jsonl", "block 1", 20.0)
    assert [row.count for row in state.violations] == [1, 1]
    assert open_violation(state, REWRITTEN) == state.violations[1]


def test_beyond_a_thousand_rows_the_oldest_acknowledged_ones_are_forgotten() -> None:
    state = with_violation(begin("risk", POLICY), TRUNCATED, "a.jsonl", "stays open", 0.0)
    for at in range(MOST_VIOLATIONS + 5):
        state = with_violation(state, REWRITTEN, "a.jsonl", f"block {at}", float(at))
        row = state.violations[-1]
        state = with_row(state, replace(row, acknowledgement=NOTE))
    assert len(state.violations) == MOST_VIOLATIONS
    assert state.violations[0].detail == "stays open"
    assert state.violations[1].detail == "block 6"
    assert len({row.id for row in state.violations}) == MOST_VIOLATIONS


def test_what_the_configuration_accepts_acknowledges_nothing_that_is_open() -> None:
    state = with_violation(begin("risk", POLICY), Violation.TRUNCATED, "a.jsonl", "first", 1.0)
    state = with_accepted(state, Violation.TRUNCATED, "a.jsonl", "second", 2.0)
    state = with_accepted(state, Violation.TRUNCATED, "a.jsonl", "third", 3.0)
    assert [(row.detail, row.count, row.acknowledgement is None) for row in state.violations] == [
        ("first", 1, True),
        ("second", 2, False),
    ]
