"""After the stored state was lost, nothing that is found counts as having been there before."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.advance import advance
from auditwatch.ledger.effects import Commit
from auditwatch.ledger.events import Forgotten
from auditwatch.trail.kinds import Violation
from tests.ledger.trails import NAME, POLICY, Trail, open_places

TORN, WHOLE = b'{"a\n', b'{"a":1}\n'
LOSS = Forgotten(1000.0, "state.db", "the state is at step 3, and had been at step 9")


def inherited(trail: Trail) -> list[bool]:
    return [finding.inherited for segment in trail.state.segments for finding in segment.findings]


def test_it_is_a_violation_that_is_stored() -> None:
    trail = Trail(WHOLE)
    trail.look()
    state, effects = advance(trail.state, LOSS)
    assert effects == (Commit(),)
    (row,) = state.open_violations
    assert (row.kind, row.segment, row.detail, row.seen) == (Violation.STATE_LOST, LOSS.place, LOSS.detail, LOSS.at)


def test_the_same_loss_is_told_once() -> None:
    trail = Trail(WHOLE)
    trail.step(LOSS)
    state = trail.state
    assert advance(state, LOSS) == (state, ())
    assert advance(state, LOSS)[0] is state
    again = replace(LOSS, at=1001.0, detail="state.db was damaged")
    (row,) = advance(state, again)[0].violations
    assert (row.count, row.latest) == (2, again.detail)
    assert advance(advance(state, again)[0], again)[1] == ()


def test_damage_at_the_first_look_after_it_is_open_and_its_bytes_are_not_appended() -> None:
    trail = Trail(TORN + WHOLE)
    trail.create(TORN, f"{NAME}.1")
    trail.step(LOSS)
    trail.look()
    assert open_places(trail.state) == [(f"{NAME}.1", 0, "torn"), (NAME, 0, "torn")]
    assert inherited(trail) == [False, False]
    assert (trail.state.appended_bytes, trail.state.paging_lines) == (0, 2)


def test_without_a_loss_it_is_inherited() -> None:
    trail = Trail(TORN + WHOLE)
    trail.look()
    assert (inherited(trail), trail.state.paging_lines) == ([True], 0)


def test_what_was_judged_before_keeps_its_verdict_and_what_was_not_yet_is_open() -> None:
    trail = Trail(TORN + WHOLE * 10 + TORN, replace(POLICY, read_bytes=len(TORN + WHOLE)))
    read = trail.glance()[-1]
    trail.read(read)  # type: ignore[arg-type]  # the last of the effects
    trail.step(LOSS)
    trail.look()
    assert inherited(trail) == [True, False]


def test_a_compressed_segment_that_turns_up_later_is_not_inherited() -> None:
    trail = Trail(WHOLE)
    trail.step(LOSS)
    trail.look()
    trail.create(TORN, f"{NAME}.2.gz")
    trail.files[f"{NAME}.2.gz"].is_packed = True
    trail.look()
    assert inherited(trail) == [False]
