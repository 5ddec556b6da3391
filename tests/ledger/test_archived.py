"""Compressed neighbours: unfinished ones get no verdict, cut ones have a violation, and what they give is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Unpacked
from auditwatch.ledger.segment import Fingerprint
from auditwatch.trail.kinds import Violation
from tests.ledger.trails import NAME, POLICY, Trail, open_places

LINES = b"".join(b'{"event":"A","n":%d}\n' % n for n in range(100))
DAMAGED = b"PPROVED}\n"
GRACE = POLICY.pending_grace_seconds


def violations(trail: Trail) -> list[tuple[Violation, str]]:
    return [(row.kind, row.detail) for row in trail.state.violations]


def lines(trail: Trail) -> int:
    return sum(segment.lines for segment in trail.state.files)


def test_a_cut_archive_is_judged_as_far_as_it_goes_and_its_end_is_not_torn() -> None:
    trail = Trail(LINES)
    trail.look()
    trail.pack(DAMAGED + LINES[:50], "audit.jsonl.1.gz", is_cut=True)
    trail.look()
    assert violations(trail) == []
    assert lines(trail) == 100
    trail.wait(GRACE)
    trail.look()
    read = len(DAMAGED) + 50
    assert violations(trail) == [(Violation.ARCHIVE_CUT, f"damaged or cut off after {read} bytes of its content")]
    assert open_places(trail.state) == [("audit.jsonl.1.gz", 0, "torn")]
    trail.wait(10 * GRACE)
    trail.look()
    trail.restart()
    trail.look()
    assert len(violations(trail)) == 1
    assert open_places(trail.state) == [("audit.jsonl.1.gz", 0, "torn")]
    assert lines(trail) == 100 + 3
    assert next(s for s in trail.state.files if s.packed).pending == 50 - 40


def test_a_cut_archive_that_was_there_at_first_sight_is_a_violation_too() -> None:
    trail = Trail(LINES)
    trail.pack(LINES[:50], "audit.jsonl.1.gz", is_cut=True)
    trail.now += GRACE
    trail.look()
    trail.look()
    assert [kind for kind, _ in violations(trail)] == [Violation.ARCHIVE_CUT]


def test_what_replaces_a_segment_and_is_cut_names_what_had_been_judged() -> None:
    trail = Trail(LINES + DAMAGED)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    del trail.files["audit.jsonl.1"]
    trail.pack(LINES[:-10], "audit.jsonl.1.gz", is_cut=True)
    trail.look()
    assert violations(trail) == []
    assert not any(segment.vanished for segment in trail.state.closed)
    trail.wait(GRACE)
    trail.look()
    ((kind, detail),) = violations(trail)
    assert kind is Violation.ARCHIVE_CUT
    assert detail == (
        f"damaged or cut off after {len(LINES) - 10} bytes of its content, where {len(LINES + DAMAGED)} had been judged"
    )
    assert lines(trail) == 99
    assert open_places(trail.state) == []
    assert trail.state.appended_lines == 0
    assert [segment.number for segment in trail.state.segments] == [1, 2]


@pytest.mark.parametrize("left", [LINES[:-42], LINES[:30], b""])
def test_less_in_the_archive_than_was_judged_is_a_truncation_with_the_bytes(left: bytes) -> None:
    trail = Trail(LINES + DAMAGED)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    del trail.files["audit.jsonl.1"]
    trail.pack(left, "audit.jsonl.1.gz")
    trail.look()
    assert violations(trail) == []
    trail.wait(GRACE)
    trail.look()
    lost = f"{len(left)} bytes of content found where {len(LINES + DAMAGED)} had been judged"
    assert violations(trail) == [(Violation.TRUNCATED, lost)]
    assert lines(trail) == left.count(b"\n")
    assert [place[2] for place in open_places(trail.state)] == (["torn"] if left[-1:] not in {b"", b"\n"} else [])


def test_the_active_file_that_is_renamed_compressed_and_cut_between_two_looks() -> None:
    many = 3 * LINES
    trail = Trail(many)
    trail.look()
    del trail.files[NAME]
    trail.pack(many[:-10], "audit.jsonl.1.gz", is_cut=True)
    trail.create(DAMAGED)
    trail.look()
    trail.wait(GRACE)
    trail.look()
    assert [kind for kind, _ in violations(trail)] == [Violation.ARCHIVE_CUT]
    assert lines(trail) == 299 + 1
    assert trail.state.rotations == 1


def test_a_whole_copy_in_place_of_a_cut_one_is_judged_on() -> None:
    trail = Trail(LINES)
    trail.look()
    trail.pack(b'{"n":1}\n{"n":2}\n{"n"', "audit.jsonl.1.gz", is_cut=True)
    trail.wait(GRACE)
    trail.look()
    assert lines(trail) == 102
    del trail.files["audit.jsonl.1.gz"]
    trail.pack(b'{"n":1}\n{"n":2}\n{"n":3}\n' + DAMAGED, "audit.jsonl.1.gz")
    trail.look()
    assert lines(trail) == 104
    assert open_places(trail.state) == [("audit.jsonl.1.gz", 24, "torn")]
    assert len(violations(trail)) == 1
    assert len(trail.state.closed) == 1


def test_more_in_the_archive_than_was_judged_is_judged_on() -> None:
    trail = Trail(LINES)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    trail.files["audit.jsonl.1"].data += DAMAGED
    trail.compress("audit.jsonl.1")
    trail.look()
    assert open_places(trail.state) == [("audit.jsonl.1.gz", len(LINES), "torn")]
    assert (lines(trail), violations(trail), len(trail.state.closed)) == (101, [], 1)


def test_an_archive_beside_its_unpacked_namesake_gets_no_verdict_yet() -> None:
    """The compressor has written a part, and then all of it; the file that it reads is still there, not seen before."""
    trail = Trail(LINES)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.files["audit.jsonl.1"].data += LINES
    trail.pack(LINES[:1000], "audit.jsonl.1.gz", is_cut=True)
    trail.look()
    assert (violations(trail), lines(trail), len(trail.state.closed)) == ([], 200, 1)
    trail.pack(LINES + LINES, "audit.jsonl.1.gz")
    trail.look()
    assert (violations(trail), lines(trail), len(trail.state.closed)) == ([], 200, 1)
    del trail.files["audit.jsonl.1"]
    trail.look()
    assert (violations(trail), lines(trail), len(trail.state.closed)) == ([], 200, 1)
    assert trail.state.closed[0].name == "audit.jsonl.1.gz"


def unpacked(trail: Trail, name: str, **changes: object) -> Unpacked:
    """What a full run reads of a compressed segment."""
    segment = next(segment for segment in trail.state.files if segment.name == name)
    anchor, found = segment.anchor, (segment.packed, segment.size, segment.is_cut)
    now = Unpacked(trail.now, segment.number, anchor.position, *found, anchor.head, anchor.marker)
    return replace(now, **changes)  # type: ignore[arg-type]


@pytest.fixture
def archived() -> Trail:
    trail = Trail(LINES)
    trail.look()
    trail.pack(DAMAGED + LINES, "audit.jsonl.1.gz")
    trail.look()
    assert (lines(trail), len(open_places(trail.state))) == (201, 1)
    return trail


def test_what_was_judged_while_a_compressed_segment_was_read_is_not_held_against_it() -> None:
    trail = Trail(LINES)
    trail.look()
    trail.append(DAMAGED)
    trail.compress("audit.jsonl")
    trail.files["audit.jsonl.1.gz"] = trail.files.pop("audit.jsonl.gz")
    trail.create()
    reads = [effect for effect in trail.glance() if isinstance(effect, Read)]
    early = unpacked(trail, "audit.jsonl.1.gz")
    for read in reads:
        trail.read(read)
    before = trail.state
    assert unpacked(trail, "audit.jsonl.1.gz").position > early.position
    assert trail.step(early) == ()
    assert trail.state is before


def test_a_compressed_segment_that_is_as_it_was_changes_nothing(archived: Trail) -> None:
    before = archived.state
    assert archived.step(unpacked(archived, "audit.jsonl.1.gz")) == ()
    assert archived.state is before
    archived.step(replace(unpacked(archived, "audit.jsonl.1.gz"), packed=7, size=0))
    assert archived.state is before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"is_cut": True, "size": 40}, Violation.ARCHIVE_CUT),
        ({"is_cut": True}, Violation.ARCHIVE_CUT),
        ({"is_cut": True, "marker": Fingerprint(9, "other")}, Violation.ARCHIVE_CUT),
        ({"size": 40, "marker": Fingerprint(9, "")}, Violation.TRUNCATED),
        ({"marker": Fingerprint(9, "other")}, Violation.REWRITTEN),
    ],
)
def test_a_compressed_segment_that_changed_has_one_violation(
    archived: Trail, changes: dict[str, object], expected: Violation
) -> None:
    event = unpacked(archived, "audit.jsonl.1.gz", **changes)
    archived.step(event)
    assert [kind for kind, _ in violations(archived)] == [expected]
    segment = next(segment for segment in archived.state.files if segment.packed)
    assert segment.judged <= segment.read <= segment.size == event.size
    archived.step(unpacked(archived, "audit.jsonl.1.gz"))
    assert [row.count for row in archived.state.violations] == [1]


def names(trail: Trail) -> list[str]:
    return [segment.name for segment in trail.state.files]


@pytest.mark.parametrize("length", [16 * 21, len(LINES) - 10, len(LINES)])
def test_a_compressed_earlier_state_is_a_copy_and_in_no_sum(length: int) -> None:
    trail = Trail(LINES + DAMAGED)
    trail.look()
    trail.pack(LINES[:length], "audit.jsonl.1.gz")
    trail.look()
    trail.wait(2 * GRACE)
    trail.look()
    assert (names(trail), trail.state.copies) == ([NAME], ("audit.jsonl.1.gz",))
    assert (lines(trail), len(open_places(trail.state)), trail.state.rotations) == (101, 1, 0)
    assert trail.glance() == ()


def test_a_copy_takes_the_place_of_its_original_when_that_goes_with_the_bytes_lost() -> None:
    trail = Trail(LINES + DAMAGED)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    trail.pack(LINES[:-21], "audit.jsonl.9.gz")
    trail.look()
    trail.wait(2 * GRACE)
    trail.look()
    assert trail.state.copies == ("audit.jsonl.9.gz",)
    del trail.files["audit.jsonl.1"]
    trail.look()
    lost = f"{len(LINES) - 21} bytes of content found where {len(LINES + DAMAGED)} had been judged"
    assert violations(trail) == [(Violation.TRUNCATED, lost)]
    assert (names(trail), trail.state.copies) == (["audit.jsonl.9.gz", NAME], ())


def test_few_lines_that_a_segment_begins_with_as_well_are_a_segment_of_their_own() -> None:
    trail = Trail(LINES)
    trail.look()
    trail.pack(LINES[:40], "audit.jsonl.1.gz")
    trail.look()
    assert (names(trail), trail.state.copies) == (["audit.jsonl.1.gz", NAME], ())


def test_few_lines_beside_their_namesake_are_a_copy() -> None:
    trail = Trail(LINES)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    trail.pack(LINES[:40], "audit.jsonl.1.gz", is_cut=True)
    trail.wait(2 * GRACE)
    trail.look()
    assert (names(trail), trail.state.copies) == (["audit.jsonl.1", NAME], ("audit.jsonl.1.gz",))
    assert violations(trail) == []


def test_what_lies_beside_its_namesake_and_holds_something_else_is_judged_after_the_grace() -> None:
    """Logrotate leaves a stale NAME.1.gz where delaycompress was switched on."""
    trail = Trail(LINES)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.create()
    trail.look()
    trail.pack(DAMAGED * 3, "audit.jsonl.1.gz")
    trail.look()
    assert lines(trail) == 100
    trail.wait(GRACE)
    trail.look()
    assert (lines(trail), len(open_places(trail.state))) == (103, 3)


def test_an_equal_segment_that_is_long_gone_does_not_take_what_the_active_one_became() -> None:
    first = b'{"event":"START"}\n'
    trail = Trail(first)
    trail.look()
    trail.rename(NAME, "audit.jsonl.1")
    trail.compress("audit.jsonl.1")
    trail.create(LINES)
    trail.look()
    trail.rename(NAME, "audit.jsonl.2")
    trail.create(first)
    trail.look()
    del trail.files["audit.jsonl.1.gz"]
    for _ in range(4):
        trail.look()
    assert [segment.vanished for segment in trail.state.closed] == [True, False]
    trail.rename(NAME, "audit.jsonl.3")
    trail.compress("audit.jsonl.3")
    trail.create()
    trail.look()
    assert violations(trail) == []
    assert names(trail) == ["audit.jsonl.2", "audit.jsonl.3.gz", NAME]
