"""Kill -9 while files are renamed: every acknowledged line lies in a segment that the agent finds, in one chain."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from itertools import count as counting
from pathlib import Path

import pytest

from auditwatch.writer.failpoints import POINTS
from tests.faults.kills import Kill, Round, in_turn, when_the_first_has_died
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import Nursery
from tests.faults.oracle import chain_breaks, segments
from tests.faults.programme import Note, patient, report, rounds

pytestmark = [patient]

ROTATE_BYTES = 2000
OPTIONS = {"stamp": True, "rotate_bytes": ROTATE_BYTES, "lock_timeout": 60.0}


def scenes(dice: random.Random) -> list[tuple[str, Round, Kill]]:
    """Killed at a random moment, and at each failpoint in turn, each with its kill."""
    found = [("random", Round(4, OPTIONS), in_turn(ROTATE_BYTES, dice))] * len(POINTS)
    for point in POINTS:
        options = {**OPTIONS, "durability": "power"} if point.startswith("sync") else OPTIONS
        turn = dice.randrange(1, 4) if point.startswith(("rotate", "open")) else dice.randrange(1, 60)
        found.append((point, Round(4, options, failpoints=f"{point}=kill@{turn}"), when_the_first_has_died))
    return found


@pytest.mark.parametrize("fault", ["no lock"])
def test_the_suite_catches_a_writer_with(tmp_path: Path, fault: str) -> None:
    known = Round(4, {**WITHOUT[fault], "rotate_bytes": ROTATE_BYTES}, homemade=True)
    dice = random.Random(7)
    with Nursery() as nursery:
        tried = (known.play(nursery, tmp_path / str(n), in_turn(ROTATE_BYTES, dice))[0].faults for n in range(100))
        assert any(tried)


def test_the_suite_finds_nothing_in_the_same_writer_with_all_guards(tmp_path: Path) -> None:
    known = Round(4, {"rotate_bytes": ROTATE_BYTES}, homemade=True)
    dice = random.Random(7)
    with Nursery() as nursery:
        for number in range(rounds(100, 10)):
            found, _ = known.play(nursery, tmp_path / str(number), in_turn(ROTATE_BYTES, dice))
            assert found.faults == {}


def test_writers_killed_in_a_rotation_lose_nothing_and_the_chain_goes_on(tmp_path: Path, record_property: Note) -> None:
    asked = rounds(1000, 50)
    seed = random.SystemRandom().randrange(1 << 32)
    dice = random.Random(seed)
    totals: Counter[str] = Counter()
    directory = tmp_path / "round"
    with Nursery() as nursery:
        for number in counting():
            if totals["rounds"] >= asked:
                break
            choice = scenes(dice)
            name, scene, kill = choice[number % len(choice)]
            found, acknowledged = scene.play(nursery, directory, kill)
            files = segments(directory / "audit.jsonl")
            assert found.faults == {}, (name, seed, found.corrupt, found.lost, found.duplicates)
            assert chain_breaks(files) == [], (name, seed)
            totals.update(rounds=1, segments=len(files), acknowledged=acknowledged, failpoints=name != "random")
            shutil.rmtree(directory)
    seen = "{failpoints:,} of them at a failpoint, {segments:,} segments, {acknowledged:,} acknowledged".format(
        **totals
    )
    report(record_property, "kill in rotation", asked, "rounds", f"{seen}; 0 lost, 0 corrupt, chains unbroken")
