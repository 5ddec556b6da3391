"""Kill -9, power cuts and full disks under a store that is written all the time: nothing told is forgotten.

A kill takes no step that was stored, and a power cut no finding and no rotation; neither is ever called a loss.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from auditwatch.ledger.state import TrailState
from auditwatch.state.store import Store
from tests.faults.abilities import cut_power, image, mounted, need
from tests.faults.programme import Note, patient, report, rounds
from tests.faults.state.steady import KEY, TOLD, findings_in

pytestmark = [patient]

ROOT = Path(__file__).parents[3]
MOST_SECONDS = 0.15


@contextmanager
def writing(directory: Path, told: Path, boot: str, seed: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stores steps, from when it has begun."""
    asked = [sys.executable, "-m", "tests.faults.state.steady", str(directory), str(told), boot, seed]
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout
        begun = process.stdout.readline()
        if not begun:
            _, error = process.communicate()
            pytest.fail(error.decode())
        yield process
    finally:
        process.kill()
        process.communicate()


def told_of(path: Path) -> tuple[int, int]:
    """Position and number of findings; 0 where nothing was told yet."""
    data = path.read_bytes() if path.exists() else b""
    judged, findings = TOLD.unpack(data) if data else (0, 0)
    return judged, findings


def stored(directory: Path, boot: str) -> TrailState:
    """What a start finds; none of it may be called lost."""
    with closing(Store.open(directory, 2.0, boot)) as store:
        assert (store.lost(KEY), store.resets) == (None, 0)
        state = store.load(KEY)
    assert state
    assert state.active
    return state


def pause(dice: random.Random) -> None:
    """Work is interrupted at a random moment: nothing tells which one would be the worst."""
    end = time.monotonic() + dice.uniform(0, MOST_SECONDS)
    while time.monotonic() < end:
        os.sched_yield()


def test_a_kill_takes_no_step_that_was_stored(tmp_path: Path, record_property: Note) -> None:
    count, seed = rounds(500, 8), random.SystemRandom().randrange(1 << 32)
    dice, directory, told = random.Random(seed), tmp_path / "state", tmp_path / "told"
    directory.mkdir()
    for number in range(count):
        with writing(directory, told, "one boot", f"{seed}/{number}"):
            pause(dice)
        judged, findings = told_of(told)
        state = stored(directory, "one boot")
        assert state.active
        assert state.active.judged >= judged, (seed, number)
        assert findings_in(state) >= findings, (seed, number)
        assert state.active.judged <= judged + 100, (seed, number)  # the one that was stored and not told yet
    report(
        record_property,
        "state: kill -9",
        count,
        "kills",
        f"{judged // 100:,} steps stored; 0 taken back, 0 called lost",
    )


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """An image of each kind of file system, in memory."""
    need("root", "tmpfs", "ext4", "xfs")
    with mounted(tmp_path / "memory", "-t", "tmpfs", "-o", "size=600m", "tmpfs") as memory:
        yield {kind: image(memory / kind, kind) for kind in ("ext4", "xfs")}


def test_a_power_cut_takes_growth_alone(tmp_path: Path, disks: dict[str, Path], record_property: Note) -> None:
    count, seed = rounds(200, 6), random.SystemRandom().randrange(1 << 32)
    dice, taken, told = random.Random(seed), 0, tmp_path / "told"
    findings = dict.fromkeys(disks, 0)
    for number in range(count):
        kind, flag = ("ext4", "xfs")[number % 2], (2, 1)[number // 2 % 2]
        with mounted(tmp_path / "mount", "-o", "loop", str(disks[kind])) as place:
            told.unlink(missing_ok=True)
            with writing(place, told, f"boot {number}", f"{seed}/{number}"):
                pause(dice)
                judged, number_told = told_of(told)
                findings[kind] = max(findings[kind], number_told)
                cut_power(place, flag)
        with mounted(tmp_path / "mount", "-o", "loop", str(disks[kind])) as place:
            state = stored(place, f"boot {number}, and the next")
            assert state.active
            assert findings_in(state) >= findings[kind], (seed, number, kind, flag)
            taken += max(0, judged - state.active.judged) // 100
    total = sum(findings.values())
    report(
        record_property,
        "state: power cut",
        count,
        "cuts",
        f"{total:,} findings, 0 forgotten; {taken:,} steps of growth taken back; 0 called lost",
    )


def test_a_full_disk_and_a_kill_on_it_take_nothing(tmp_path: Path, record_property: Note) -> None:
    need("root", "tmpfs")
    count, seed = rounds(100, 4), random.SystemRandom().randrange(1 << 32)
    dice, told = random.Random(seed), tmp_path / "told"
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=8m", "tmpfs") as place:
        directory, ballast = place / "state", place / "ballast"
        directory.mkdir()
        for number in range(count):
            with writing(directory, told, "one boot", f"{seed}/{number}"):
                pause(dice)
                take_all_room(ballast)
                pause(dice)
                if dice.random() < 0.5:
                    ballast.unlink()
                    pause(dice)
            ballast.unlink(missing_ok=True)
            judged, findings = told_of(told)
            state = stored(directory, "one boot")
            assert state.active
            assert state.active.judged >= judged, (seed, number)
            assert findings_in(state) >= findings, (seed, number)
            if state.active.judged > 1_500_000:  # before the findings themselves fill the disk
                for path in directory.iterdir():
                    path.unlink()
                told.unlink()
    report(record_property, "state: full disk", count, "kills", "0 steps taken back, 0 called lost")


def take_all_room(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass
