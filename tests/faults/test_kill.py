"""Kill -9 of writers in the middle of everything: each acknowledged record is there, once, and nothing is corrupt."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.kills import Round, in_turn
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import Nursery
from tests.faults.programme import LONG, Note, patient, report, rounds

pytestmark = [patient]

OPTIONS = {"max_line_bytes": 2 << 20, "lock_timeout": 60.0}
SCENES = [Round(processes, OPTIONS, pad=pad) for pad in (100, 3000, 1 << 20) for processes in (4, 16)]


def caught(directory: Path, known: dict[str, bool], most: int) -> dict[str, int]:
    """The faults of a known writer that the first round that shows any shows."""
    scene = Round(4, known, homemade=True, pad=1 << 20)
    dice = random.Random(7)
    with Nursery() as nursery:
        for number in range(most):
            found, _ = scene.play(nursery, directory / str(number), in_turn(1 << 20, dice))
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
            found, acknowledged = scene.play(nursery, tmp_path / "round", in_turn(scene.pad + 1000, dice))
            assert found.faults == {}, (scene, seed, found.corrupt, found.lost, found.duplicates)
            totals.update(ended=found.ended, acknowledged=acknowledged, kills=scene.processes)
            shutil.rmtree(tmp_path / "round")
    assert totals["ended"] >= (100 if LONG else 1)
    seen = "{kills:,} kills, {acknowledged:,} acknowledged, {ended:,} torn tails found and ended".format(**totals)
    report(record_property, "kill -9", count, "rounds", f"{seen}; 0 lost, 0 corrupt, 0 duplicate")
