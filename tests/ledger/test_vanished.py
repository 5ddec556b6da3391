"""Files that are no longer there: deleted, rotated out by retention, or taken away too early."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditwatch.ledger.events import FileSight, Nameless, Observed
from auditwatch.ledger.neighbours import strangers
from auditwatch.ledger.state import Standing
from auditwatch.trail.kinds import Kind, Violation
from tests.ledger.trails import NAME, POLICY, Trail

GOOD = b'{"event":"TRADE_APPROVED","id":1,"side":"buy","size":100}\n'
TORN = b'{"event":"TRADE_A\n'


def rotated(number: int, *, policy=POLICY) -> Trail:
    """A trail with this many closed segments: audit.jsonl.1 is the youngest."""
    trail = Trail(b"", policy)
    trail.look()
    for _ in range(number):
        trail.append(GOOD)
        trail.look()
        rotate(trail)
    return trail


def rotate(trail: Trail, most: int = 1000) -> None:
    """What logrotate does with `rotate most`."""
    count = len(trail.files) - 1
    trail.files.pop(f"{NAME}.{most}", None)
    for number in range(min(count, most - 1), 0, -1):
        if f"{NAME}.{number}" in trail.files:
            trail.rename(f"{NAME}.{number}", f"{NAME}.{number + 1}")
    trail.rename(NAME, f"{NAME}.1")
    trail.create()
    trail.look()


def pass_absence(trail: Trail) -> None:
    trail.look()
    trail.now += POLICY.absence_seconds
    trail.look()


def kinds(trail: Trail) -> list[Violation]:
    return [row.kind for row in trail.state.violations]


def test_a_deleted_file_is_named_when_it_has_been_missing_long_enough_and_once() -> None:
    trail = Trail(GOOD)
    trail.look()
    del trail.files[NAME]
    trail.look()
    assert trail.state.violations == ()
    assert not trail.state.is_settled
    pass_absence(trail)
    trail.look()
    assert kinds(trail) == [Violation.DELETED]
    assert trail.state.standing is Standing.MISSING


def test_a_clock_that_was_set_back_proves_no_absence() -> None:
    trail = Trail(GOOD)
    trail.look()
    del trail.files[NAME]
    trail.look()
    trail.now -= 3600
    trail.look()
    assert trail.state.violations == ()
    pass_absence(trail)
    assert kinds(trail) == [Violation.DELETED]


def test_a_directory_that_is_away_for_a_while_took_nothing_with_it() -> None:
    trail = rotated(3)
    trail.is_away = True
    for _ in range(5):
        trail.look()
    trail.is_away = False
    trail.append(GOOD)
    trail.look()
    assert (trail.state.violations, trail.state.expired) == ((), 0)
    assert [segment.lines for segment in trail.state.files] == [1, 1, 1, 1]


def test_another_file_system_over_the_directory_is_no_deletion_until_the_grace_has_passed() -> None:
    trail = Trail(GOOD)
    trail.look()
    hidden, trail.files, trail.device = trail.files, {}, 2
    pass_absence(trail)
    assert trail.state.violations == ()
    trail.files, trail.device = hidden, 1
    trail.look()
    assert trail.state.violations == ()
    trail.files, trail.device = {}, 2
    trail.look()
    trail.now += POLICY.pending_grace_seconds
    trail.look()
    assert kinds(trail) == [Violation.DELETED]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_retention_that_removes_the_oldest_raises_nothing(most: int) -> None:
    trail = Trail(b"")
    trail.look()
    for _ in range(8):
        trail.append(GOOD)
        trail.look()
        rotate(trail, most)
        pass_absence(trail)
    assert trail.state.violations == ()
    assert trail.state.expired == 8 - most
    assert len(trail.state.files) == most + 1


@pytest.mark.parametrize("number", [1, 2])
def test_a_hole_between_segments_is_a_missing_segment(number: int) -> None:
    trail = rotated(3)
    del trail.files[f"{NAME}.{number}"]
    pass_absence(trail)
    (row,) = trail.state.violations
    assert row.kind is Violation.SEGMENT_MISSING
    assert row.segment == f"{NAME}.{number}"
    assert f"{len(GOOD)} bytes, 1 judged lines" in row.detail
    assert trail.state.expired == 0


def test_all_segments_removed_at_once_are_one_violation() -> None:
    trail = rotated(5)
    for number in range(1, 6):
        del trail.files[f"{NAME}.{number}"]
    pass_absence(trail)
    pass_absence(trail)
    (row,) = trail.state.violations
    assert row.kind is Violation.SEGMENT_MISSING
    assert row.detail.startswith(f"{NAME}.5, {NAME}.4, {NAME}.3 and 2 more: gone with {5 * len(GOOD)} bytes")
    assert [segment.name for segment in trail.state.files] == [NAME]


def test_empty_segments_go_without_a_word() -> None:
    trail = Trail(b"")
    trail.look()
    rotate(trail)
    del trail.files[f"{NAME}.1"]
    pass_absence(trail)
    assert (trail.state.violations, trail.state.expired) == ((), 0)


@pytest.mark.parametrize(("keep", "age", "expected"), [(3600, 60, [Violation.SEGMENT_MISSING]), (3600, 7200, [])])
def test_what_its_owner_keeps_for_a_time_must_be_there_for_that_time(keep: float, age: float, expected) -> None:
    trail = rotated(1, policy=replace(POLICY, keep_seconds=keep))
    trail.now += age
    del trail.files[f"{NAME}.1"]
    pass_absence(trail)
    assert kinds(trail) == expected
    assert trail.state.expired == 1 - len(expected)


def test_an_uploader_takes_segments_in_any_order() -> None:
    trail = rotated(3, policy=replace(POLICY, keep_seconds=0))
    del trail.files[f"{NAME}.2"]
    pass_absence(trail)
    del trail.files[f"{NAME}.1"], trail.files[f"{NAME}.3"]
    pass_absence(trail)
    assert (trail.state.violations, trail.state.expired) == ((), 3)


def test_a_segment_that_was_not_read_to_its_end_is_missing_unless_nobody_watched() -> None:
    for is_restarted in (False, True):
        trail = rotated(2)
        trail.files[f"{NAME}.2"].data += GOOD
        trail.glance()
        assert trail.state.closed[0].unverified
        del trail.files[f"{NAME}.2"]
        if is_restarted:
            trail.restart()
        trail.glance()
        trail.now += POLICY.absence_seconds
        trail.glance()
        assert kinds(trail) == ([] if is_restarted else [Violation.SEGMENT_MISSING])


def test_a_segment_that_is_back_before_its_absence_is_proved_was_never_gone() -> None:
    trail = rotated(2)
    taken = trail.files.pop(f"{NAME}.1")
    trail.look()
    trail.files[f"{NAME}.1"] = taken
    pass_absence(trail)
    assert trail.state.violations == ()
    assert trail.state.is_settled
    assert len(trail.state.files) == 3


def test_retention_may_go_on_while_nobody_watches() -> None:
    """`rotate 2` over three rotations: neither closed segment nor the active file is left, younger ones are there."""
    trail = rotated(2)
    trail.append(GOOD)
    trail.look()
    trail.restart()
    for number in range(3):
        trail.append(GOOD.replace(b"1", b"2%d" % number) * (number + 2))
        trail.files.pop(f"{NAME}.2")
        trail.rename(f"{NAME}.1", f"{NAME}.2")
        trail.rename(NAME, f"{NAME}.1")
        trail.create()
    pass_absence(trail)
    assert trail.state.violations == ()
    assert (trail.state.expired, trail.state.expired_unread) == (3, 1)
    assert sorted(segment.lines for segment in trail.state.files) == [0, 3, 4]
    assert trail.state.rotations == 5
    assert not trail.state.is_resumed


def test_an_active_file_that_goes_while_older_segments_stay_is_not_retention() -> None:
    trail = rotated(2)
    trail.append(GOOD)
    trail.look()
    trail.restart()
    trail.create(GOOD.replace(b"1", b"2") * 7)
    pass_absence(trail)
    assert len(trail.state.violations) == 1
    assert trail.state.expired == 0


def test_a_segment_that_is_rotated_before_the_next_look_while_the_trail_is_awaited_is_judged() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.rename(NAME, f"{NAME}.2001")
    trail.look(neighbours=False)
    trail.create(GOOD * 2)
    trail.rename(NAME, f"{NAME}.2002")
    trail.look(neighbours=False)
    assert [segment.lines for segment in trail.state.files] == [1, 2]
    assert trail.state.standing is Standing.ROTATED
    assert (trail.state.rotations, trail.state.violations) == (2, ())


def test_a_busy_writer_may_remove_what_is_held_open_before_it_is_looked_at_again() -> None:
    trail = rotated(1)
    trail.append(GOOD)
    trail.look()
    trail.append(TORN)
    for number in range(3):
        trail.files.pop(f"{NAME}.1")
        trail.rename(NAME, f"{NAME}.1")
        trail.create(GOOD.replace(b"1", b"2%d" % number))
    pass_absence(trail)
    assert trail.state.violations == ()
    assert (trail.state.expired, trail.state.expired_unread) == (2, 0)
    assert trail.state.detected == {Kind.TORN: 1}


def test_other_device_numbers_after_a_reboot_change_nothing() -> None:
    trail = Trail(b"")
    trail.look()
    for number in range(3):
        trail.append(GOOD.replace(b"1", b"2%d" % number) * 5)
        trail.look()
        rotate(trail)
    trail.append(GOOD)
    trail.look()
    before = trail.state
    trail.device = 2
    for file in trail.files.values():
        file.inode += 100
    trail.restart()
    pass_absence(trail)
    assert trail.state.violations == ()
    assert [s.number for s in trail.state.files] == [s.number for s in before.files]
    assert (trail.state.rotations, trail.state.appended_lines) == (before.rotations, before.appended_lines)


def test_a_clock_that_was_set_back_does_not_put_off_the_verdict_on_a_torn_tail() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.append(b'{"cut":')
    rotate(trail)
    trail.now -= 3600
    trail.look()
    trail.wait(60)
    assert [s.torn_tail is not None for s in trail.state.closed] == [True]


@pytest.mark.parametrize(("left", "expected"), [(20, Violation.TRUNCATED), (0, Violation.EMPTIED)])
def test_a_closed_segment_that_somebody_cuts_is_named_and_not_missing(left: int, expected: Violation) -> None:
    trail = rotated(2)
    del trail.files[f"{NAME}.2"].data[left:]
    pass_absence(trail)
    (row,) = trail.state.violations
    assert (row.kind, row.segment) == (expected, f"{NAME}.2")
    assert row.detail == f"{left} bytes found where {len(GOOD)} had been judged"
    assert [segment.lines for segment in trail.state.files] == [0, 1, 0]
    assert trail.state.appended_lines == 2


def test_a_younger_one_may_go_while_the_older_is_missing_itself() -> None:
    trail = rotated(6)
    del trail.files[f"{NAME}.5"]
    trail.look()
    del trail.files[f"{NAME}.6"]
    trail.look()
    pass_absence(trail)
    pass_absence(trail)
    assert kinds(trail) == []
    assert trail.state.expired == 2


def test_a_younger_one_that_goes_while_the_older_stays_is_missing() -> None:
    trail = rotated(6)
    del trail.files[f"{NAME}.5"]
    pass_absence(trail)
    assert kinds(trail) == [Violation.SEGMENT_MISSING]


def test_what_is_written_to_a_file_without_a_name_is_said() -> None:
    trail = rotated(1)
    trail.step(Nameless(trail.now, 42))
    (row,) = trail.state.violations
    assert row.kind is Violation.DELETED
    assert row.detail.startswith("42 bytes written to a file of the trail after it was deleted")
    trail.step(Nameless(trail.now, 99))
    (row,) = trail.state.violations
    assert (row.count, row.latest.split()[0]) == (2, "99")


def test_a_file_with_the_inode_of_a_closed_one_is_another_if_it_was_born_later() -> None:
    """A file system gives an inode that is free to the next file, perhaps before the former one was missed."""
    trail = rotated(1)
    (known,) = trail.state.closed
    again = FileSight("audit.jsonl.2000", known.device, known.inode, 100, trail.now, born_ns=known.born_ns)
    reborn, unknown = replace(again, born_ns=known.born_ns + 1), replace(again, born_ns=0)
    looks = (Observed(trail.now, None, others=(sight,)) for sight in (again, reborn, unknown))
    assert [strangers(trail.state, look) for look in looks] == [(), (reborn,), ()]


def test_other_device_numbers_after_a_reboot_change_nothing_while_a_segment_is_missing() -> None:
    trail = Trail(GOOD)
    trail.look()
    trail.rename(NAME, f"{NAME}.2001")
    trail.create()
    trail.rename(NAME, f"{NAME}.2002")
    trail.create()
    trail.look()
    del trail.files[NAME], trail.files[f"{NAME}.2002"]
    trail.look()
    trail.device = 2
    trail.restart()
    trail.create()
    pass_absence(trail)
    assert (trail.state.violations, trail.state.appended_lines) == ((), 0)
