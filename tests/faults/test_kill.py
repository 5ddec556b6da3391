"""Kill -9 of writers in the middle of everything: each acknowledged record is there, once, and nothing is corrupt."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from auditwatch import AuditWriter
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT, Homemade
from tests.faults.nursery import Nursery, Writer
from tests.faults.oracle import Survey, size_of, survey
from tests.faults.programme import LONG, Note, patient, report, rounds

pytestmark = [patient, pytest.mark.concurrency]

SCENES = [(processes, pad) for pad in (100, 3000, 1 << 20) for processes in (4, 16)]
WAIT_SECONDS = 60
LONGEST: dict[str, Any] = {"max_line_bytes": 2 << 20, "lock_timeout": 60.0}


def kill_in_turn(pids: list[int], trail: Path, step: int, dice: random.Random) -> None:
    """One after the other, each when the trail has grown by some bytes more: often in the middle of a write."""
    for pid in dice.sample(pids, len(pids)):
        target = size_of(trail) + dice.randrange(step)
        for _ in range(20_000):  # some that end by themselves let it grow no further
            if size_of(trail) >= target:
                break
            os.sched_yield()
        os.kill(pid, signal.SIGKILL)


def round_of_kills(
    nursery: Nursery, directory: Path, dice: random.Random, scene: tuple[int, int], known: dict[str, Any] | None = None
) -> tuple[Survey, int]:
    """Let writers loose on a new trail, kill them, append once more, and look; how many acknowledgements there were."""
    processes, pad = scene
    trail, told = directory / "audit.jsonl", directory / "told"
    directory.mkdir()
    options = LONGEST if known is None else known
    writers = [
        Writer(str(trail), str(told), number, pad, options, homemade=known is not None) for number in range(processes)
    ]
    acknowledgements = Acknowledgements(told, processes + 1)
    pids = nursery.spawn(writers)
    kill_in_turn(pids, trail, pad + 1000, dice)
    assert set(nursery.reap()) == {-signal.SIGKILL}
    append_once_more(trail, acknowledgements, known)
    found = survey(trail, acknowledgements)
    shutil.rmtree(directory)
    return found, acknowledgements.count(Outcome.ACKNOWLEDGED)


def append_once_more(trail: Path, told: Acknowledgements, known: dict[str, Any] | None) -> None:
    """Whoever comes next ends what was torn."""
    writer = AuditWriter(trail, **LONGEST) if known is None else Homemade(str(trail), **known)
    last = told.writers - 1
    told.note(last, 0, Outcome.BEGUN)
    writer.append({"who": last, "number": 0})
    told.note(last, 0, Outcome.ACKNOWLEDGED)
    writer.close()


def caught(directory: Path, known: dict[str, Any], most: int) -> dict[str, int]:
    """The faults of a known writer that the first round that shows any shows."""
    with Nursery() as nursery:
        dice = random.Random(7)
        for number in range(most):
            found, _ = round_of_kills(nursery, directory / str(number), dice, SCENES[4], known)
            if found.faults:
                return found.faults
    return {}


@pytest.mark.parametrize("fault", ["no lock", "no tail repair"])
def test_the_suite_catches_a_writer_with(tmp_path: Path, fault: str) -> None:
    assert caught(tmp_path, WITHOUT[fault], 200)


def test_the_suite_finds_nothing_in_the_same_writer_with_all_guards(tmp_path: Path) -> None:
    assert caught(tmp_path, {}, rounds(100, 10)) == {}


def test_killed_writers_lose_corrupt_and_double_nothing(tmp_path: Path, record_property: Note) -> None:
    count = rounds(2000, 100)
    seed = random.SystemRandom().randrange(1 << 32)
    dice = random.Random(seed)
    totals: Counter[str] = Counter()
    with Nursery() as nursery:
        for number in range(count):
            scene = SCENES[number % len(SCENES)]
            found, acknowledged = round_of_kills(nursery, tmp_path / str(number), dice, scene)
            assert found.faults == {}, (scene, seed, found.corrupt, found.lost, found.duplicates)
            totals.update(ended=found.ended, lines=found.lines, acknowledged=acknowledged, kills=scene[0])
    assert totals["ended"] >= (100 if LONG else 1)
    seen = "{kills:,} kills, {acknowledged:,} acknowledged, {ended:,} torn tails met and ended".format(**totals)
    report(record_property, "kill -9", count, "rounds", f"{seen}; 0 lost, 0 corrupt, 0 duplicate")
