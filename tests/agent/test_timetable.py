"""When a validation is due is known, whether it begins or not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from auditwatch.agent import timetable
from auditwatch.agent.timetable import Timetable
from auditwatch.config.settings import Schedule
from tests.agent.running import Agents, append, configuration, records, until

EVERY_SECOND = Schedule(every_seconds=1.0)
WEEK = Schedule(every_seconds=7 * 86400.0)
SOON_SECONDS = 10.0


def test_while_a_run_waits_for_its_turn_it_is_the_one_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetable, "START_DELAY_SECONDS", (0.0, 0.0))
    told: list[float] = []

    async def runs() -> None:
        begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def run() -> None:
            begun.set()
            await may_end.wait()
            ended.set()

        table = Timetable(lambda _: None)
        table.add("risk/full", EVERY_SECOND, 0.0, run, told.append)
        table.start()
        async with asyncio.timeout(60):
            await begun.wait()
            assert len(told) == 2, "told at the start, and not again when the run begins"
            may_end.set()
            await ended.wait()
        table.stop()

    asyncio.run(runs())
    before, due, after = told
    assert (before, due < after) == (0.0, True)


def test_what_does_not_run_is_never_due() -> None:
    told: list[float] = []

    async def nothing() -> None:
        pass

    async def plan() -> None:
        table = Timetable(lambda _: None)
        table.add("risk/full", WEEK, 0.0, nothing, told.append)  # not started, as for `run --once`
        table.start()
        table.remove("risk/full")
        table.add("risk/full", Schedule(), 0.0, nothing, told.append)
        table.stop()

    now = time.time()
    asyncio.run(plan())
    before, soon, removed, off = told
    assert now < soon < time.time() + SOON_SECONDS
    assert (before, removed, off) == (0.0, 0.0, 0.0)


def test_the_next_run_is_a_metric_with_its_jitter(agents: Agents, tmp_path: Path) -> None:
    entries = []
    for name, full in (("weekly", "{every: 7d}"), ("never", "off")):
        append(tmp_path / f"{name}.jsonl", records(5))
        entries.append(f"{{name: {name}, path: {name}.jsonl, full: {full}}}")
    agent = agents.start("-c", configuration(tmp_path / "auditwatch.yml", entries))
    due = lambda: agent.value("validation_due_timestamp_seconds", trail="weekly", mode="full")  # noqa: E731  as below
    assert 0 < due() <= time.time() + SOON_SECONDS
    until(lambda: agent.value("validation_runs_total", trail="weekly", mode="full"))
    until(lambda: due() > time.time() + SOON_SECONDS)
    ran = agent.value("validation_last_attempt_timestamp_seconds", trail="weekly", mode="full")
    assert 0.85 * 7 * 86400 < due() - ran < 1.15 * 7 * 86400
    assert agent.value("validation_due_timestamp_seconds", trail="never", mode="full") == 0
    assert agent.value("validation_due_timestamp_seconds", trail="never", mode="sample") > 0
    modes = {labels["mode"] for labels, _ in agent.metrics()["validation_due_timestamp_seconds"]}
    assert modes == {"full", "sample"}
    first = agent.value("trail_first_seen_timestamp_seconds", trail="weekly")
    assert agent.status("weekly")["first_seen"] == first > 0
    agent.kill()
    again = agents.start("-c", tmp_path / "auditwatch.yml", state_dir=agent.state_dir)
    assert again.value("trail_first_seen_timestamp_seconds", trail="weekly") == first
    assert again.value("validation_due_timestamp_seconds", trail="weekly", mode="full") > time.time() + SOON_SECONDS
