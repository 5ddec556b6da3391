"""A few bytes, judged on the spot: what is remembered of them is what was read, not what is there afterwards."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from auditwatch.agent import readings
from auditwatch.agent.held import Held
from auditwatch.agent.place import Place
from auditwatch.agent.readings import read_small
from auditwatch.errors import Unreadable
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Judged
from auditwatch.ledger.segment import Anchor, Fingerprint, Segment
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
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
