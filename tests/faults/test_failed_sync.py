"""Syncs that fail: nothing more is acknowledged for that file, by any process, also after a restart."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.abilities import image, mounted, need
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import REFUSED, Nursery, Writer
from tests.faults.oracle import Survey, survey
from tests.faults.programme import Note, patient, report, rounds
from tests.faults.test_syscalls import strace

pytestmark = [patient]

PROCESSES = 3
RECORDS = 500
POWER = {"durability": "power", "lock_timeout": 60.0}


@contextmanager
def shallow(directory: Path, megabytes: int) -> Iterator[tuple[Path, Path]]:
    """The image of an ext4 that believes in more room than there is, and where to mount it."""
    with mounted(directory / "memory", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs") as memory:
        yield image(memory / "image", "ext4"), directory / "disk"


def run_into_it(
    nursery: Nursery, directory: Path, megabytes: int, writer: dict[str, Any], processes: int = PROCESSES
) -> tuple[Acknowledgements, Survey]:
    """Append until syncs fail, and long after that; returns what was reported, and what a new mount shows."""
    directory.mkdir()
    told = Acknowledgements(directory / "told", PROCESSES + 1)
    with shallow(directory, megabytes) as (disk, place):
        trail = place / "audit.jsonl"
        made = [
            Writer(str(trail), str(directory / "told"), number, 20_000, most=RECORDS, stops=False, **writer)
            for number in range(processes)
        ]
        with mounted(place, "-o", "loop", str(disk)):
            nursery.spawn(made)
            assert nursery.reap() == [0] * processes
            if not writer.get("homemade"):
                refuse_after_a_restart(nursery, trail, directory / "told")
            # Room again, for what the journal of ext4 holds already: else the next mount would lose what was durable.
            subprocess.run(["mount", "-o", "remount,size=64m", disk.parent], check=True)
        with mounted(place, "-o", "loop", str(disk)):
            return told, survey(trail, told)


def refuse_after_a_restart(nursery: Nursery, trail: Path, told: Path) -> None:
    """New processes, whatever they ask for, do not append to the file."""
    kinds = ({"durability": "power"}, {"durability": "interval"}, {})
    nursery.spawn([Writer(str(trail), str(told), PROCESSES, most=1, options=options) for options in kinds])
    assert nursery.reap() == [REFUSED] * len(kinds)


def test_the_suite_catches_a_writer_that_acknowledges_before_fsync(tmp_path: Path) -> None:
    need("root", "tmpfs", "ext4")
    with Nursery() as nursery:
        known = {"homemade": True, "options": {"power": True, **WITHOUT["acknowledges before fsync"]}}
        _, found = run_into_it(nursery, tmp_path / "bad", 8, known)
        assert found.lost


def last_acknowledged(told: Acknowledgements) -> set[tuple[int, int]]:
    """Of each process, the last record."""
    return {(who, told.outcomes(who).rfind(Outcome.ACKNOWLEDGED)) for who in range(told.writers)}


def test_after_a_sync_that_failed_on_a_real_disk_nothing_is_acknowledged(tmp_path: Path, record_property: Note) -> None:
    """While its journal breaks, ext4 reports success to one of several processes that are in the middle of a sync.

    No code of ours is needed to see that (docs/robustness.md), so with several processes the last acknowledged record
    of each may be missing; with one process, none may.
    """
    need("root", "tmpfs", "ext4")
    totals: Counter[str] = Counter()
    count = rounds(50, 2)
    with Nursery() as nursery:
        for number in range(count):
            processes = (1, PROCESSES)[number % 2]
            megabytes = 6 + number % 5
            told, found = run_into_it(nursery, tmp_path / str(number), megabytes, {"options": POWER}, processes)
            assert (found.duplicates, told.late()) == ([], 0)
            assert set(found.lost) <= (last_acknowledged(told) if processes > 1 else set())
            assert told.count(Outcome.UNKNOWN) > 0
            totals.update(
                acknowledged=told.count(Outcome.ACKNOWLEDGED), unknown=told.count(Outcome.UNKNOWN),
                refused=told.count(Outcome.NOT_STORED), lost=len(found.lost),
            )  # fmt: skip
    seen = "{acknowledged:,} acknowledged before, {unknown:,} failed, {refused:,} refused".format(**totals)
    lost = f"{totals['lost']:,} lost to the ext4 gap described below"
    report(record_property, "fsync failure, disk", count, "disks", f"{seen}; 0 acknowledged afterwards; {lost}")


@pytest.mark.parametrize("call", ["fdatasync"])
def test_after_a_sync_that_one_process_saw_fail_no_process_acknowledges(
    tmp_path: Path, call: str, record_property: Note
) -> None:
    need("strace")
    totals: Counter[str] = Counter()
    count = rounds(50, 3)
    with Nursery() as nursery:
        for number in range(1, count + 1):
            trail, told_path = tmp_path / str(number) / "audit.jsonl", tmp_path / f"told-{number}"
            trail.parent.mkdir()
            told = Acknowledgements(told_path, PROCESSES + 1)
            made = [
                Writer(str(trail), str(told_path), n, most=RECORDS, stops=False, options=POWER, traced=n == 0)
                for n in range(PROCESSES)
            ]
            pids = nursery.spawn(made)
            with strace(pids[0], tmp_path / "calls", f"{call}:error=EIO:when={number}"):
                os.kill(pids[0], signal.SIGCONT)
                statuses = nursery.reap()
            assert statuses == [0] * PROCESSES
            outcomes = told.outcomes(0)
            assert outcomes == bytes(
                [Outcome.ACKNOWLEDGED] * (number - 1) + [Outcome.UNKNOWN] + [Outcome.NOT_STORED] * (RECORDS - number)
            )
            assert told.late() == 0
            refuse_after_a_restart(nursery, trail, told_path)
            assert survey(trail, told).faults == {}
            totals.update(acknowledged=told.count(Outcome.ACKNOWLEDGED), refused=told.count(Outcome.NOT_STORED))
    seen = "{acknowledged:,} acknowledged before, {refused:,} refused".format(**totals)
    report(record_property, "fsync failure, strace", count, "faults", f"{seen}; 0 acknowledged afterwards, 0 lost")
