"""Threads, forks, pools, signal handlers, a stopped process with the lock, a counters file that is taken away."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from auditwatch import AuditWriter, LockTimeout
from tests.agent.running import until
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import ROOT, Nursery, Writer
from tests.faults.oracle import Survey, survey
from tests.faults.programme import LONG, Note, patient, report, rounds

pytestmark = [patient]

SCENES: dict[str, tuple[int, dict[str, Any]]] = {
    "threads": (64, {}),
    "forks": (200 if LONG else 20, {}),
    "pool": (200 if LONG else 20, {"stamp": True}),
    "pickled": (20 if LONG else 4, {}),
    "signals": (500 if LONG else 50, {}),
    "signals, stored after": (500 if LONG else 50, {"reentrant": "after"}),
}
PATIENCE = {"lock_timeout": 60.0}
CROWD_SECONDS = 600


def crowd(directory: Path, scene: str, options: dict[str, Any], *, homemade: bool = False) -> tuple[Survey, int, int]:
    """What a crowd leaves; how many records were acknowledged and how many refused."""
    directory.mkdir()
    count = SCENES[scene][0]
    trail, told_path = directory / "audit.jsonl", directory / "told"
    told = Acknowledgements(told_path, count + 8)
    kind = "homemade" if homemade else "ours"
    asked = [scene.partition(",")[0], str(count), json.dumps(options), str(trail), str(told_path), kind]
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.crowd", *asked]
    subprocess.run(command, cwd=ROOT, check=True, timeout=CROWD_SECONDS)
    refused = told.count(Outcome.NOT_STORED) + told.count(Outcome.UNKNOWN) + told.count(Outcome.BEGUN)
    return survey(trail, told), told.count(Outcome.ACKNOWLEDGED), refused


def test_the_suite_catches_a_writer_with_no_lock(tmp_path: Path) -> None:
    tried = (crowd(tmp_path / str(n), "threads", WITHOUT["no lock"], homemade=True)[0].faults for n in range(20))
    assert any(tried)
    # Threads alone: over a fork, the child's copy of its descriptor keeps the parent's lock, and both hang.
    assert crowd(tmp_path / "good", "threads", {}, homemade=True)[0].faults == {}


@pytest.mark.parametrize("scene", SCENES)
def test_a_crowd_loses_nothing_and_nobody_hangs(tmp_path: Path, scene: str, record_property: Note) -> None:
    acknowledged = refused = 0
    for number in range(times := rounds(20, 1)):
        found, stored, raised = crowd(tmp_path / str(number), scene, {**SCENES[scene][1], **PATIENCE})
        assert (found.faults, found.ended, found.unended) == ({}, 0, 0)
        assert (raised > 0) == (scene == "signals")
        acknowledged, refused = acknowledged + stored, refused + raised
    size = SCENES[scene][0]
    seen = f"of {size}: {acknowledged:,} acknowledged, {refused:,} refused; 0 lost, 0 corrupt, 0 hangs"
    report(record_property, f"crowds: {scene}", times, "crowds", seen)


def test_a_stopped_process_with_the_lock_is_a_timeout_and_is_named(tmp_path: Path, record_property: Note) -> None:
    slowest = 0.0
    count = rounds(50, 2)
    timeout = 1.0 if LONG else 0.2
    with Nursery() as nursery:
        for number in range(count):
            trail, told_path = tmp_path / f"{number}.jsonl", tmp_path / "told"
            told_path.unlink(missing_ok=True)
            Acknowledgements(told_path, 1)
            pid = nursery.spawn([Writer(str(trail), str(told_path), 0, failpoints="append.locked=sleep:600@3")])[0]
            until(lambda trail=trail: is_locked(trail))
            os.kill(pid, signal.SIGSTOP)
            writer = AuditWriter(trail, lock_timeout=timeout)
            began = time.monotonic()
            with pytest.raises(LockTimeout, match=str(pid)):
                writer.append({"who": -1})
            slowest = max(slowest, (time.monotonic() - began) / timeout)
            os.kill(pid, signal.SIGKILL)
            nursery.reap()
            writer.append({"who": -1})
    seen = f"holder named each time; slowest answer {slowest:.2f} x lock_timeout"
    report(record_property, "stopped holder", count, "timeouts", seen)


def is_locked(trail: Path) -> bool:
    """Whether a process holds the lock for good: an append holds it for microseconds only."""
    try:
        with trail.open("rb") as file:
            for _ in range(50):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return trail.read_bytes().count(b"\n") == 2
    except FileNotFoundError:
        return False
    return False


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, random.randrange(16_384))


def fill_with_noise(path: Path) -> None:
    path.write_bytes(random.randbytes(16_384))


def fill_with_another_version(path: Path) -> None:
    path.write_bytes(b"AUDITW01" + b"\xff" * 16_376)


def replace(path: Path) -> None:
    path.with_suffix(".new").write_bytes(b"")
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize("options", [{}, {"durability": "power"}], ids=["process", "power"])
def test_whatever_is_done_to_the_counters_file_appends_go_on(
    tmp_path: Path, options: dict[str, Any], record_property: Note
) -> None:
    count = rounds(300, 12)
    trail, told = tmp_path / "audit.jsonl", Acknowledgements(tmp_path / "told", 4)
    path = tmp_path / ".audit.jsonl.counters"
    damage = [empty, cut, Path.unlink, fill_with_noise, fill_with_another_version, replace]
    with Nursery() as nursery:
        nursery.spawn(
            [
                Writer(str(trail), str(tmp_path / "told"), number, options={**options, **PATIENCE}, rest_seconds=1e-3)
                for number in range(4)
            ]
        )
        for number in range(count):
            told.wait_for_more(5, Outcome.ACKNOWLEDGED)
            if path.exists():
                damage[number % len(damage)](path)
        told.wait_for_more(5, Outcome.ACKNOWLEDGED)
        told.note_end()
        assert nursery.reap() == [0] * 4
    found = survey(trail, told)
    assert found.faults == {}
    assert told.count(Outcome.NOT_STORED) + told.count(Outcome.UNKNOWN) == 0
    seen = f"{told.count(Outcome.ACKNOWLEDGED):,} acknowledged by 4 processes; 0 lost, 0 crashes"
    report(record_property, f"counters file damaged, {options.get('durability', 'process')}", count, "times", seen)
