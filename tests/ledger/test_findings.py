"""The life of findings: known, superseded, gone, reopened, counted beyond the rows, acknowledged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditwatch.ledger.acknowledged import known_ids
from auditwatch.ledger.advance import advance
from auditwatch.ledger.damage import FindingState, Tally
from auditwatch.ledger.events import Acknowledged, Reviewed, Scope
from auditwatch.ledger.segment import tallied
from auditwatch.ledger.unlisted import MOST_OPENED
from auditwatch.trail.ids import finding_id, unlisted_id
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.scan import Scan
from tests.ledger.trails import NAME, POLICY, RULES, Trail, open_places

GOOD = b'{"event":"TRADE_APPROVED","id":1,"side":"buy","size":100}\n'
TORN = b'{"event":"TRADE_A\n'
GLUED = b'{"a":1}{"b":2}\n'


def review(trail: Trail) -> None:
    """A full run over what was judged."""
    for segment in trail.state.files:
        scan = Scan(RULES)
        scan.feed(bytes(trail.files[segment.name].data[: segment.judged]))
        trail.now += 1
        trail.step(Reviewed(trail.now, segment.number, 0, 0, RULES.rules_id, scan.finish()))


def acknowledge(trail: Trail, scope: Scope = Scope.ALL, *, step: int | None = None, **more) -> None:
    seen = trail.state.step if step is None else step
    trail.step(Acknowledged(trail.now, seen, scope, by="ann", reason="known", **more))


def states(trail: Trail) -> list[str]:
    return [finding.state.value for segment in trail.state.segments for finding in segment.findings]


def damaged() -> Trail:
    """One inherited line, one new one."""
    trail = Trail(GOOD + TORN)
    trail.look()
    trail.append(GLUED + GOOD)
    trail.look()
    return trail


def test_a_full_run_over_known_damage_finds_nothing_new() -> None:
    trail = damaged()
    before = trail.state
    review(trail)
    assert trail.state.detected == before.detected
    assert open_places(trail.state) == open_places(before)
    assert trail.state.active.findings[0].last_seen == trail.now


def test_growth_without_damage_keeps_the_totals_over_findings_instead_of_summing_them_up_again() -> None:
    trail = damaged()
    known = tallied(trail.state.active)
    kept = trail.state.active.findings.tallies
    trail.append(GOOD)
    trail.look()
    assert trail.state.active.findings.tallies is kept
    assert tallied(trail.state.active) == known == {Kind.TORN: Tally(1, inherited=1), Kind.CONCATENATED: Tally(1)}
    trail.append(GLUED)
    trail.look()
    assert tallied(trail.state.active) == {Kind.TORN: Tally(1, inherited=1), Kind.CONCATENATED: Tally(2)}


def test_damage_in_judged_history_is_found_by_a_full_run_and_pages() -> None:
    trail = damaged()
    trail.files[NAME].data[0] ^= 1
    review(trail)
    assert open_places(trail.state)[0] == (NAME, 0, "torn")
    assert trail.state.active.findings[0].line == 1
    assert not trail.state.active.findings[0].inherited  # it was whole at the first look
    assert trail.state.paging_lines == 2
    assert trail.state.active.lines == 4


def test_other_bytes_at_the_same_place_supersede_a_finding() -> None:
    trail = damaged()
    trail.files[NAME].data[len(GOOD) + 2] ^= 1
    review(trail)
    assert states(trail) == ["superseded", "open", "open"]
    assert trail.state.damaged_lines == 2


def test_a_line_made_whole_is_gone_and_opens_again_when_it_is_damaged_again() -> None:
    trail = damaged()
    healthy = b'{"e":"TRADE_APP"}\n'
    assert len(healthy) == len(TORN)
    place = slice(len(GOOD), len(GOOD) + len(TORN))
    trail.files[NAME].data[place] = healthy
    review(trail)
    assert states(trail) == ["gone", "open"]
    trail.files[NAME].data[place] = TORN
    review(trail)
    assert states(trail) == ["open", "open"]
    assert len(trail.stored) == 2


def test_an_id_is_the_same_on_every_host() -> None:
    trail = damaged()
    finding = trail.state.active.findings[0]
    assert finding.id == finding_id("risk", len(GOOD), finding.sha256)
    assert finding.id in known_ids(trail.state)


def test_all_means_what_was_open_when_asked() -> None:
    trail = damaged()
    seen = trail.state.step
    trail.append(TORN)
    trail.look()
    acknowledge(trail, step=seen)
    assert states(trail) == ["acknowledged", "acknowledged", "open"]
    assert trail.state.tallies()[Kind.TORN] == Tally(open=1, inherited=0, acknowledged=1)


def test_what_was_open_when_asked_is_told_by_steps_whatever_the_clocks_say() -> None:
    trail = damaged()
    seen = trail.state.step
    trail.now -= 86_400  # somebody sets the clock back a day
    trail.append(TORN)
    trail.look()
    trail.files[NAME].data.clear()
    trail.look()
    assert [row.kind for row in trail.state.open_violations] == [Violation.EMPTIED]
    acknowledge(trail, step=seen)
    assert [row.kind for row in trail.state.open_violations] == [Violation.EMPTIED]
    acknowledge(trail)
    assert trail.state.open_violations == ()


def test_what_was_gone_when_asked_and_is_open_again_is_not_meant() -> None:
    trail = damaged()
    place = slice(len(GOOD), len(GOOD) + len(TORN))
    trail.files[NAME].data[place] = b'{"e":"TRADE_APP"}\n'
    review(trail)
    seen = trail.state.step
    trail.files[NAME].data[place] = TORN
    review(trail)
    acknowledge(trail, step=seen)
    assert states(trail) == ["open", "acknowledged"]


def test_what_was_reopened_after_the_question_stays_open() -> None:
    trail = damaged()
    trail.files[NAME].data.clear()
    trail.look()
    (row,) = trail.state.violations
    finding = trail.state.active.findings[0]
    acknowledge(trail)
    seen = trail.state.step
    acknowledge(trail, Scope.IDS, ids=frozenset({row.id, finding.id}), undo=True)
    acknowledge(trail, step=seen)
    assert trail.state.open_violations == (replace(row, step=seen + 1),)


def test_each_step_that_is_stored_is_counted_and_no_other() -> None:
    trail = damaged()
    before = trail.state.step
    trail.glance()
    assert trail.state.step == before
    trail.append(GOOD)
    trail.look()
    assert trail.state.step == before + 1
    trail.restart()
    assert trail.state.step == before + 1


def test_inherited_means_the_inherited_ones_alone() -> None:
    trail = damaged()
    acknowledge(trail, Scope.INHERITED)
    assert states(trail) == ["acknowledged", "open"]


def test_an_acknowledgement_by_id_can_be_taken_back() -> None:
    trail = damaged()
    chosen = frozenset({trail.state.active.findings[1].id})
    acknowledge(trail, Scope.IDS, ids=chosen)
    assert states(trail) == ["open", "acknowledged"]
    assert trail.state.active.findings[1].acknowledgement.by == "ann"
    acknowledge(trail, Scope.IDS, ids=chosen, undo=True)
    assert states(trail) == ["open", "open"]
    assert trail.state.active.findings[1].acknowledgement is None


def test_an_acknowledged_finding_stays_acknowledged_through_a_full_run() -> None:
    trail = damaged()
    acknowledge(trail)
    review(trail)
    assert states(trail) == ["acknowledged", "acknowledged"]
    assert trail.state.paging_lines == 0


def test_violations_are_acknowledged_with_all() -> None:
    trail = damaged()
    trail.files[NAME].data.clear()
    trail.look()
    assert [row.kind for row in trail.state.open_violations] == [Violation.EMPTIED]
    acknowledge(trail)
    assert trail.state.open_violations == ()


def test_nothing_is_stored_where_nothing_was_meant() -> None:
    trail = Trail(GOOD)
    trail.look()
    before = trail.state
    assert trail.step(Acknowledged(trail.now, before.step, Scope.ALL, "ann", "nothing there")) == ()
    assert trail.state is before


FEW_ROWS = replace(POLICY, max_listed=3)


class TestMoreDamageThanRows:
    """Beyond the rows it is counted: nothing is lost, nothing counts twice."""

    def full(self) -> Trail:
        trail = Trail(TORN * 2, FEW_ROWS)
        trail.look()
        for _ in range(4):
            trail.append(TORN + GOOD)
            trail.look()
        return trail

    def test_counts_stay_exact(self) -> None:
        trail = self.full()
        assert len(trail.state.active.findings) == 3
        assert trail.state.tallies()[Kind.TORN] == Tally(open=6, inherited=2)
        assert trail.state.detected == {Kind.TORN: 4}
        assert trail.state.paging_lines == 4

    def test_a_full_run_does_not_count_them_again(self) -> None:
        trail = self.full()
        before = trail.state.tallies()
        review(trail)
        assert trail.state.tallies() == before

    def test_all_acknowledges_what_is_only_counted(self) -> None:
        trail = self.full()
        acknowledge(trail)
        assert trail.state.tallies()[Kind.TORN] == Tally(acknowledged=6)

    def test_all_leaves_open_what_was_counted_after_the_question(self) -> None:
        trail = self.full()
        seen = trail.state.step
        trail.append(TORN * 2 + GOOD)
        trail.look()
        acknowledge(trail, step=seen)
        assert trail.state.tallies()[Kind.TORN] == Tally(open=2, acknowledged=6)
        acknowledge(trail)
        assert trail.state.tallies()[Kind.TORN] == Tally(acknowledged=8)

    def test_inherited_means_what_is_counted_too(self) -> None:
        trail = Trail(TORN * 5 + GOOD, FEW_ROWS)
        trail.look()
        trail.append(TORN * 2)
        trail.look()
        acknowledge(trail, Scope.INHERITED)
        assert trail.state.tallies()[Kind.TORN] == Tally(open=2, acknowledged=5)

    def test_they_have_one_id_and_open_again_as_they_were(self) -> None:
        trail = Trail(TORN * 5 + GOOD, FEW_ROWS)
        trail.look()
        trail.append(TORN * 2)
        trail.look()
        ids = frozenset({unlisted_id("risk")})
        assert ids <= known_ids(trail.state)
        acknowledge(trail, Scope.IDS, ids=ids)
        assert trail.state.tallies()[Kind.TORN] == Tally(open=3, inherited=3, acknowledged=4)
        assert trail.state.unlisted_note.by == "ann"
        seen = trail.state.step
        acknowledge(trail, Scope.IDS, ids=ids, undo=True)
        assert trail.state.tallies()[Kind.TORN] == Tally(open=7, inherited=5)
        assert trail.state.unlisted_note is None
        acknowledge(trail, step=seen)
        assert trail.state.tallies()[Kind.TORN] == Tally(open=4, inherited=2, acknowledged=3)

    def test_of_very_many_steps_the_latest_are_kept_apart_and_too_little_is_acknowledged_never_too_much(self) -> None:
        trail = Trail(TORN * 3, FEW_ROWS)
        trail.look()
        seen = [trail.state.step]
        for _ in range(MOST_OPENED + 10):
            trail.append(TORN)
            trail.look()
            seen.append(trail.state.step)
        assert len(trail.state.active.unlisted_opened) == MOST_OPENED
        left = [self.left_open(trail, step) for step in seen]
        assert left == [MOST_OPENED + 10] * 11 + list(range(MOST_OPENED - 1, -1, -1))

    def left_open(self, trail: Trail, step: int) -> int:
        asked = Acknowledged(trail.now, step, Scope.ALL, by="ann", reason="known")
        return advance(trail.state, asked)[0].tallies()[Kind.TORN].open

    def test_other_rules_do_not_forget_them_where_the_file_is_gone(self) -> None:
        trail = self.full()
        before = trail.state.tallies()
        trail.rename(NAME, "audit.jsonl.1")
        trail.create()
        trail.look()
        del trail.files["audit.jsonl.1"]
        for _ in range(3):
            trail.look()
        assert trail.state.closed[0].vanished
        trail.state = replace(trail.state, rules_id="older")
        trail.restart()
        trail.look()
        assert trail.state.tallies() == before

    def test_the_map_knows_where_they_are(self) -> None:
        trail = self.full()
        third = trail.state.active.findings[-1]
        ((low, high),) = trail.state.active.unlisted_ranges
        assert third.offset + len(TORN) <= low < high == trail.state.active.judged - len(GOOD)

    def test_a_dead_finding_makes_room_for_a_living_one(self) -> None:
        trail = Trail(TORN * 2, FEW_ROWS)
        trail.look()
        trail.files[NAME].data[: len(TORN)] = b'{"e":"TRADE_APP"}\n'
        review(trail)
        assert states(trail) == ["gone", "open"]
        trail.append(TORN * 2)
        trail.look()
        assert states(trail) == ["open", "open", "open"]
        assert len(trail.stored) == 3
        assert trail.state.active.unlisted == {}

    def test_a_line_that_is_counted_does_not_get_a_row_when_there_is_room_again(self) -> None:
        trail = self.full()
        trail.files[NAME].data[: len(TORN)] = b'{"e":"TRADE_APP"}\n'
        review(trail)
        assert states(trail) == ["gone", "open", "open"]
        assert trail.state.tallies()[Kind.TORN].open == 5

    @pytest.mark.parametrize("is_acknowledged", [False, True])
    def test_a_torn_tail_without_a_row_is_found_again_when_somebody_ends_it(self, is_acknowledged: bool) -> None:
        trail = Trail(TORN * 4, FEW_ROWS)
        trail.look()
        trail.append(GOOD * 5 + b'{"cut":')
        trail.rename(NAME, "audit.jsonl.1")
        trail.create()
        trail.look()
        trail.wait(60)
        assert trail.state.tallies()[Kind.TORN].open == 5
        if is_acknowledged:
            acknowledge(trail)
        trail.files["audit.jsonl.1"].data += b"1}\n" + TORN
        trail.look()
        (closed,) = trail.state.closed
        assert closed.lines == 11
        assert closed.judged == closed.read == closed.size
        tally = trail.state.tallies()[Kind.TORN]
        assert (tally.open, tally.acknowledged) == ((1, 4) if is_acknowledged else (5, 0))


def test_a_review_beyond_the_judged_position_is_stale() -> None:
    trail = damaged()
    scan = Scan(RULES)
    scan.feed(bytes(trail.files[NAME].data) + TORN)
    event = Reviewed(trail.now, 1, 0, 0, RULES.rules_id, scan.finish())
    assert advance(trail.state, event) == (trail.state, ())
    assert advance(trail.state, replace(event, rules_id="others")) == (trail.state, ())
    assert FindingState.OPEN in states(trail)
