"""What was written to a file before it lost its name is read: the agent holds it open."""

from __future__ import annotations

import pytest

from auditwatch.trail.kinds import Kind, Violation
from tests.ledger.trails import NAME, Trail, open_places

GOOD = b'{"event":"TRADE_APPROVED","id":1,"side":"buy","size":100}\n'
TORN = b'{"event":"TRADE_A\n'


def watched(data: bytes = GOOD * 3) -> Trail:
    trail = Trail(data)
    trail.look()
    trail.look()
    return trail


@pytest.mark.parametrize("is_followed", [True, False], ids=["another file", "no file"])
def test_lines_between_the_last_look_and_an_unlink_are_judged(is_followed: bool) -> None:
    trail = watched()
    trail.append(GOOD + TORN)
    del trail.files[NAME]
    if is_followed:
        trail.create(GOOD.replace(b"1", b"7"))
    trail.look()
    assert trail.state.detected == {Kind.TORN: 1}
    assert trail.state.appended_lines == 2
    trail.now += 2
    trail.look()
    expected = Violation.REPLACED if is_followed else Violation.DELETED
    assert [row.kind for row in trail.state.violations] == [expected]


def test_a_producer_that_goes_on_writing_to_the_deleted_file_does_not_put_the_alarm_off() -> None:
    trail = watched()
    file = trail.files.pop(NAME)
    for _ in range(4):
        file.data += GOOD
        trail.look()
    assert [row.kind for row in trail.state.violations] == [Violation.DELETED]


def test_a_file_of_which_nothing_was_judged_is_read_before_it_is_forgotten() -> None:
    trail = watched(b"")
    trail.append(GOOD + TORN)
    del trail.files[NAME]
    trail.look()
    assert trail.state.appended_lines == 2
    assert open_places(trail.state) == [(NAME, len(GOOD), "torn")]
    trail.now += 2
    trail.look()
    assert [row.kind for row in trail.state.violations] == [Violation.DELETED]


def test_what_was_cut_off_before_it_was_unlinked_is_not_read() -> None:
    trail = watched()
    del trail.files[NAME].data[:-10]
    del trail.files[NAME]
    trail.look()
    trail.now += 2
    trail.look()
    assert [row.kind for row in trail.state.violations] == [Violation.DELETED]
    assert trail.state.detected == {}


def test_the_rest_of_a_file_that_was_compressed_is_read_from_the_archive() -> None:
    trail = watched()
    trail.append(GOOD + TORN)
    trail.rename(NAME, f"{NAME}.1")
    trail.create(GOOD)
    trail.compress(f"{NAME}.1")
    trail.look()
    assert (trail.state.appended_lines, trail.state.detected) == (3, {Kind.TORN: 1})
    assert (trail.state.rotations, trail.state.violations) == (1, ())


def test_a_file_that_was_moved_to_a_name_that_no_rotation_gives_is_followed_there() -> None:
    trail = watched()
    trail.append(GOOD)
    trail.rename(NAME, "elsewhere")
    trail.create(GOOD.replace(b"1", b"7"))
    trail.look()
    trail.append(GOOD.replace(b"1", b"8"))
    trail.now += 60
    trail.look()
    trail.now += 60
    trail.look()
    assert [(segment.name, segment.lines) for segment in trail.state.files] == [("elsewhere", 4), (NAME, 2)]
    assert (trail.state.rotations, trail.state.appended_lines, trail.state.violations) == (1, 3, ())


@pytest.mark.parametrize("name", [f"{NAME}~", f"{NAME}.bak"])
def test_what_an_editor_keeps_beside_its_own_file_is_no_segment(name: str) -> None:
    lines = [b'{"event":"TRADE_APPROVED","id":%d}\n' % n for n in range(200)]
    trail = watched(b"".join(lines))
    trail.rename(NAME, name)
    trail.create(b"".join(lines[:100] + lines[101:]))
    trail.look()
    del trail.files[name]
    trail.now += 60
    trail.look()
    assert [row.kind for row in trail.state.violations] == [Violation.REPLACED]
    assert [(segment.name, segment.lines) for segment in trail.state.files] == [(NAME, 199)]
