"""The agent and what producers count: a write that fails in another process is seen, kept, and taken note of."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditwatch.trail.counters import FILE_BYTES, counters_name
from tests.agent.running import Agent, Agents, command, records, until

pytestmark = pytest.mark.concurrency

PRODUCER = """
import resource, sys
from auditwatch import AuditWriteError, AuditWriter

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

writer = AuditWriter(sys.argv[1], lock_timeout=0.05, timestamp_field=None)
for line in sys.stdin:
    number, pad, size = map(int, line.split())
    limit(size or resource.RLIM_INFINITY)
    failed = []
    for n in range(number):
        try:
            writer.append({"n": n, "pad": "x" * pad})
        except AuditWriteError as error:
            failed.append(error.reason)
    print(*failed, flush=True)
"""


class Producer:
    """A process with an `AuditWriter`, controlled by the test."""

    def __init__(self, path: Path) -> None:
        asked = [sys.executable, "-P", "-c", PRODUCER, str(path)]
        self.process = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def append(self, number: int, pad: int = 0, largest_file: int = 0) -> list[str]:
        """Append this many records; returns the reasons of those that failed."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{number} {pad} {largest_file}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def produce(trail: Path) -> Iterator[Callable[[], Producer]]:
    """Starts a producer; none is left running."""
    started: list[Producer] = []

    def start() -> Producer:
        started.append(Producer(trail))
        return started[-1]

    yield start
    for producer in started:
        producer.end()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The trail's lock, held by another process."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def counts(agent: Agent) -> dict[str, float]:
    names = ("writes_total", "write_failures_total", "write_failures_open", "write_last_failure_timestamp_seconds")
    return {name: agent.value(name) for name in names} | {
        "waits": agent.value("write_lock_wait_seconds_bucket", le="+Inf")
    }


def fails_twice(agent: Agent, producer: Producer, trail: Path) -> None:
    """Once at the lock, once at a file that may not grow."""
    assert producer.append(4, pad=FILE_BYTES) == []
    with locked(trail):
        assert producer.append(1) == ["lock_timeout"]
    (reason,) = producer.append(1, largest_file=trail.stat().st_size)
    until(lambda: agent.value("writer_counters_up") and agent.value("write_failures_open") == 2)
    assert agent.value("write_failures_total", reason="lock_timeout") == 1
    assert agent.value("write_failures_total", reason=reason) == 1


def test_a_failed_write_is_seen_a_restart_keeps_it_and_acknowledging_ends_it(
    agents: Agents, trail: Path, produce: Callable[[], Producer]
) -> None:
    agent = agents.start(trail).follows(trail)
    assert agent.value("writer_counters_up") == 0
    assert "writes_total" not in agent.metrics()
    producer = produce()
    fails_twice(agent, producer, trail)
    before = counts(agent)
    assert (before["writes_total"], before["write_failures_total"], before["waits"]) == (4, 2, 5)
    agent.kill()
    again = agents.start(trail)
    assert counts(again) == before  # from the very first scrape on
    assert producer.append(3) == []
    until(lambda: again.value("writes_total") == 7)
    assert again.value("write_failures_open") == 2
    done = command("acknowledge", "--trail", "risk", "--all", "--reason", "seen", "--state-dir", again.state_dir)
    assert done.returncode == 0, done.stderr
    assert (again.value("write_failures_open"), again.value("write_failures_total")) == (0, 2)
    name = again.status()["writes"]["id"]
    assert command("acknowledge", "--undo", name, "--state-dir", again.state_dir).returncode == 0
    assert again.value("write_failures_open") == 2
    log = again.stop()
    assert "write(s) failed" not in log


def test_what_is_counted_while_the_agent_is_away_is_added_once(
    agents: Agents, trail: Path, produce: Callable[[], Producer]
) -> None:
    agent = agents.start(trail).follows(trail)
    first = produce()
    assert first.append(2) == []
    until(lambda: agent.value("writer_counters_up") and agent.value("writes_total") == 2)
    agent.stop()
    first.append(3)
    first.end()  # its counts move into the slot of the dead when the next one claims a slot
    second = produce()
    with locked(trail):
        assert second.append(2) == ["lock_timeout"] * 2
    again = agents.start(trail)
    until(lambda: again.value("writes_total") == 5 and again.value("write_failures_open") == 2)
    trail.with_name(counters_name(trail.name)).unlink()
    until(lambda: not again.value("writer_counters_up"))
    assert (again.value("writes_total"), again.value("write_failures_open")) == (5, 2)
    third = produce()
    assert third.append(1) == []
    until(lambda: again.value("writer_counters_up") and again.value("writes_total") == 6)
    assert "2 failed writes: lock_timeout 2" in again.stop()


def test_failures_from_before_first_sight_are_not_open(
    agents: Agents, trail: Path, produce: Callable[[], Producer]
) -> None:
    producer = produce()
    with locked(trail):
        assert producer.append(3) == ["lock_timeout"] * 3
    agent = agents.start(trail)
    until(lambda: agent.value("writer_counters_up"))
    assert (agent.value("write_failures_total"), agent.value("write_failures_open")) == (3, 0)
    assert "write(s) failed" not in agent.stop()


HOSTILE: dict[str, Callable[[Path], object]] = {
    "not one": lambda path: path.write_bytes(b"\xff" * FILE_BYTES),
    "empty": lambda path: path.touch(),
    "another version": lambda path: path.write_bytes((b"AUDITW01" + b"\2").ljust(FILE_BYTES, b"\0")),
    "huge": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
    "fifo": os.mkfifo,
    "directory": lambda path: path.mkdir(),
    "symlink": lambda path: path.symlink_to("/etc/passwd"),
}


def test_what_is_no_counters_file_is_not_up_and_disturbs_nothing(agents: Agents, tmp_path: Path) -> None:
    paths = {f"t{number}": tmp_path / f"t{number}.jsonl" for number in range(len(HOSTILE))}
    for path, harm in zip(paths.values(), HOSTILE.values(), strict=True):
        path.write_bytes(records(3))
        harm(path.with_name(counters_name(path.name)))
    agent = agents.start(*paths.values())
    for name, path in paths.items():
        agent.follows(path, name)
        assert troubled(agent, name)
        assert (agent.value("writer_counters_up", trail=name), agent.value("trail_lines", trail=name)) == (0, 3)
    assert "symbolic link to /etc/passwd" in troubled(agent, f"t{list(HOSTILE).index('symlink')}")
    assert "root:" not in agent.stop()


def troubled(agent: Agent, name: str) -> str:
    """Why the counters of a trail cannot be read."""
    said: str = until(lambda: agent.status(name)["writes"]["counters_trouble"])
    return said


def test_counters_that_one_may_not_read_are_not_up_until_one_may(
    agents: Agents, trail: Path, produce: Callable[[], Producer]
) -> None:
    assert produce().append(2) == []
    file = trail.with_name(counters_name(trail.name))
    file.chmod(0)
    agent = agents.start(trail, is_held_to_permissions=True)
    assert "permission denied" in until(lambda: agent.status()["writes"]["counters_trouble"])
    file.chmod(0o600)
    until(lambda: agent.value("writer_counters_up"))
    assert agent.value("writes_total") == 2
    agent.stop()


def test_once_reads_the_counters_and_its_own_workers_too(
    tmp_path: Path, trail: Path, produce: Callable[[], Producer]
) -> None:
    assert produce().append(2) == []
    arguments = ("run", "--once", trail, "--state-dir", tmp_path / "state", "--metrics-file", tmp_path / "a.prom")
    assert command(*arguments).returncode == 0
    metrics = (tmp_path / "a.prom").read_text()
    assert 'auditwatch_writes_total{trail="risk"} 2.0\n' in metrics
    assert "auditwatch_worker_max_resident_bytes 0" not in metrics, "what its workers took is told too"
    assert "auditwatch_worker_cpu_seconds_total 0.0\n" not in metrics
    said = command("status", "--state-dir", tmp_path / "state").stdout
    assert "writes: 2 stored, 0 failed; lock waits: 0 over 1 s, 0 timed out" in said


def first_sum(agent: Agent) -> float:
    """What a restarted agent says that writers stored."""
    until(lambda: agent.value("writer_counters_up"))
    return agent.value("writes_total")


def grown(agent: Agent, known: float) -> float:
    """The sum once it is beyond what was known."""
    until(lambda: agent.value("writes_total") > known)
    return agent.value("writes_total")


def test_sums_never_fall_over_kill_9_under_load_and_end_exact(
    agents: Agents, trail: Path, produce: Callable[[], Producer]
) -> None:
    producers = [produce() for _ in range(2)]
    written, scraped = 0, 0.0
    for _ in range(3):
        agent = agents.start(trail)
        assert first_sum(agent) >= scraped
        for producer in producers:
            assert producer.append(200) == []
        written += 400
        scraped = grown(agent, scraped)
        agent.kill()
    again = agents.start(trail)
    until(lambda: again.value("writes_total") == written)
    again.follows(trail)
    assert again.value("trail_lines") == written + 3
    again.stop()
