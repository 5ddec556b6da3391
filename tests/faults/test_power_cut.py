"""Power cuts: what was acknowledged as durable is there, whole and once; all else that is left is called by its name.

A cut is FS_IOC_SHUTDOWN on a file system of its own: nothing that is not on its disk is there after the next mount.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from auditwatch.trail.kinds import Kind
from tests.faults.abilities import cut_power, image, mounted, need
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import Nursery, Writer
from tests.faults.oracle import Survey, chain_breaks, segments, survey
from tests.faults.programme import Note, patient, report, rounds

pytestmark = [patient]

PROCESSES = 3
NOW, JOURNAL_FIRST = 2, 1


@dataclass(frozen=True)
class Cut:
    """What is cut, and how.

    Attributes:
        file_system: By name.
        flag: As `cut_power` takes it.
        options: Of the writers.
        homemade: Whether they are of the known kind.
        most: Acknowledgements after which the power is cut at the latest; below this, dice decide.
    """

    file_system: str
    flag: int
    options: dict[str, Any]
    homemade: bool = False
    most: int = 60

    def make(self, nursery: Nursery, place: Path, disk: Path, dice: random.Random) -> tuple[Survey, int, bool]:
        """Cut once; what was found, how many records had to be there, and whether the chain is whole.

        Args:
            nursery: Where the writers come from.
            place: Of the mount.
            disk: The image.
            dice: Decide when.
        """
        told = Acknowledgements(place.with_name("told"), PROCESSES + 1)
        if self._promises_early:
            image(disk, self.file_system)  # anew, lest it be old records instead of NUL bytes
        early = ",nodelalloc,data=writeback" if self._promises_early else ""
        with mounted(place, "-o", "loop" + early, str(disk)):
            shutil.rmtree(place / "trails", ignore_errors=True)
            (place / "trails").mkdir()
            _sync_directory(place)
            safe = self._until_the_cut(nursery, place, told, dice)
        with mounted(place, "-o", "loop", str(disk)):
            nursery.spawn([self._writer(place, PROCESSES, most=1)])
            assert nursery.reap() == [0], "the next writer could not append"
            trail = place / "trails" / "audit.jsonl"
            found = survey(trail, told, [*safe, told.outcomes(PROCESSES)])
            whole = not chain_breaks(segments(trail))
        place.with_name("told").unlink()
        return found, sum(some.count(Outcome.ACKNOWLEDGED) for some in safe), whole

    @property
    def _promises_early(self) -> bool:
        """Whether ext4 shall tell its journal of blocks before it fills them: what a cut leaves are NUL bytes."""
        return self.file_system == "ext4" and self.flag == JOURNAL_FIRST

    def _until_the_cut(self, nursery: Nursery, place: Path, told: Acknowledgements, dice: random.Random) -> list[bytes]:
        nursery.spawn([self._writer(place, number, most=2000) for number in range(PROCESSES)])
        target = dice.randrange(self.most)
        while told.count(Outcome.ACKNOWLEDGED) < target:
            os.sched_yield()
        safe = [self._durable(told, writer) for writer in range(PROCESSES)]
        cut_power(place, self.flag)
        assert set(nursery.reap()) <= {0, 3}
        return safe

    def _durable(self, told: Acknowledgements, writer: int) -> bytes:
        if self.options.get("durability") == "interval":
            return told.outcomes(writer)[: told.synced(writer)]
        return told.outcomes(writer)

    def _writer(self, place: Path, number: int, most: int) -> Writer:
        trail, told = place / "trails" / "audit.jsonl", place.with_name("told")
        return Writer(str(trail), str(told), number, 600, self.options, homemade=self.homemade, most=most)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """An image of each kind of file system, in memory."""
    need("root", "tmpfs", "ext4", "xfs")
    with mounted(tmp_path / "memory", "-t", "tmpfs", "-o", "size=600m", "tmpfs") as memory:
        yield {kind: image(memory / kind, kind) for kind in ("ext4", "xfs")}


POWER = {"durability": "power", "stamp": True, "lock_timeout": 60.0}
INTERVAL = {"durability": "interval", "sync_interval": 0.01, "stamp": True, "lock_timeout": 60.0}
ROTATES = {"rotate_bytes": 8000}
SCENES = [
    Cut(file_system, flag, {**options, **rotation}, most=60 if options is POWER else 1000)
    for file_system, flag, options, rotation in product(
        ("ext4", "xfs"), (NOW, JOURNAL_FIRST), (POWER, INTERVAL), ({}, ROTATES)
    )
]


def faults_of_known(tmp_path: Path, disks: dict[str, Path], known: dict[str, bool], most: int) -> dict[str, int]:
    """What the first cut that shows faults of a known writer shows."""
    dice = random.Random(7)
    with Nursery() as nursery:
        for number in range(most):
            kind = ("ext4", "xfs")[number % 2]
            cut = Cut(kind, NOW, {"power": True, **known}, homemade=True)
            found, _, _ = cut.make(nursery, tmp_path / "mount", disks[kind], dice)
            if found.lost:
                return found.faults
    return {}


def test_the_suite_catches_a_writer_that_acknowledges_before_fsync(tmp_path: Path, disks: dict[str, Path]) -> None:
    assert faults_of_known(tmp_path, disks, WITHOUT["acknowledges before fsync"], 100)["lost"]


def test_the_suite_finds_nothing_in_the_same_writer_with_all_guards(tmp_path: Path, disks: dict[str, Path]) -> None:
    assert faults_of_known(tmp_path, disks, {}, rounds(50, 4)) == {}


def test_a_power_cut_takes_nothing_that_was_acknowledged_as_durable(
    tmp_path: Path, disks: dict[str, Path], record_property: Note
) -> None:
    count = rounds(500, 30)
    seed = random.SystemRandom().randrange(1 << 32)
    dice = random.Random(seed)
    totals: Counter[str] = Counter()
    with Nursery() as nursery:
        for number in range(count):
            cut = SCENES[number % len(SCENES)]
            found, durable, whole = cut.make(nursery, tmp_path / "mount", disks[cut.file_system], dice)
            assert found.lost == found.duplicates == found.unwanted == [], (cut, seed, found)
            assert found.kinds.keys() <= {Kind.NUL_BYTES.value, Kind.TORN.value}, (cut, seed, found.kinds)
            totals.update(durable=durable, ended=found.ended, torn=0, nul_bytes=0, broken=not whole)
            totals.update(found.kinds)
    seen = "{durable:,} durable records, {torn:,} torn lines, {nul_bytes:,} lines of NUL bytes".format(**totals)
    broken = f"chain broken after the durable part: {totals['broken']:,} times"
    report(record_property, "power cut", count, "cuts", f"{seen}; 0 lost, all damage classified; {broken}")
