"""Signal handlers that raise in a process that lives on: nothing is lost, no lock is left, nobody hangs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.acknowledgements import Acknowledgements
from tests.faults.interrupts import ROOT, WRITERS
from tests.faults.known_writers import WITHOUT
from tests.faults.oracle import chain_breaks, segments, survey
from tests.faults.programme import LONG, Note, patient, report, rounds

pytestmark = [patient]

SEEN = "0 lost, 0 torn, 0 locks kept, 0 hangs"
WORKS = ["append", "append_many", "append_line", "append_async", "begin_async", "open", "close"]
DURABILITIES = ["process", "interval", "power"]
ROTATING = {"rotate_bytes": 500, "stamp": True}
SCENES: dict[str, tuple[str, dict[str, Any]]] = (
    {f"{work}, {durability}": (work, {"durability": durability}) for work in WORKS for durability in DURABILITIES}
    | {f"rotation, {durability}": ("append", {"durability": durability, **ROTATING}) for durability in DURABILITIES}
    | {
        "append after, process": ("append", {"reentrant": "after"}),
        "lock file, process": ("append", {"lock_path": "lock", "rotate_bytes": 5000}),
        "threads, power": ("crowd", {"durability": "power"}),
        "threads, process": ("crowd", {}),
    }
)
FEW = [
    *(scene for scene in SCENES if scene.endswith("process")),
    "append, interval", "append, power", "append_many, power", "append_async, power", "close, interval", "close, power",
    "threads, power",
]  # fmt: skip
SHORT = [
    "append, process", "append, power", "append_many, power", "begin_async, process", "append_async, power",
    "open, process", "close, interval", "rotation, power", "threads, power",
]  # fmt: skip


def interrupted(directory: Path, scene: str, how: str, **options: Any) -> tuple[int, str]:
    """How often a scene was interrupted, and what went wrong first, if anything did."""
    work, chosen = SCENES[scene]
    chosen = {**chosen, **options}
    directory.mkdir(exist_ok=True)
    trail, told_path = directory / "audit.jsonl", directory / "told"
    told = Acknowledgements(told_path, WRITERS)
    if "lock_path" in chosen:
        chosen["lock_path"] = str(directory / "lock")
    arguments = [work, how, json.dumps(chosen), str(trail), str(told_path)]
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.interrupts", *arguments]
    answer = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=3600)
    assert answer.returncode == 0, answer.stderr
    seen = json.loads(answer.stdout)
    found = survey(trail, told)
    breaks = chain_breaks(segments(trail)) if chosen.get("stamp") else []
    wrong = seen["wrong"] or "; ".join(map(str, [*found.faults.items(), *found.corrupt, *breaks]))
    if not wrong and found.ended + found.unended:
        wrong = f"{found.ended + found.unended} torn lines"
    return seen["interrupts"], wrong


def test_the_suite_catches_a_writer_that_can_be_interrupted_on_the_way_back(tmp_path: Path) -> None:
    interrupts, wrong = interrupted(tmp_path / "points", "append, process", "every turn", **WITHOUT["no safe unlock"])
    assert "holds the lock" in wrong, interrupts


@pytest.mark.parametrize("scene", SCENES if LONG else FEW)
def test_an_interrupt_at_every_point(tmp_path: Path, scene: str, record_property: Note) -> None:
    count, wrong = interrupted(tmp_path, scene, "every turn" if LONG else "few turns")
    assert wrong == ""
    report(record_property, f"interrupts, every point: {scene}", count, "points", SEEN)


@pytest.mark.parametrize("scene", SCENES if LONG else SHORT)
def test_an_interrupt_at_any_moment(tmp_path: Path, scene: str, record_property: Note) -> None:
    signals, wrong = interrupted(tmp_path, scene, str(rounds(3000, 200)))
    assert wrong == ""
    report(record_property, f"interrupts, timer: {scene}", signals, "signals", SEEN)
