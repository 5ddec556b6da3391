"""While a compressed segment is judged, its trail is looked at and judged as ever."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from auditwatch.agent.monitor import Monitor, TrailServices
from auditwatch.agent.prober import Prober
from auditwatch.agent.recorder import Recorder
from auditwatch.config.settings import config_from_arguments
from auditwatch.errors import WorkerDied
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.state import Policy
from auditwatch.state.store import Store, trail_key
from auditwatch.validation.ranges import JudgedArchive
from auditwatch.validation.workers.pool import WorkerPool
from tests.agent.running import append, records


class Gate(WorkerPool):
    """Workers that are as slow with judging compressed files as a test wants.

    Attributes:
        open: Set when they may go on.
        dead: How many of the next ones die.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self.open = asyncio.Event()
        self.dead = 0

    async def judge_archive(self, fd: int, start: int, end: int, *arguments: Any, **options: Any) -> JudgedArchive:
        if end > start:
            await self.open.wait()
            if self.dead:
                self.dead -= 1
                raise WorkerDied("killed")
        return await super().judge_archive(fd, start, end, *arguments, **options)


def watched(trail: Path, state: Path, story: Callable[[Monitor, Gate], Awaitable[None]]) -> None:
    """Tell a story of one monitor, whose turns the test takes."""

    async def run() -> None:
        pool = Gate()
        config = config_from_arguments([str(trail)]).trails[0]
        with closing(Store.open(state, time.time())) as store:
            policy = Policy(config.rules.reports_id)
            recorder = Recorder(store, trail_key(config.name, config.path), policy, lambda _: None)
            services = TrailServices(Prober("test"), pool, lambda _: None, lambda _: None)
            try:
                async with asyncio.timeout(60):
                    await story(Monitor(config, recorder, services), pool)
            finally:
                services.prober.close()
                await pool.close()

    state.mkdir()
    asyncio.run(run())


async def turn_until_adopted(monitor: Monitor) -> None:
    while not monitor.state.closed:
        monitor.wake(with_neighbours=True)
        await monitor.turn()


def lines(monitor: Monitor) -> dict[str, int]:
    return {segment.name: segment.lines for segment in monitor.state.files}


def test_lines_are_judged_while_an_archive_is(trail: Path, tmp_path: Path) -> None:
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(records(500)))

    async def story(monitor: Monitor, pool: Gate) -> None:
        await turn_until_adopted(monitor)
        append(trail, records(7))
        await monitor.turn()
        assert lines(monitor) == {"risk.jsonl.1.gz": 0, "risk.jsonl": 10}
        pool.open.set()
        await monitor.judge_archives()
        assert lines(monitor) == {"risk.jsonl.1.gz": 500, "risk.jsonl": 10}

    watched(trail, tmp_path / "state", story)


def test_a_verdict_on_what_was_replaced_meanwhile_is_not_taken(trail: Path, tmp_path: Path) -> None:
    archive = Path(f"{trail}.1.gz")
    archive.write_bytes(gzip.compress(records(500)))

    async def story(monitor: Monitor, pool: Gate) -> None:
        await turn_until_adopted(monitor)
        new = archive.with_suffix(".new")
        new.write_bytes(gzip.compress(records(400)))
        new.replace(archive)
        pool.open.set()
        while list(lines(monitor).values()) != [400, 3]:
            monitor.wake(with_neighbours=True)
            await monitor.turn()
            await monitor.judge_archives()

    watched(trail, tmp_path / "state", story)


def test_a_worker_that_died_is_counted_and_the_archive_is_judged_later(trail: Path, tmp_path: Path) -> None:
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(records(500)))

    async def story(monitor: Monitor, pool: Gate) -> None:
        pool.dead = 1
        pool.open.set()
        await turn_until_adopted(monitor)
        while lines(monitor) != {"risk.jsonl.1.gz": 500, "risk.jsonl": 3}:
            await monitor.turn()
            await monitor.judge_archives()
        assert monitor.recorder.run(Mode.TAIL).errors == 1

    watched(trail, tmp_path / "state", story)
