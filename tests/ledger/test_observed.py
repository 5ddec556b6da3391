"""What a trail's history means: one test for each thing that can happen to a trail, without a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditwatch.ledger.damage import FindingState
from auditwatch.ledger.effects import LookAgain, Read
from auditwatch.ledger.segment import TornTail
from auditwatch.ledger.state import Policy, Standing
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.verdict import Trouble
from tests.ledger.trails import NAME, POLICY, RULES, Trail, open_places

GOOD = b'{"event":"TRADE_APPROVED","id":1,"side":"buy","size":100}\n'
LONG = GOOD * 3
TORN = b'{"event":"TRADE_A\n'


def violations(trail: Trail) -> list[Violation]:
    return [row.kind for row in trail.state.violations]


def test_what_is_there_at_first_sight_is_inherited_and_not_appended() -> None:
    trail = Trail(GOOD + TORN + GOOD)
    trail.look()
    tally = trail.state.tallies()[Kind.TORN]
    assert (tally.open, tally.inherited) == (1, 1)
    assert (trail.state.appended_bytes, trail.state.appended_lines) == (0, 0)
    assert trail.state.active.lines == 3
    assert trail.state.detected == {}


def test_what_is_appended_later_is_counted_and_pages() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.append(GOOD + TORN)
    trail.look()
    assert trail.state.appended_lines == 2
    assert trail.state.appended_bytes == len(GOOD + TORN)
    assert trail.state.paging_lines == 1
    assert trail.state.detected == {Kind.TORN: 1}
    assert trail.state.last_corrupt == {Kind.TORN: trail.now}


def test_a_line_that_straddles_first_sight_counts_when_it_ends() -> None:
    trail = Trail(GOOD + b'{"event":')
    trail.look()
    assert trail.state.active.pending == 9
    trail.append(b'"X"}\n')
    trail.look()
    assert trail.state.appended_lines == 1
    assert trail.state.appended_bytes == 5
    assert open_places(trail.state) == []


def test_a_file_that_appears_later_was_written_while_we_watched() -> None:
    trail = Trail(None)
    trail.look()
    assert trail.state.standing is Standing.MISSING
    trail.create(GOOD + TORN)
    trail.look()
    assert trail.state.appended_lines == 2
    assert trail.state.paging_lines == 1


def test_segments_that_came_and_went_before_the_first_file_was_seen_are_judged() -> None:
    trail = Trail(None)
    trail.look()
    for name, data in (("audit-1.jsonl", GOOD + TORN), ("audit-2.jsonl", GOOD)):
        trail.create(data)
        trail.rename(NAME, name)
    trail.create(GOOD)
    trail.look(neighbours=False)
    assert [segment.name for segment in trail.state.files] == ["audit-1.jsonl", "audit-2.jsonl", NAME]
    assert (trail.state.rotations, trail.state.appended_lines, trail.state.paging_lines) == (2, 4, 1)


def test_a_file_renamed_between_the_look_at_it_and_at_its_neighbours_is_one_segment() -> None:
    for before in (None, LONG):
        trail = Trail(before)
        trail.look()
        if before:
            trail.rename(NAME, "audit-1.jsonl")
        trail.create(GOOD)
        trail.renamed_while_looked_at = "audit-2.jsonl"
        trail.look()
        assert trail.state.appended_lines == 1
        trail.create(GOOD)
        trail.look()
        assert (trail.state.appended_lines, trail.state.violations) == (2, ())
        assert len(trail.state.files) == 2 + bool(before)


def test_a_segment_with_the_inode_of_a_deleted_one_is_a_rotation() -> None:
    trail = Trail(LONG)
    trail.look()
    first = trail.files[NAME].inode
    trail.rename(NAME, f"{NAME}.1")
    trail.create(LONG + LONG)
    trail.look()
    del trail.files[f"{NAME}.1"]
    trail.rename(NAME, f"{NAME}.2")
    trail.create(LONG + GOOD, inode=first)
    trail.look()
    trail.rename(NAME, f"{NAME}.3")
    trail.create(GOOD)
    trail.look()
    trail.look()
    assert (trail.state.rotations, trail.state.violations) == (3, ())


def test_hygiene_is_counted_and_pages_nobody() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.append(b"\n")
    trail.look()
    assert trail.state.damaged_lines == 1
    assert trail.state.paging_lines == 0


def test_pending_bytes_have_an_age_and_no_verdict() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.append(b'{"event":')
    trail.look()
    seen = trail.now
    trail.look()
    assert trail.state.active.pending == 9
    assert trail.state.active.grown == seen
    assert open_places(trail.state) == []


def test_a_roll_back_of_pending_bytes_is_no_truncation() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.append(b'{"event":"A')
    trail.look()
    del trail.files[NAME].data[-11:]
    trail.append(b'{"other":"much longer than what was rolled back"}\n')
    trail.look()
    assert violations(trail) == []
    assert open_places(trail.state) == []
    assert trail.state.appended_lines == 1


@pytest.mark.parametrize("instead", [b'{"event', b'{"event":"BUY"', GOOD + b'{"event'], ids=["less", "more", "a line"])
def test_pending_bytes_are_no_older_than_the_roll_back_before_them(instead: bytes) -> None:
    """A look saw bytes that a writer took back; others were written in their place before they were read."""
    trail = Trail(GOOD)
    trail.look()
    trail.append(b'{"event":"A"')
    (read,) = [effect for effect in trail.glance() if isinstance(effect, Read)]
    del trail.files[NAME].data[-12:]
    trail.now += 5
    trail.append(instead)
    trail.read(read)
    assert trail.state.active.pending
    assert trail.state.active.grown == trail.now


def test_verified_unverified_and_pending_add_up_to_the_size() -> None:
    trail = Trail(LONG + b"{")
    effects = trail.glance()
    while reads := [effect for effect in effects if isinstance(effect, Read)]:
        segment = trail.state.active
        assert segment.judged + segment.pending + segment.unverified == segment.size
        effects = trail.read(reads[0])
    assert trail.state.active.pending == 1


def test_a_rename_is_a_rotation_and_the_late_append_is_judged() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create(GOOD)
    trail.files["audit.jsonl.1"].data += TORN
    trail.look()
    assert trail.state.rotations == 1
    assert [segment.name for segment in trail.state.closed] == ["audit.jsonl.1"]
    assert open_places(trail.state) == [("audit.jsonl.1", len(LONG), "torn")]
    assert trail.state.appended_lines == 2
    assert violations(trail) == []


def test_a_file_rotated_away_is_up_while_the_next_is_awaited() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.look()
    assert trail.state.standing is Standing.ROTATED
    assert trail.state.is_up
    trail.create(GOOD)
    trail.look()
    assert trail.state.active.lines == 1
    assert violations(trail) == []


def test_rotations_while_we_were_away_are_all_found() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.rename(NAME, "audit.jsonl.2000")
    trail.create(GOOD + TORN, name="audit.jsonl.2001")
    trail.create(GOOD)
    trail.now += 1
    trail.restart()
    trail.look()
    assert trail.state.rotations == 2
    assert open_places(trail.state) == [("audit.jsonl.2001", len(GOOD), "torn")]
    assert trail.state.appended_lines == 3


def test_a_second_rename_of_a_segment_is_followed() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create(LONG)
    trail.look()
    trail.rename("audit.jsonl.1", "audit.jsonl.2")
    trail.rename(NAME, "audit.jsonl.1")
    trail.create(GOOD)
    trail.look()
    assert sorted(segment.name for segment in trail.state.files) == [NAME, "audit.jsonl.1", "audit.jsonl.2"]
    assert trail.state.rotations == 2
    assert violations(trail) == []


def test_a_copy_beside_an_unchanged_trail_is_no_rotation() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.create(LONG, name="audit.jsonl.backup")
    trail.append(GOOD)
    trail.look()
    assert trail.state.rotations == 0
    assert trail.state.closed == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda trail: trail.files[NAME].data.clear(), Violation.EMPTIED),
        (lambda trail: trail.files[NAME].data.__delitem__(slice(len(GOOD), None)), Violation.TRUNCATED),
        (lambda trail: trail.create(b'{"another":"file"}\n' * 20), Violation.REPLACED),
        (lambda trail: trail.create(GOOD * 100), Violation.ROLLED_BACK),
    ],
)
def test_a_violation_is_confirmed_by_a_second_look_and_told_once(change, expected) -> None:
    trail = Trail(LONG * 40)  # longer than the 4096 bytes that the head covers
    trail.look()
    change(trail)
    first = trail.glance()
    assert any(isinstance(effect, LookAgain) for effect in first)
    assert violations(trail) == []
    trail.look()
    trail.look()
    trail.restart()
    trail.look()
    assert violations(trail) == [expected]
    assert trail.state.open_violations


def test_bytes_changed_before_the_position_are_rewritten() -> None:
    trail = Trail(LONG * 40)  # longer than what head and marker cover together
    trail.look()
    trail.files[NAME].data[-5] ^= 1
    trail.look()
    assert violations(trail) == [Violation.REWRITTEN]


def test_after_a_violation_the_file_is_judged_from_its_start_and_not_counted_again() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.append(LONG + TORN + GOOD)
    trail.look()
    appended = trail.state.appended_lines
    del trail.files[NAME].data[len(GOOD) :]
    trail.append(TORN)
    trail.look()
    assert violations(trail) == [Violation.TRUNCATED]
    assert trail.state.appended_lines == appended
    assert open_places(trail.state) == [(NAME, len(GOOD), "torn")]
    gone = [f for f in trail.state.active.findings if f.state is FindingState.GONE]
    assert [f.offset for f in gone] == [len(GOOD + LONG)]


def test_an_unreadable_trail_keeps_what_is_known() -> None:
    trail = Trail(GOOD + TORN)
    trail.look()
    trail.trouble = Trouble("permission", "no")
    trail.look()
    assert trail.state.standing is Standing.UNREADABLE
    assert trail.state.damaged_lines == 1
    trail.trouble = None
    trail.append(GOOD)
    trail.look()
    assert trail.state.is_up
    assert trail.state.appended_lines == 1


def test_the_tail_of_a_closed_segment_is_torn_after_the_grace_and_not_before() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.append(b'{"cut":')
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    trail.wait(1)
    assert open_places(trail.state) == []
    trail.wait(60)
    assert open_places(trail.state) == [("audit.jsonl.1", len(LONG), "torn")]
    assert trail.state.closed[0].torn_tail == TornTail(len(LONG), is_listed=True)
    assert trail.state.closed[0].lines == 3


def test_a_torn_tail_that_somebody_ends_after_all_is_judged_again() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.append(b'{"cut":')
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    trail.wait(60)
    trail.files["audit.jsonl.1"].data += b"1}\n"
    trail.look()
    assert open_places(trail.state) == []
    assert trail.state.closed[0].lines == 4


def test_a_vanished_segment_keeps_its_findings_until_somebody_takes_note() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.append(TORN)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create(GOOD)
    trail.look()
    del trail.files["audit.jsonl.1"]
    trail.look()
    trail.now += 2
    trail.look()
    assert [segment.name for segment in trail.state.files] == [NAME]
    assert trail.state.paging_lines == 1


def test_other_rules_judge_everything_again_and_count_nothing_twice() -> None:
    trail = Trail(LONG)
    trail.look()
    trail.append(TORN)
    trail.look()
    before = trail.state
    trail.state = replace(trail.state, rules_id="older")
    trail.restart(POLICY)
    assert trail.state.active.judged == 0
    trail.look()
    assert trail.state.appended_lines == before.appended_lines == 1
    assert trail.state.damaged_lines == before.damaged_lines == 1
    assert trail.state.detected == before.detected


@pytest.mark.parametrize("left", [b"", GOOD], ids=["emptied", "truncated"])
def test_a_copy_that_is_made_before_a_truncation_is_not_a_rotation(left: bytes) -> None:
    """What was written between copying and truncating is in neither file: logrotate's copytruncate loses it."""
    trail = Trail(LONG)
    trail.look()
    trail.create(LONG, "audit.jsonl.1")
    trail.files[NAME].data[:] = left
    trail.look()
    (row,) = trail.state.violations
    assert row.kind is (Violation.TRUNCATED if left else Violation.EMPTIED)
    assert row.detail.endswith("copied to audit.jsonl.1 before")
    assert trail.state.rotations == 0
    assert [segment.name for segment in trail.state.files] == [NAME]


HISTORIES = {
    "truncated": (lambda data: data[: len(GOOD)], Violation.TRUNCATED),
    "emptied": (lambda _: b"", Violation.EMPTIED),
    "rewritten": (lambda data: data.swapcase() * 2, Violation.REWRITTEN),
}


@pytest.mark.parametrize(("change", "violation"), HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("is_read_halfway", [False, True])
def test_other_rules_forget_nothing_of_what_was_there(change, violation: Violation, is_read_halfway: bool) -> None:
    trail = Trail(LONG)
    trail.look()
    trail.state = replace(trail.state, rules_id="older")
    trail.restart()
    if is_read_halfway:
        (read, *_) = [effect for effect in trail.glance() if isinstance(effect, Read)]
        trail.step(trail.judged(read))
        assert trail.state.active.judged < trail.state.active.anchor.position
    trail.files[NAME].data[:] = change(bytes(trail.files[NAME].data))
    trail.look()
    assert violations(trail) == [violation]


def test_a_stale_report_changes_nothing() -> None:
    trail = Trail(LONG)
    read = next(effect for effect in trail.glance() if isinstance(effect, Read))
    answer = trail.judged(read)
    trail.step(answer)
    before = trail.state
    assert trail.step(answer) == ()
    assert trail.step(replace(answer, start=before.active.judged, rules_id="others")) == ()
    assert trail.state is before


def test_a_line_longer_than_a_read_is_pending_until_it_ends() -> None:
    trail = Trail(b'{"text":"' + b"x" * 150, Policy(RULES.rules_id, read_bytes=64))
    trail.look()
    assert trail.state.active.pending == trail.state.active.size
    trail.append(b'"}\n')
    trail.look()
    assert trail.state.active.lines == 1
    assert open_places(trail.state) == []


def numbered(number: int, start: int = 0) -> bytes:
    return b"".join(b'{"event":"TRADE_APPROVED","id":%d}\n' % n for n in range(start, start + number))


EDITED = numbered(50) + numbered(149, 51) + GOOD

OTHER_FILES = {
    "the same bytes": (numbered(200), None),
    "the same bytes and growth": (numbered(210), None),
    "an earlier state": (numbered(120), Violation.ROLLED_BACK),
    "an edited copy": (EDITED, Violation.REWRITTEN),
    "a copy without its beginning": (numbered(150, 50), Violation.REWRITTEN),
    "an edited copy of an earlier state": (numbered(50) + numbered(50, 60), Violation.REWRITTEN),
    "another file": (numbered(200, 1000), Violation.REPLACED),
    "another file with the same first line": (numbered(1) + numbered(200, 1000), Violation.REPLACED),
    "an empty file": (b"", Violation.REPLACED),
}


@pytest.mark.parametrize(("data", "expected"), OTHER_FILES.values(), ids=OTHER_FILES)
def test_another_file_whose_predecessor_has_no_name_is_named_by_its_bytes(data: bytes, expected) -> None:
    trail = Trail(numbered(200))
    trail.look()
    trail.create(data)
    trail.look()
    trail.look()
    assert violations(trail) == ([expected] if expected else [])
    assert trail.state.active.judged == len(data)
    assert trail.state.appended_lines == (10 if len(data) > len(numbered(200)) and not expected else 0)
    assert trail.state.rotations == 0


@pytest.mark.parametrize(
    ("data", "is_copy"),
    [
        (EDITED, True),
        (numbered(200), True),
        (numbered(100, 100), True),
        (b"", False),
        (numbered(10, 1000), False),
        (numbered(5), False),
        (numbered(3) + numbered(300, 1000), False),
    ],
)
def test_a_new_file_that_repeats_the_renamed_one_is_no_rotation(data: bytes, is_copy: bool) -> None:
    """`sed -i.1` and `cp` with an edit leave the old bytes beside a copy: a rotation begins anew."""
    trail = Trail(numbered(200))
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create(data)
    trail.look()
    trail.look()
    assert violations(trail) == ([Violation.REPLACED] if is_copy else [])
    assert [segment.name for segment in trail.state.files] == ["audit.jsonl.1", NAME]
    assert trail.state.active.judged == len(data)
    assert trail.state.appended_lines == (0 if is_copy else data.count(b"\n"))


def test_a_trail_whose_lines_repeat_may_rotate() -> None:
    trail = Trail(GOOD * 200)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create(GOOD * 150)
    trail.look()
    assert (trail.state.rotations, trail.state.violations) == (1, ())


def test_a_copy_in_place_of_a_file_that_was_moved_away_a_look_earlier_is_no_rotation() -> None:
    trail = Trail(numbered(200))
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.look()
    assert trail.state.standing is Standing.ROTATED
    trail.create(EDITED)
    trail.look()
    assert violations(trail) == [Violation.REPLACED]
    assert (trail.state.active.judged, trail.state.appended_lines) == (len(EDITED), 0)


ACCEPTING = replace(POLICY, rotation="copytruncate")


@pytest.mark.parametrize("is_packed", [False, True])
def test_copytruncate_is_a_rotation_where_its_owner_says_so(is_packed: bool) -> None:
    trail = Trail(numbered(50), ACCEPTING)
    trail.look()
    for number in range(1, 4):
        trail.append(numbered(10, start=100 * number))
        trail.create(bytes(trail.files[NAME].data), f"audit.jsonl.{2000 + number}")
        trail.files[NAME].data.clear()
        if is_packed:
            trail.compress(f"audit.jsonl.{2000 + number}")
        trail.append(numbered(2, start=100 * number + 50))
        trail.look()
        trail.look()
    (row,) = trail.state.violations
    assert (row.kind, row.count, row.acknowledgement.by) == (Violation.TRUNCATED, 3, "configuration")
    assert (trail.state.open_violations, trail.state.rotations) == ((), 3)
    assert [segment.lines for segment in trail.state.files] == [60, 12, 12, 2]
    assert trail.state.appended_lines == 36


@pytest.mark.parametrize("rotation", ["copytruncate", "discard", ""])
def test_an_emptied_trail_without_a_copy_pages_unless_it_is_discarded(rotation: str) -> None:
    trail = Trail(numbered(50), replace(POLICY, rotation=rotation))
    trail.look()
    trail.files[NAME].data.clear()
    trail.look()
    trail.append(numbered(3, start=900))
    trail.look()
    assert [row.kind for row in trail.state.open_violations] == ([] if rotation == "discard" else [Violation.EMPTIED])
    assert len(trail.state.violations) == 1
    assert (trail.state.active.lines, trail.state.appended_lines) == (3, 3)


def test_an_edit_in_place_pages_however_the_trail_is_rotated() -> None:
    trail = Trail(numbered(50), replace(POLICY, rotation="discard"))
    trail.look()
    trail.files[NAME].data[5] ^= 1
    trail.look()
    assert [row.kind for row in trail.state.open_violations] == [Violation.REWRITTEN]


@pytest.mark.parametrize("left", [0, 20, 80])
def test_a_read_that_finds_nothing_new_remembers_nothing_else_of_what_was_judged(left: int) -> None:
    """The file was cut between the look and the read: the read may not take what lies there now for what was judged."""
    trail = Trail(numbered(50))
    trail.look()
    before = trail.state.active.anchor
    trail.append(numbered(10, start=100))
    (read, *_) = [effect for effect in trail.glance() if isinstance(effect, Read)]
    trail.files[NAME].data[:] = numbered(60, start=900)[:left]
    trail.read(read)
    assert trail.state.active.anchor == before
    trail.look()
    assert violations(trail) == [Violation.TRUNCATED if left else Violation.EMPTIED]
