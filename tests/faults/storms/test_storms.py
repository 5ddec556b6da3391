"""Short storms over real agents: edits of every kind that is found today, and histories that raise no alarm."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.abilities import need
from tests.faults.programme import Note, patient, report, rounds
from tests.faults.storms import legitimate, tamper
from tests.faults.storms.edits import EDITS, Edit
from tests.faults.storms.histories import STEPS, STYLES, History

pytestmark = [patient, pytest.mark.concurrency]

QUIET_STEPS = ("append some", "rotate after lines", "plant", "append late", "change mode")
"""Of the steps of a legitimate history, those that raise no alarm today."""

QUIET_STYLES = tuple(
    name for name in STYLES if not any(word in name for word in ("olddir", "compress", "xz", "zstd", "lumberjack"))
)

KEEPS_ALL = (1000,)

NAMED = (
    "cut the tail",
    "cut the tail and grow",
    "delete a line",
    "duplicate a line",
    "empty",
    "insert a line",
    "replace",
    "restore an older copy",
    "restore an older copy in place",
    "restore an older copy and go on",
    "rm",
    "rm and recreate, empty",
    "rm and recreate, strange",
)
"""Of the edits, those that are found and rightly named today."""


@dataclass
class Tampering(History):
    """A legitimate history in which somebody cuts the active file after each step."""

    def step(self, is_watched: bool) -> None:
        super().step(is_watched)
        os.truncate(self.trail, self.trail.stat().st_size // 2)


def test_the_legitimate_storm_notices_an_alarm_and_a_line_that_is_gone(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    home = tmp_path / "batch"
    cut = Tampering(0, seed, home / "h0", ("cascade",), ("append some",), KEEPS_ALL)
    whole = History(1, seed, home / "h1", ("cascade",), ("append some",), KEEPS_ALL)
    (failure,) = legitimate.Batch(home, [cut, whole], str(seed), patience=5).play()
    assert failure.history is cut
    assert "false alarm: truncated" in str(failure)


def test_the_tamper_storm_notices_an_edit_that_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EDITS, "nothing", Edit(lambda target: target.trail.touch(), frozenset({"rewritten"})))
    storm = tamper.Storm(1, seed=1, sizes=(100_000,), kinds=("nothing",), modes=("idle",), patience=1)
    (case,) = storm.play(tmp_path)
    assert (case.is_detected, case.is_rightly_named) == (False, False)


def test_histories_of_programs_that_mean_well_raise_no_alarm(tmp_path: Path, record_property: Note) -> None:
    need("root", "logrotate")
    histories = rounds(200, len(QUIET_STYLES))
    seed = random.SystemRandom().randrange(1 << 32)
    storm = legitimate.Storm(histories, seed, styles=QUIET_STYLES, steps=QUIET_STEPS, keeps=KEEPS_ALL)
    failures = [str(failure) for failure in storm.play(tmp_path)]
    assert failures == []
    report(record_property, "legitimate storm", histories, "histories", "0 alarms, each line judged exactly once")


def test_edits_of_what_was_judged_are_found_and_rightly_named(tmp_path: Path, record_property: Note) -> None:
    edits = rounds(300, 39)
    seed = random.SystemRandom().randrange(1 << 32)
    storm = tamper.Storm(edits, seed, batch=13, kinds=NAMED)
    cases = list(storm.play(tmp_path))
    assert [str(case) for case in cases if not (case.is_detected and case.is_rightly_named)] == []
    report(record_property, "tamper storm", edits, "edits", "each found and rightly named")


def test_the_storms_know_what_they_are_asked_for() -> None:
    assert set(QUIET_STEPS) <= set(STEPS)
    assert set(NAMED) <= set(EDITS)
