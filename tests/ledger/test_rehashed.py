"""History hashed again: what was judged is remembered, two looks confirm an edit, and nothing but a note accepts it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditwatch.ledger.blocks import blocks_of, hashed_until, line_blocks
from auditwatch.ledger.damage import Acknowledgement
from auditwatch.ledger.effects import HashAgain, Review
from auditwatch.ledger.events import Acknowledged, Rebaselined, Rehash, Rehashed, Scope
from auditwatch.trail import grid
from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.kinds import Violation
from tests.ledger import trails
from tests.ledger.trails import NAME, Trail

LINE = b'{"event":"A","n":1}\n'


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "BLOCK_BYTES", 64)
    monkeypatch.setattr(trails, "FINGERPRINT_BYTES", 16)  # else looks find every edit of so few lines


@pytest.fixture
def trail() -> Trail:
    """Ten lines of 20 bytes: blocks 0-80, 80-140, 140-200."""
    trail = Trail(LINE * 10)
    trail.look()
    return trail


def places(trail: Trail) -> list[tuple[int, int]]:
    assert trail.state.active is not None
    return [(block.start, block.end) for block in blocks_of(trail.state.active)]


def edit(trail: Trail, offset: int, text: bytes = b"7") -> None:
    trail.files[NAME].data[offset : offset + len(text)] = text


def acknowledge(trail: Trail, *, undo: bool = False) -> None:
    trail.step(Acknowledged(trail.now, trail.now, Scope.ALL, "ann", "planned", undo=undo))


def test_every_judged_byte_has_its_part_in_a_digest(trail: Trail) -> None:
    assert places(trail) == [(0, 80), (80, 140), (140, 200)]
    trail.append(LINE + b'{"pending":')
    trail.look()
    assert places(trail) == [(0, 80), (80, 140), (140, 200), (200, 220)]
    assert trail.rehash() == ()


def test_an_edit_is_one_violation_that_names_its_block(trail: Trail) -> None:
    edit(trail, 98)
    effects = trail.rehash()
    (row,) = trail.state.violations
    assert (row.kind, row.count) == (Violation.REWRITTEN, 1)
    assert row.detail.startswith("block 1, bytes 80 to 140 of judged lines: ")
    assert row.detail.endswith("; the blocks around it are intact")
    assert [(named.start, named.end) for named in row.named] == [(80, 140)]
    assert Review(1, 80, 140) in effects
    assert trail.rehash() == ()  # it was told
    assert trail.state.violations == (row,)


def test_one_look_proves_nothing(trail: Trail) -> None:
    edit(trail, 98, b"7")
    assert trail.state.active is not None
    block = blocks_of(trail.state.active)[1]
    effects = trail.step(Rehashed(trail.now, 1, (Rehash(block, "other", 0.0),)))
    assert HashAgain(1, frozenset({80})) in effects
    trail.step(Rehashed(trail.now, 1, (Rehash(block, block.digest, 0.0),)))
    assert (trail.state.violations, trail.state.doubts) == ((), ())


def test_another_edit_while_it_is_open_is_counted(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    edit(trail, 18)
    trail.rehash()
    edit(trail, 98, b"8")
    trail.rehash()
    (row,) = trail.state.violations
    assert row.count == 3
    assert row.latest.startswith("block 1, bytes 80 to 140")
    assert sorted(named.start for named in row.named) == [0, 80]


def test_an_acknowledgement_accepts_what_was_found_and_nothing_else(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    acknowledge(trail)
    assert trail.rehash() == ()
    edit(trail, 98, b"8")
    trail.rehash()
    assert [isinstance(row.acknowledgement, Acknowledgement) for row in trail.state.violations] == [True, False]


def test_other_content_when_it_is_acknowledged_opens_another_one(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    edit(trail, 98, b"8")
    acknowledge(trail)
    trail.rehash()
    assert len(trail.state.violations) == 2


def test_what_was_put_back_is_not_accepted_as_anything_else(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    edit(trail, 98, b"}")
    trail.rehash()
    (row,) = trail.state.open_violations
    assert row.named == ()
    acknowledge(trail)
    trail.rehash()
    assert trail.state.open_violations == ()


def test_an_acknowledgement_that_is_undone_accepts_nothing(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    before = trail.state
    acknowledge(trail)
    acknowledge(trail, undo=True)
    assert trail.state.active == before.active
    assert trail.rehash() == ()
    assert len(trail.state.open_violations) == 1


def test_what_is_judged_after_an_edit_of_the_open_block_begins_another_digest(trail: Trail) -> None:
    edit(trail, 158)
    trail.rehash()
    trail.append(LINE)
    trail.look()
    assert places(trail)[-2:] == [(140, 200), (200, 220)]
    assert trail.rehash() == ()
    assert [row.count for row in trail.state.violations] == [1]


def test_lines_that_were_judged_between_ask_and_answer_do_not_hide_an_edit(trail: Trail) -> None:
    assert trail.state.active is not None
    trail.append(LINE)
    trail.look()
    old = blocks_of(trail.state.active)
    trail.append(LINE * 2)
    trail.look()
    for found in ("other", "another"):
        trail.step(Rehashed(trail.now, 1, tuple(Rehash(block, found, 0.0) for block in old[-1:])))
    (row,) = trail.state.violations
    assert [(named.start, named.end) for named in row.named] == [(old[-1].start, old[-1].end)]


def test_stale_answers_change_nothing(trail: Trail) -> None:
    before = trail.state
    unknown = Rehash(BlockDigest(80, 140, "ab"), "cd", 0.0)
    for event in (Rehashed(5.0, 1, (unknown,)), Rehashed(5.0, 9, (unknown,))):
        assert trail.step(event) == ()
        assert trail.state is before


def test_other_rules_keep_the_digests(trail: Trail) -> None:
    before = places(trail)
    trail.restart(replace(trail.state.policy, rules_id="other"))
    assert places(trail) == before
    edit(trail, 98)
    trail.rehash()
    assert [row.kind for row in trail.state.violations] == [Violation.REWRITTEN]


def test_a_truncation_forgets_the_digests_of_what_is_gone(trail: Trail) -> None:
    del trail.files[NAME].data[100:]
    trail.look()
    trail.look()
    assert [row.kind for row in trail.state.violations] == [Violation.TRUNCATED]
    assert trail.state.active is not None
    assert hashed_until(trail.state.active) == 100
    assert trail.rehash() == ()


def test_digests_that_nobody_took_are_learned(trail: Trail) -> None:
    assert trail.state.active is not None
    blocks = blocks_of(trail.state.active)
    bare = replace(trail.state.active, sealed=(), open_block=None)
    trail.state = replace(trail.state, active=bare)
    trail.append(LINE)
    trail.look()
    assert places(trail) == []  # a gap is never left
    learned = (*(Rehash(replace(b, digest=""), b.digest, 0.0) for b in blocks),)
    trail.step(Rehashed(trail.now, 1, learned))
    assert blocks_of(trail.state.active) == blocks


def test_taking_what_lies_there_as_new_history_accepts_what_was_named(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    trail.step(Rebaselined(trail.now, trail.state.step, "ann", "corrected", "nothing dropped"))
    assert trail.rehash() == ()
    assert trail.state.open_violations == ()


def test_a_neighbour_that_was_edited_as_well_is_not_called_intact(trail: Trail) -> None:
    edit(trail, 98)
    trail.rehash()
    edit(trail, 18)
    trail.rehash()
    (row,) = trail.state.violations
    assert row.detail.endswith("; the blocks around it are intact")
    assert "intact" not in row.latest


def test_the_content_of_a_compressed_segment_is_compared_with_what_was_judged(trail: Trail) -> None:
    assert trail.state.active is not None
    packed = replace(trail.state.active, packed=50, archive=(BlockDigest(0, 50, "file"),))
    trail.state = replace(trail.state, active=packed)
    blocks = line_blocks(packed)
    found = (Rehash(blocks[0], blocks[0].digest, 0.0), Rehash(blocks[1], "other", 0.0))
    assert HashAgain(1, frozenset({80}), is_content=True) in trail.step(Rehashed(5.0, 1, found, is_content=True))
    effects = trail.step(Rehashed(6.0, 1, found[1:], is_content=True))
    assert not any(isinstance(effect, Review) for effect in effects)  # its file does not hold lines
    (row,) = trail.state.violations
    assert "block 1, bytes 80 to 140 of judged lines" in row.detail
    trail.step(Rehashed(7.0, 1, (Rehash(packed.archive[0], "file", 0.0),)))
    acknowledge(trail)
    assert trail.state.active is not None
    assert line_blocks(trail.state.active)[1].digest == "other"
