"""Snapshots as the agent would publish them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from auditwatch.ledger.damage import Acknowledgement, Finding, FindingState, Tally, ViolationRow
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, Standing, TrailState
from auditwatch.ledger.writes import Counts, Failures, Writes
from auditwatch.trail.counters import FAILURES
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.web.snapshot import AgentStatus, RunStatus, Snapshot, TrailSnapshot, Volume

NOW = 1_800_000_000.0
NOTE = Acknowledgement(NOW - 50, "ops", "known crash")


class Builder:
    """Makes parts of snapshots with true defaults."""

    now = NOW
    note = NOTE

    def finding(self, line: int, offset: int, kind: Kind = Kind.TORN, **more: Any) -> Finding:
        state = FindingState.ACKNOWLEDGED if more.get("acknowledgement") else FindingState.OPEN
        given = {
            "id": f"f{line:010x}",
            "line": line,
            "offset": offset,
            "length": 10,
            "kind": kind,
            "sha256": "5ec4e7" * 10,
            "records_inside": 0,
            "inherited": False,
            "first_seen": NOW - 100,
            "last_seen": NOW - 1,
            "state": state,
        }
        return Finding(**{**given, **more})

    def segment(self, size: int, **more: Any) -> Segment:
        given = {"number": 1, "name": "a.jsonl", "device": 1, "inode": 1, "modified": NOW, "judged": size, "read": size}
        given["lines"] = size // 100
        return Segment(size=size, **{**given, **more})

    def state(self, *segments: Segment, **more: Any) -> TrailState:
        closed, active = segments[:-1], segments[-1] if segments else None
        given: dict[str, Any] = {"policy": Policy("0" * 16), "standing": Standing.PRESENT, "first_seen": NOW - 1000}
        return TrailState("risk", active=active, closed=closed, **{**given, **more})

    def trail(self, *segments: Segment, name: str = "risk", **more: Any) -> TrailSnapshot:
        return TrailSnapshot(name, f"/var/log/{name}.jsonl", self.state(*segments, **more), watcher_up=True)

    def snapshot(self, *trails: TrailSnapshot, revision: int = 1, **agent: Any) -> Snapshot:
        status = AgentStatus("0.1.0", "3.11.7", NOW - 5000, state_created=NOW - 9000, **agent)
        return Snapshot(NOW, revision, status, trails)

    def failed(self, **numbers: int) -> tuple[int, ...]:
        return tuple(numbers.get(reason, 0) for reason in FAILURES)

    def writes(self, **more: Any) -> Writes:
        """Six failures: one from before the first look, two acknowledged, three open."""
        total = Counts(1200, self.failed(disk_full=4, lock_timeout=2), (1000, 100, 50, 30, 15, 4, 1, 2))
        given = {
            "id": "ab" * 16,
            "seen": total,
            "total": total,
            "open": (Failures(NOW - 300, self.failed(disk_full=2, lock_timeout=1)),),
            "acknowledged": self.failed(disk_full=1, lock_timeout=1),
            "last_failure": NOW - 300,
        }
        return Writes(**{**given, **more})

    def populated(self) -> Snapshot:
        """Two trails with something of everything."""
        findings = (
            self.finding(3, 300, Kind.INTERLEAVED),
            self.finding(4, 400, Kind.INTERLEAVED),
            self.finding(7, 700, Kind.BLANK),
            self.finding(9, 900, inherited=True),
            self.finding(11, 1100, acknowledgement=NOTE),
        )
        active = self.segment(
            5000, judged=4000, read=4200, findings=findings, unlisted={Kind.NUL_BYTES: Tally(5, 2, 1)}, grown=NOW - 60
        )
        closed = self.segment(1000, number=2, name="a-1.jsonl", closed=True)
        risk = self.trail(
            closed,
            replace(active, unverified_since=NOW - 5),
            detected={Kind.INTERLEAVED: 2},
            last_corrupt={Kind.INTERLEAVED: NOW - 100},
            violations=(
                ViolationRow("v1", Violation.TRUNCATED, "a.jsonl", "size 5 below 9", NOW - 10),
                ViolationRow("v2", Violation.EMPTIED, "a.jsonl", "size 0", NOW - 20, NOTE),
            ),
            appended_bytes=4000,
            appended_lines=40,
            last_append=NOW - 60,
            rotations=1,
            writes=self.writes(),
            writes_note=NOTE,
        )
        runs = {
            **dict.fromkeys(Mode, RunStatus()),
            Mode.FULL: RunStatus(3, 1, NOW - 9, NOW - 90, 4, 604800.0, 0.25, NOW - 10),
        }
        risk = replace(risk, runs=runs, volume=Volume(10 << 30, 100 << 30, 12345), sample_bound=0.03)
        return self.snapshot(risk, self.trail(name="orders", standing=Standing.MISSING))


@pytest.fixture(scope="session")
def build() -> Builder:
    return Builder()


@pytest.fixture
def populated(build: Builder) -> Snapshot:
    return build.populated()


@pytest.fixture
def clock() -> Callable[[], float]:
    return lambda: NOW
