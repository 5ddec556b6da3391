"""Short storms over real agents: edits of every kind that is found today, and histories that raise no alarm."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent.running import Agents, append, records, until
from tests.faults.abilities import need
from tests.faults.programme import LONG, Note, patient, report, rounds
from tests.faults.storms import legitimate, tamper
from tests.faults.storms.edits import EDITS, Edit
from tests.faults.storms.histories import STEPS, STYLES, History

pytestmark = patient

QUIET_STEPS = ("append some", "rotate after lines", "plant", "append late", "change mode", "link", "copy")
"""Of the steps of a legitimate history, those that raise no alarm today."""

QUIET_STYLES = tuple(
    name
    for name in STYLES
    if not any(word in name for word in ("olddir", "compress", "xz", "zstd", "lumberjack", "rising"))
)

KEEPS_ALL = (1000,)

MOST_EVENTS = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())

NOT_YET = ("replay old lines",)
"""Of the edits, those that are not found, or not called by their name, today."""

NAMED = tuple(kind for kind in EDITS if kind not in NOT_YET)


def seed_of_this_run() -> int:
    """The short storm is the same each time; the long one never is."""
    return random.SystemRandom().randrange(1 << 32) if LONG else 1


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Agents]:
    started = Agents(tmp_path)
    yield started
    started.end_all()


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


@pytest.mark.parametrize("watch", ["auto", "poll"])
def test_histories_of_programs_that_mean_well_raise_no_alarm(tmp_path: Path, record_property: Note, watch: str) -> None:
    need("root", "logrotate")
    histories = rounds(200, len(QUIET_STYLES))
    seed = seed_of_this_run()
    storm = legitimate.Storm(histories, seed, styles=QUIET_STYLES, steps=QUIET_STEPS, keeps=KEEPS_ALL, watch=watch)
    failures = [str(failure) for failure in storm.play(tmp_path)]
    assert failures == []
    report(
        record_property,
        f"legitimate storm, watch: {watch}",
        histories,
        "histories",
        "0 alarms, each line judged exactly once",
    )


def test_edits_of_what_was_judged_are_found_and_rightly_named(tmp_path: Path, record_property: Note) -> None:
    need("vim")
    edits = rounds(300, 45)
    seed = seed_of_this_run()
    storm = tamper.Storm(edits, seed, batch=15, kinds=NAMED)
    cases = list(storm.play(tmp_path))
    assert [str(case) for case in cases if not (case.is_detected and case.is_rightly_named)] == []
    report(record_property, "tamper storm", edits, "edits", "each found and rightly named")


def test_events_that_the_kernel_dropped_are_made_up_for(agents: Agents, tmp_path: Path) -> None:
    """A queue of inotify holds 16,384 events; equal ones after each other count once, so two files take turns."""
    trail = tmp_path / "trail" / "audit.jsonl"
    trail.parent.mkdir()
    append(trail, records(10))
    agent = agents.start(trail).follows(trail)
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        for number in range(MOST_EVENTS // 2 + 1000):
            for name in ("a", "b"):
                (trail.parent / f"{name}{number % 2}").touch()
        for number in (1, 2):
            append(trail, records(5, number * 10))
            trail.rename(trail.parent / f"audit.jsonl.2026010{number}")
            append(trail, records(5, number * 100))
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    until(lambda: agent.status()["lines"] == 30)
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_appended_lines_total") == 20


def test_the_storms_know_what_they_are_asked_for() -> None:
    assert set(QUIET_STEPS) <= set(STEPS)
    assert set(NOT_YET) <= set(EDITS)
