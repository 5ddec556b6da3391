"""Samples that also judge every Nth block again: what is damaged later in history is found within N runs."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.agent import runs
from auditwatch.agent.monitor import Monitor, TrailServices
from auditwatch.agent.prober import Prober
from auditwatch.agent.publishing import Publisher
from auditwatch.agent.recorder import Recorder
from auditwatch.config.settings import config_from_arguments
from auditwatch.ledger.damage import Finding, FindingState
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.state import Policy
from auditwatch.state.blocks import BlockStore
from auditwatch.state.store import Store, trail_key
from auditwatch.trail.grid import BLOCK_BYTES
from auditwatch.validation.workers.pool import WorkerPool
from tests.agent.running import Agents, configuration, until

LINE = b'{"event":"TRADE_APPROVED","n":"%09d","text":"' + b"x" * 960 + b'"}\n'
LENGTH = len(LINE % 0)
BLOCKS = 4
PARTS = 3


def line_in(k: int) -> int:
    """Number, from 0, of a line deep in block k."""
    return (k * BLOCK_BYTES + BLOCK_BYTES // 2) // LENGTH


def flip(trail: Path, line: int) -> None:
    """XOR, which never is a no-op, and undoes itself; nothing but the bytes tells of it."""
    status = trail.stat()
    with trail.open("r+b") as file:
        file.seek(line * LENGTH)
        first = file.read(1)[0]
        file.seek(line * LENGTH)
        file.write(bytes([first ^ 1]))
    os.utime(trail, ns=(status.st_atime_ns, status.st_mtime_ns))


class Watching:
    """The agent's runs over one trail, made anew at each start from what is stored."""

    def __init__(self, trail: Path, state: Path) -> None:
        config = replace(config_from_arguments([str(trail)]).trails[0], sample_lines=1, sample_cover_in=PARTS)
        self.config = config
        self.state = state
        self.key = trail_key(config.name, config.path)
        self.errors: list[str] = []

    def run(self, samples: int = 1) -> list[Finding]:
        """Start, judge what is new, run samples, stop. Gives all findings; there was no full run."""
        return asyncio.run(self._run(samples))

    async def _run(self, samples: int) -> list[Finding]:
        self.state.mkdir(exist_ok=True)
        pool = WorkerPool(1)
        with closing(Store.open(self.state, time.time())) as store, closing(BlockStore.open(self.state)) as blocks:
            monitor = self._monitor(store, pool)
            running = runs.Runs(Publisher({}, time.time), blocks, lambda *said: self.errors.append(said[-1]))
            await monitor.turn()
            for _ in range(samples):
                await running.sample(monitor)
            assert monitor.recorder.run(Mode.FULL).runs == 0
            monitor.recorder.save()
            monitor.services.prober.close()
        await pool.close()
        return list(monitor.state.active.findings) if monitor.state.active else []

    def _monitor(self, store: Store, pool: WorkerPool) -> Monitor:
        recorder = Recorder(store, self.key, Policy(self.config.rules.reports_id), lambda _: None)
        services = TrailServices(Prober("test"), pool, lambda _: None, lambda _: None)
        return Monitor(self.config, recorder, services)

    def kept(self) -> set[int]:
        """Numbers of the sealed blocks that were judged again so far."""
        with closing(BlockStore.open(self.state)) as blocks:
            rules = self.config.rules.reports_id
            return {k for k in range(BLOCKS + 1) if blocks.block(self.key, 1, rules, k)}


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """Whole lines over sealed blocks and a last one that grows still."""
    path = tmp_path / "risk.jsonl"
    path.write_bytes(b"".join(LINE % n for n in range((BLOCKS * BLOCK_BYTES + BLOCK_BYTES // 2) // LENGTH + 99)))
    return path


@pytest.fixture
def watching(trail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watching:
    monkeypatch.setattr(runs.secrets, "randbits", lambda _bits: 1)  # the drawn line is none of those that are damaged
    return Watching(trail, tmp_path / "state")


def test_every_block_is_read_again_once_in_so_many_runs_whatever_restarts(watching: Watching) -> None:
    kept = []
    for _ in range(PARTS):
        assert watching.run() == []
        kept.append(watching.kept())
    assert kept == [{0, 3}, {0, 1, 3}, {0, 1, 2, 3}]


def test_runs_of_one_start_go_on_where_the_last_one_ended(watching: Watching) -> None:
    watching.run(samples=2)
    assert watching.kept() == {0, 1, 3}
    watching.run()
    assert watching.kept() == {0, 1, 2, 3}


def test_a_run_that_could_not_look_is_made_up_for(watching: Watching, trail: Path) -> None:
    watching.run()
    hidden = trail.rename(trail.with_name("elsewhere"))
    trail.mkdir()
    watching.run(samples=4)
    assert len(watching.errors) == 4
    trail.rmdir()
    hidden.rename(trail)
    watching.run()
    assert watching.kept() == {0, 1, 3}


@pytest.mark.parametrize("rounds_before", [0, PARTS])
def test_damage_in_any_block_is_found_in_the_run_that_reads_it(
    watching: Watching, trail: Path, rounds_before: int
) -> None:
    watching.run(samples=0)
    watching.run(samples=rounds_before)
    for k in range(BLOCKS + 1):
        flip(trail, line_in(k))
    found: list[set[int]] = [{finding.line - 1 for finding in watching.run()} for _ in range(PARTS)]
    parts = [{line_in(k) for k in range(BLOCKS + 1) if k % PARTS <= part} for part in range(PARTS)]
    assert found == parts


def test_nothing_outside_the_blocks_that_were_read_is_touched(watching: Watching, trail: Path) -> None:
    flip(trail, line_in(1))
    (known,) = watching.run(samples=0)
    flip(trail, line_in(1))
    flip(trail, line_in(0))
    fresh, untouched = watching.run()
    assert untouched == known
    assert (fresh.line, fresh.inherited, fresh.state) == (line_in(0) + 1, False, FindingState.OPEN)
    same, gone = watching.run()
    assert (same, gone.id, gone.state) == (fresh, known.id, FindingState.GONE)


def test_the_agent_covers_history_as_it_is_configured_to(agents: Agents, trail: Path, tmp_path: Path) -> None:
    keys = f"{{path: {trail}, full: off, sample: {{every: 1s, lines: 1, cover_in: 2}}}}"
    agent = agents.start("-c", configuration(tmp_path / "auditwatch.yml", [keys])).follows(trail)
    flip(trail, line_in(1))
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    agent.stop()
