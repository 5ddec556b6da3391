"""What lies there is taken as new history: which violations that ends, and what is remembered for the proof."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.acknowledged import known_ids
from auditwatch.ledger.blocks import blocks_of
from auditwatch.ledger.damage import NamedBlock, ViolationRow
from auditwatch.ledger.events import Acknowledged, Rebaselined, Scope
from auditwatch.ledger.rebaselined import MOST_REBASELINES
from auditwatch.trail.kinds import Violation
from tests.ledger.trails import NAME, Trail

LINES = b"".join(b'{"event":"TRADE_APPROVED","n":%d}\n' % n for n in range(40))


def compacted() -> Trail:
    """The first half of a trail was dropped, and that was noticed."""
    trail = Trail(LINES)
    trail.look()
    del trail.files[NAME].data[: LINES.index(b"\n", len(LINES) // 2) + 1]
    trail.look()
    trail.look()
    assert trail.state.open_violations
    return trail


def rebaseline(trail: Trail, step: int | None = None) -> tuple[object, ...]:
    trail.now += 1
    seen = trail.state.step if step is None else step
    return trail.step(Rebaselined(trail.now, seen, "ann", "compaction of March", "half dropped"))


def test_open_violations_of_history_are_acknowledged_and_it_is_remembered_who_did_that_and_why() -> None:
    trail = compacted()
    number = len(trail.state.open_violations)
    rebaseline(trail)
    assert trail.state.open_violations == ()
    (taken,) = trail.state.rebaselines
    assert (taken.by, taken.reason, taken.proof, taken.violations) == (
        "ann",
        "compaction of March",
        "half dropped",
        number,
    )
    assert {row.acknowledgement.reason for row in trail.state.violations} == {"compaction of March"}


def test_what_is_appended_then_is_judged_and_another_change_is_another_violation() -> None:
    trail = compacted()
    rebaseline(trail)
    trail.append(b"not JSON\n")
    trail.look()
    assert (trail.state.damaged_lines, trail.state.open_violations) == (1, ())
    trail.files[NAME].data.clear()
    trail.look()
    assert [row.kind for row in trail.state.open_violations] == [Violation.EMPTIED]


def test_where_no_violation_of_history_is_open_nothing_happens() -> None:
    trail = Trail(LINES)
    trail.look()
    before = trail.state
    assert rebaseline(trail) == ()
    assert trail.state is before


def test_violations_of_order_stay_open() -> None:
    trail = compacted()
    gap = ViolationRow("v0", Violation.SEQUENCE_GAP, NAME, "6 to 8", 1.0)
    trail.state = replace(trail.state, violations=(gap, *trail.state.violations))
    rebaseline(trail)
    assert trail.state.open_violations == (gap,)


def test_a_violation_that_opened_after_the_file_was_compared_is_not_meant() -> None:
    trail = compacted()
    seen = trail.state.step
    trail.files[NAME].data.clear()
    trail.look()
    rebaseline(trail, seen)
    assert [row.kind for row in trail.state.open_violations] == [Violation.EMPTIED]


def test_the_history_before_the_first_open_violation_is_remembered_and_no_later_one() -> None:
    trail = Trail(LINES)
    trail.look()
    known = trail.state.active.anchor
    for keep in (len(LINES) // 2, 70):
        del trail.files[NAME].data[keep:]
        trail.look()
        trail.look()
        assert trail.state.former.anchor == known
    rebaseline(trail)
    assert trail.state.former is None


def test_reopening_what_was_acknowledged_does_not_take_todays_history_for_the_former_one() -> None:
    trail = compacted()
    trail.step(Acknowledged(trail.now, trail.state.step, Scope.ALL, "ann", "known"))
    ids = known_ids(trail.state)
    trail.step(Acknowledged(trail.now, trail.state.step, Scope.IDS, "ann", "", ids, undo=True))
    assert trail.state.open_violations
    assert trail.state.former is None


def test_what_a_violation_names_is_accepted_with_it() -> None:
    trail = Trail(LINES)
    trail.look()
    (block,) = blocks_of(trail.state.active)
    named = NamedBlock(trail.state.active.number, block.start, block.end, block.digest, "other")
    row = ViolationRow("v0", Violation.REWRITTEN, NAME, "", 1.0, named=(named,))
    trail.state = replace(trail.state, violations=(row,))
    rebaseline(trail)
    assert [known.digest for known in blocks_of(trail.state.active)] == ["other"]


def test_the_digests_of_the_blocks_are_remembered_too() -> None:
    trail = Trail(LINES)
    trail.look()
    known = blocks_of(trail.state.active)
    trail.files[NAME].data.clear()
    trail.look()
    trail.look()
    assert trail.state.former.blocks == known != ()


def test_the_latest_are_remembered() -> None:
    trail = compacted()
    for number in range(MOST_REBASELINES + 3):
        trail.files[NAME].data[:] = b'{"n":%d}\n' % number * 40 + LINES
        trail.look()
        trail.look()
        trail.files[NAME].data.clear()
        trail.look()
        trail.look()
        rebaseline(trail)
    assert len(trail.state.rebaselines) == MOST_REBASELINES
