"""What is remembered of bytes is what was read when they were judged, not what is there afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from auditwatch.agent import readings
from auditwatch.agent.held import Held
from auditwatch.agent.place import Place
from auditwatch.agent.readings import check_large, conclude_large, read_small
from auditwatch.errors import Unreadable
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Judged
from auditwatch.ledger.segment import Anchor, Fingerprint, Segment
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.validation.ranges import Hashed, judge_range
from tests.agent.running import records

BEFORE = records(200)
AFTER = records(20, 7)


def print_of(data: bytes) -> Fingerprint:
    return Fingerprint(len(data), blake3(data).hexdigest())


def known(trail: Path) -> Segment:
    """The file, judged up to the end of what was there before."""
    status = trail.stat()
    anchor = Anchor(len(BEFORE), print_of(BEFORE[:4096]), print_of(BEFORE[-4096:]))
    segment = Segment(1, trail.name, status.st_dev, status.st_ino, status.st_size, 1.0)
    return replace(segment, anchor=anchor, judged=len(BEFORE), read=len(BEFORE))


def read_rest(trail: Path) -> Judged:
    read = Read(1, start=len(BEFORE), resume=len(BEFORE), end=len(BEFORE) + len(AFTER))
    return read_small(Place(str(trail)), known(trail), read, Rules(), time.time, Held(), None)[0]


def test_head_and_marker_are_of_the_judged_bytes(trail: Path) -> None:
    trail.write_bytes(BEFORE + AFTER)
    judged = read_rest(trail)
    assert judged.report.records == 20
    assert judged.head == print_of(BEFORE[:4096])
    assert judged.marker == print_of((BEFORE + AFTER)[-4096:])


def test_a_file_that_changes_after_its_bytes_were_judged_is_remembered_as_judged(
    trail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.write_bytes(BEFORE + AFTER)
    scan = readings.scan_all

    def scan_and_change(*args: object, **kwargs: object) -> Report:
        report = scan(*args, **kwargs)  # type: ignore[arg-type]
        trail.write_bytes(records(400, 9))
        return report

    monkeypatch.setattr(readings, "scan_all", scan_and_change)
    assert read_rest(trail).marker == print_of((BEFORE + AFTER)[-4096:])


def test_bytes_after_others_than_those_that_were_judged_get_no_verdict(trail: Path) -> None:
    trail.write_bytes(BEFORE[:-5] + b"0000\n" + AFTER)
    with pytest.raises(Unreadable, match="changed since it was looked at"):
        read_rest(trail)


@pytest.fixture
def opened(trail: Path) -> Iterator[int]:
    trail.write_bytes(BEFORE + AFTER * 5_000)
    descriptor = os.open(trail, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def read_large(trail: Path, start: int) -> Read:
    return Read(1, start=start, resume=start, end=trail.stat().st_size)


@pytest.mark.parametrize("start", [0, len(BEFORE)])
def test_a_file_that_changes_while_a_worker_judges_it_is_remembered_as_judged(
    trail: Path, opened: int, start: int
) -> None:
    content, read = trail.read_bytes(), read_large(trail, start)
    found = judge_range(opened, start, read.end, Rules(), hashed=False, before=Hashed(start))
    trail.write_bytes(records(400, 9))
    judged = conclude_large(opened, known(trail), read, found, Rules(), time.time)
    assert judged.report.records == content[start:].count(b"\n")
    assert (judged.head, judged.marker) == (print_of(content[:4096]), print_of(content[-4096:]))


def test_what_a_worker_is_to_judge_must_follow_what_was_judged(trail: Path, opened: int) -> None:
    check_large(opened, known(trail), read_large(trail, len(BEFORE)))
    trail.write_bytes(BEFORE[:-5] + b"0000\n" + AFTER * 5_000)
    with pytest.raises(Unreadable, match="changed since it was looked at"):
        check_large(opened, known(trail), read_large(trail, len(BEFORE)))


def test_edges_are_not_those_of_bytes_that_were_cut_off_meanwhile(trail: Path, opened: int) -> None:
    read = read_large(trail, 0)
    os.truncate(trail, read.end - 10)
    found = judge_range(opened, 0, read.end, Rules(), final=True, hashed=False, before=Hashed(0))
    assert found.edges[1] == trail.read_bytes()[-4096:]
