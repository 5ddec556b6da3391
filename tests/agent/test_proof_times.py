"""What is hashed again, and when: by what `stat` says, by age, and by size; no file and no clock is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditwatch.agent.budget import SAVED_SECONDS, Budget
from auditwatch.agent.probes import Glance
from auditwatch.agent.proof_times import (
    REHASH_AGAIN_SECONDS,
    STIRRING_SECONDS,
    TURN_BYTES,
    ProofTimes,
    is_moved,
)
from auditwatch.ledger.events import Rehash
from auditwatch.ledger.segment import Anchor, Segment
from auditwatch.trail.grid import BlockDigest

HOUR = 3600.0
SEEN = Glance("present", 1, 2, 100, 10, 20, 1, 0o100644, (0, 0))


def segment(*sizes: int) -> Segment:
    """With blocks of these sizes."""
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    blocks = tuple(BlockDigest(start, start + size, "d") for start, size in zip(starts, sizes, strict=True))
    return Segment(1, "a.jsonl", 1, 2, sum(sizes), 1.0, anchor=Anchor(sum(sizes)), sealed=blocks)


def proved(times: ProofTimes, known: Segment, at: float, monotonic: float) -> None:
    """One turn."""
    times.turned = monotonic
    times.hashed(known, [Rehash(block, block.digest, 0.0) for block in times.due(known)], at, monotonic)


@pytest.mark.parametrize(
    ("now", "is_renamed", "moved"),
    [
        (SEEN, False, False),
        (replace(SEEN, modified_ns=11, changed_ns=21), False, True),
        (replace(SEEN, modified_ns=11, changed_ns=21, size=101), False, False),  # growth
        (replace(SEEN, changed_ns=21), False, True),  # the time of modification was put back
        (replace(SEEN, changed_ns=21), True, False),
        (replace(SEEN, changed_ns=21, links=2), False, False),
        (replace(SEEN, changed_ns=21, mode=0o100600), False, False),
        (replace(SEEN, changed_ns=21, owners=(1, 1)), False, False),
        (replace(SEEN, changed_ns=21, links=2, modified_ns=11), False, True),
        (replace(SEEN, inode=3, modified_ns=11), False, False),  # another file is for a look
    ],
)
def test_times_that_move_without_growth_need_an_explanation(now: Glance, is_renamed: bool, moved: bool) -> None:
    assert is_moved(SEEN, now, is_renamed=is_renamed) is moved


def test_a_quiet_segment_is_hashed_once_in_a_while() -> None:
    times, known = ProofTimes(0.0), segment(10)
    proved(times, known, at=100.0, monotonic=100.0)
    assert times.urgency(known, 200.0, 200.0, HOUR) == 0
    assert times.urgency(known, 100.0 + 0.8 * HOUR, 3000.0, HOUR) >= 1


def test_a_file_that_stirs_is_hashed_again_and_again() -> None:
    times, known = ProofTimes(0.0), segment(10)
    proved(times, known, at=100.0, monotonic=100.0)
    times.note(SEEN, "a.jsonl", 100.0)
    assert times.urgency(known, 101.0, 101.0, HOUR) == 0
    later = 100.0 + REHASH_AGAIN_SECONDS
    assert times.urgency(known, later, later, HOUR) >= 1
    times.note(SEEN, "a.jsonl", later)
    later = 100.0 + STIRRING_SECONDS
    assert times.urgency(known, later, later, HOUR) == 0


def test_what_moved_goes_before_everything_else_once_in_a_while() -> None:
    times, known = ProofTimes(0.0), segment(10)
    times.note(SEEN, "a.jsonl", 100.0)
    proved(times, known, at=100.0, monotonic=100.0)
    for at, is_first in ((101.0, True), (103.0, False), (101.0 + REHASH_AGAIN_SECONDS, True)):
        times.note(replace(SEEN, modified_ns=int(at)), "a.jsonl", at)
        times.settle(at)
        assert (times.urgency(known, at, at, HOUR) > 1000) is is_first
        proved(times, known, at=at, monotonic=at)


def test_a_large_segment_is_hashed_in_turns_newest_first() -> None:
    part = TURN_BYTES // 2
    times, known = ProofTimes(50.0, known_until=6 * part), segment(*[part] * 5)
    times.ask(60.0)
    turns = []
    for at in (61.0, 62.0, 63.0):
        assert 1 < times.urgency(known, at, at, HOUR) < 1000  # others are not kept waiting by it
        turns.append([block.start // part for block in times.due(known)])
        proved(times, known, at, at)
    assert turns == [[3, 4], [1, 2], [0]]
    assert times.oldest == 61.0
    assert times.urgency(known, 64.0, 64.0, HOUR) == 0


def test_a_block_larger_than_a_turn_is_a_turn() -> None:
    times, known = ProofTimes(0.0, known_until=1), segment(2 * TURN_BYTES, 10)
    assert [block.start for block in times.due(known)] in ([0], [2 * TURN_BYTES])


def test_what_was_judged_since_the_last_turn_is_as_old_as_that() -> None:
    times = ProofTimes(0.0)
    proved(times, segment(10), at=100.0, monotonic=100.0)
    known = segment(10, 10)
    assert times.since(known.sealed[1], 130.0) == 130.0
    changed = Rehash(known.sealed[0], "other", times.since(known.sealed[0], 130.0))
    times.hashed(known, [changed], 130.0, 130.0)
    assert (times.since(known.sealed[0], 140.0), times.oldest) == (100.0, 130.0)


def test_a_budget_recovers_and_saves_no_more_than_a_minute() -> None:
    now = 0.0
    budget = Budget(0.01, 1000.0, clock=lambda: now)
    budget.spend(0.01 * SAVED_SECONDS, 10)
    assert not budget.is_left()
    now = 1.0
    assert budget.is_left()
    budget.spend(0.0, int(1000 * SAVED_SECONDS) + 5000)
    now = 5.0
    assert not budget.is_left()
    now = 1000.0
    assert budget.is_left()
    budget.spend(0.01 * SAVED_SECONDS + 0.001, 0)
    assert not budget.is_left()


def test_a_clock_that_is_set_back_asks_for_nothing_again() -> None:
    times, known = ProofTimes(0.0, known_until=10), segment(10)
    times.ask(100.0)
    proved(times, known, at=-5000.0, monotonic=101.0)
    assert not times.is_asked
    assert times.urgency(known, -4999.0, 102.0, HOUR) == 0


def test_what_cannot_be_hashed_is_tried_again_after_a_while_and_not_at_once() -> None:
    times, known = ProofTimes(0.0, known_until=10), segment(10)
    times.ask(100.0)
    times.turned = 101.0
    times.hashed(known, [], 101.0, 101.0)
    times.give_up(101.0)
    assert times.urgency(known, 1.0, 102.0, HOUR) == 0
    assert times.urgency(known, 1.0, 101.0 + REHASH_AGAIN_SECONDS, HOUR) >= 1
