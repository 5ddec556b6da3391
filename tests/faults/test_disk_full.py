"""A disk that is full and has room again under busy writers: each record is stored or raised, and all is counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail import counters
from tests.agent.running import until
from tests.faults.abilities import image, mounted, need
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import Nursery, Writer
from tests.faults.oracle import chain_breaks, segments, survey
from tests.faults.programme import Note, patient, report, rounds

pytestmark = [patient]

PROCESSES = 4
ACKNOWLEDGED_TEN_TIMES = bytes([Outcome.ACKNOWLEDGED] * 10)
TIMES_FULL = 3
FILE_SYSTEMS = ("tmpfs", "ext4")
BALLAST_BYTES = 1 << 18
LINE_BYTES = 1000


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """A small file system of each kind."""
    need("root", "tmpfs", "ext4")
    with ExitStack() as stack:
        tmpfs = mounted(tmp_path / "tmpfs", "-t", "tmpfs", "-o", "size=16m", "tmpfs")
        ext4 = mounted(tmp_path / "ext4", "-o", "loop", str(image(tmp_path / "image", "ext4")))
        yield {"tmpfs": stack.enter_context(tmpfs), "ext4": stack.enter_context(ext4)}


def fill(place: Path) -> Path:
    """Take all room, at once."""
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        size = 0
        for step in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
    return ballast


def full_and_back(nursery: Nursery, place: Path, told_path: Path, writer: dict[str, Any]) -> Acknowledgements:
    """Fill the disk again and again while processes append; returns what they reported."""
    place.mkdir()
    told = Acknowledgements(told_path, PROCESSES)
    made = [
        Writer(str(place / "audit.jsonl"), str(told_path), number, 500, stops=False, rest_seconds=5e-4, **writer)
        for number in range(PROCESSES)
    ]
    nursery.spawn(made)
    for _ in range(TIMES_FULL):
        told.wait_for_more(50, Outcome.ACKNOWLEDGED)
        ballast = fill(place.parent)
        told.wait_for_more(50, Outcome.NOT_STORED, Outcome.UNKNOWN)
        ballast.unlink()
    until(lambda: all(told.outcomes(writer).endswith(ACKNOWLEDGED_TEN_TIMES) for writer in range(PROCESSES)))
    told.note_end()
    assert nursery.reap() == [0] * PROCESSES
    return told


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_the_suite_catches_a_writer_with_no_count_check(
    tmp_path: Path, mounts: dict[str, Path], file_system: str
) -> None:
    place = mounts[file_system]
    with Nursery() as nursery:
        tried = []
        for number in range(20):
            told = full_and_back(
                nursery,
                place / f"bad-{number}",
                tmp_path / f"told-{number}",
                {"homemade": True, "options": WITHOUT["no count check"]},
            )
            tried.append(survey(place / f"bad-{number}" / "audit.jsonl", told))
            if tried[-1].ended or tried[-1].corrupt:
                break
        told = full_and_back(nursery, place / "good", tmp_path / "told", {"homemade": True})
    assert tried[-1].ended or tried[-1].corrupt
    good = survey(place / "good" / "audit.jsonl", told)
    assert (good.faults, good.ended) == ({}, 0)


@pytest.mark.parametrize("file_system", FILE_SYSTEMS)
def test_on_a_disk_that_is_full_for_a_while_nothing_is_lost_torn_or_miscounted(
    tmp_path: Path, mounts: dict[str, Path], file_system: str, record_property: Note
) -> None:
    totals: Counter[str] = Counter()
    count = rounds(100, 2)
    with Nursery() as nursery:
        for number in range(count):
            place = mounts[file_system] / str(number)
            trail = place / "audit.jsonl"
            told = full_and_back(nursery, place, tmp_path / f"told-{number}", {"options": {"stamp": True}})
            found = survey(trail, told)
            assert (found.faults, found.ended, found.unended) == ({}, 0, 0)
            assert chain_breaks(segments(trail)) == []
            stored, raised = told.count(Outcome.ACKNOWLEDGED), told.count(Outcome.NOT_STORED)
            calls = sum(len(told.outcomes(writer)) for writer in range(PROCESSES))
            assert (stored + raised, told.count(Outcome.UNKNOWN)) == (calls, 0)
            decoded = counters.decode((place / ".audit.jsonl.counters").read_bytes())
            assert decoded is not None
            assert (decoded.total.begun, decoded.total.stored) == (calls, stored)
            failed = dict(zip(counters.FAILURES, decoded.total.failed, strict=True))
            # Where there is room again before a short write could be asked for its cause, that is "other".
            assert failed["disk_full"] > 0
            assert failed["disk_full"] + failed["other"] == sum(failed.values()) == raised
            totals.update(calls=calls, raised=raised, full=TIMES_FULL)
            for path in place.iterdir():
                path.unlink()
    seen = "{calls:,} appends, {raised:,} raised; 0 lost, 0 corrupt, counters exact".format(**totals)
    report(record_property, f"disk full and back, {file_system}", totals["full"], "times full", seen)


def test_the_ballast_is_spent_before_anything_is_refused_and_comes_back(
    tmp_path: Path, mounts: dict[str, Path], record_property: Note
) -> None:
    place, bought = mounts["tmpfs"] / "trails", 0
    place.mkdir()
    reserve = place / ".audit.jsonl.ballast"
    count = rounds(10, 1)
    with AuditWriter(place / "audit.jsonl", ballast_bytes=BALLAST_BYTES) as writer:
        for number in range(1, count + 1):
            until(lambda: refusal_of(writer) is None and reserve.exists())  # room for it is looked for once a second
            filler = fill(place.parent)
            with pytest.warns(RuntimeWarning, match="ballast .* was released"):
                bought += appended_until_refused(writer)
            assert writer.ballast_releases == number
            assert not reserve.exists()
            filler.unlink()
    assert bought >= count * BALLAST_BYTES // LINE_BYTES
    seen = f"{bought:,} records stored after the disk was full, before the first one was refused"
    report(record_property, "disk full, ballast", count, "times full", seen)


def appended_until_refused(writer: AuditWriter) -> int:
    """How many records the disk took."""
    records = 0
    while (error := refusal_of(writer)) is None:
        records += 1
    assert (error.stored, error.reason) == ("no", "disk_full")
    return records


def refusal_of(writer: AuditWriter) -> AuditWriteError | None:
    """Why a record of so many bytes was not stored, if it was not."""
    try:
        writer.append({"pad": "x" * (LINE_BYTES - 100)})
    except AuditWriteError as error:
        return error
    return None
