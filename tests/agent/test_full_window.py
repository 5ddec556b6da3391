"""Full validations keep to their hours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from auditwatch.agent.monitor import Monitor
from auditwatch.agent.runs import Runs
from auditwatch.agent.timetable import interval_seconds
from auditwatch.config.hours import hours_of
from auditwatch.config.settings import Schedule
from tests.agent.running import Agents, append, configuration, records, until


def hours(begin: int, end: int) -> str:
    """A window that opens and closes so many hours from now."""
    now = datetime.now(UTC)
    return "-".join((now + timedelta(hours=later)).strftime("%H:%M") for later in (begin, end))


def test_a_run_that_is_due_waits_until_the_window_opens(agents: Agents, tmp_path: Path) -> None:
    entries = []
    for name, window in (("open", hours(-2, 2)), ("closed", hours(2, 4))):
        append(tmp_path / f"{name}.jsonl", records(20))
        entries.append(f'{{name: {name}, path: {name}.jsonl, full: {{every: 1s}}, full_window: "{window}"}}')
    agent = agents.start("-c", configuration(tmp_path / "auditwatch.yml", entries))
    runs = lambda name: agent.value("validation_runs_total", trail=name, mode="full")  # noqa: E731  asked again and again
    until(lambda: runs("open") >= 2)
    assert runs("closed") == 0
    assert agent.value("validation_interval_seconds", trail="closed", mode="full") == 22 * 3600 + 1


def test_a_run_that_has_not_ended_when_it_closes_is_broken_off_and_said() -> None:
    told: list[str] = []

    class Endless(Runs):
        async def full(self, monitor: Monitor) -> None:  # noqa: ARG002  as Runs has it
            await asyncio.Event().wait()

    runs = Endless(cast("Any", None), cast("Any", None), lambda name, _, what: told.append(f"{name}: {what}"))
    monitor = cast("Monitor", SimpleNamespace(name="risk"))
    asyncio.run(runs.full_in(hours_of(hours(2, 4)), monitor))
    assert told == ["risk: the full validation had not ended when `full_window` closed; the next one goes on faster"]


def test_the_longest_time_between_two_runs_counts_the_closed_hours() -> None:
    assert interval_seconds(Schedule(every_seconds=60, window=hours_of("22:00-06:00"))) == 60 + 16 * 3600
    assert interval_seconds(Schedule(cron="0 * * * *", window=hours_of("22:00-06:00"))) == 3600 + 16 * 3600
