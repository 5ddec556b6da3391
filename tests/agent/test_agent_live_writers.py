"""Eight locked writers at full rate, roll-backs, kills and rotations, while the agent judges: not one false alarm.

AUDITWATCH_LIVE_LINES says how many lines; 10000000 is the long run.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.agent.running import Agent, Agents, append, configuration, until

LINES = int(os.environ.get("AUDITWATCH_LIVE_LINES", "20000"))
PROCESSES = 8
SEGMENT_BYTES = 256 * 1024 if LINES < 1_000_000 else 32 * 1024 * 1024
KILLS = 3 if LINES < 1_000_000 else 60

pytestmark = [pytest.mark.concurrency, pytest.mark.timeout(120 + LINES // 3000)]

PRODUCER = """
import itertools, os, resource, select, sys
from auditwatch import AuditWriteError, AuditWriter
path, segment_bytes = sys.argv[1], int(sys.argv[2])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
def size():
    try:
        return os.stat(path).st_size
    except FileNotFoundError:  # being rotated
        return 0
failed = 0
with AuditWriter(path, lock_timeout=60, rotate_bytes=segment_bytes) as audit:
    for number in itertools.count():
        if number % 100 == 0 and select.select([sys.stdin], [], [], 0)[0]:
            break  # ends with its standard input
        is_short = number % 1000 == 500
        if is_short:  # the file may grow by little more: soon a write is short, and rolled back
            limit(max(65_536, size() + number % 2000))
        try:
            audit.append({"event": "TRADE_APPROVED", "n": number, "pad": "x" * (number % 5 * 300 if is_short else 9)})
            if is_short:
                audit.append_many([{"event": "FILL", "n": number, "pad": "y" * 200}] * 20)
        except AuditWriteError:
            failed += 1
        limit(hard)
print(failed)
"""


def start(trail: Path) -> subprocess.Popen[bytes]:
    asked = [sys.executable, "-P", "-c", PRODUCER, str(trail), str(SEGMENT_BYTES)]
    return subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextmanager
def producers(trail: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """This many processes; one that is killed may be replaced in the list. All others must end well."""
    running = [start(trail) for _ in range(PROCESSES)]
    try:
        yield running
        failures = [process.communicate(timeout=60) for process in running]
    finally:
        for process in running:
            with process:
                process.kill()
    assert [(process.returncode, err) for process, (_, err) in zip(running, failures, strict=True)] == (
        [(0, b"")] * PROCESSES
    )
    assert sum(int(out) for out, _ in failures) > 0, "no write was short"


def segments(trail: Path) -> list[Path]:
    return sorted(trail.parent.glob("risk*.jsonl"))


def torn_and_whole(trail: Path) -> tuple[int, int]:
    """By the standard library: lines that no writer can have written like this, and records."""
    torn = whole = 0
    for path in segments(trail):
        with path.open("rb") as lines:
            for line in lines:
                try:
                    record = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    record = None
                whole += isinstance(record, dict)
                torn += not isinstance(record, dict)
    return torn, whole


def appended(agent: Agent) -> int:
    return int(agent.value("trail_appended_lines_total"))


def test_no_line_of_locked_writers_is_ever_accused(agents: Agents, tmp_path: Path) -> None:
    trail, dice = tmp_path / "risk.jsonl", random.Random(4)
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}, pending_grace: 1s}}"])
    agent = agents.start("-c", config)
    assert agent.url
    with producers(trail) as running:
        for turn in range(1, KILLS + 1):
            until(lambda: appended(agent) >= LINES * turn // (KILLS + 1), 120 + LINES / 3000)  # noqa: B023
            assert_pending_is_honest(agent, trail, b'{"event":"SL' + b"O" * turn)
            victim = dice.randrange(PROCESSES)
            running[victim].kill()
            running[victim].communicate()
            running[victim] = start(trail)
        until(lambda: appended(agent) >= LINES, 120 + LINES / 3000)
    size = sum(path.stat().st_size for path in segments(trail))
    until(lambda: agent.status()["bytes"]["verified"] == size)
    torn, whole = torn_and_whole(trail)
    print(f"{whole} records in {len(segments(trail))} segments, {torn} lines really torn by kills")  # noqa: T201
    assert torn <= KILLS
    assert agent.value("trail_corrupt_lines_detected_total") == agent.value("trail_corrupt_lines") == torn
    assert agent.value("trail_appended_lines_total") == torn + whole >= LINES
    assert agent.value("trail_rotations_total") == len(segments(trail)) - 1 > 0
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_pending_seconds") == agent.value("trail_pending_bytes") == 0
    agent.stop()


def assert_pending_is_honest(agent: Agent, trail: Path, piece: bytes) -> None:
    """A writer stops in the middle of a line, with the lock that all others wait for: its age counts from then.

    Each piece has a length of its own: an agent that is behind may still show the one before.
    """
    with until(lambda: locked(trail)) as file:
        begun = time.time()
        file.write(piece)
        until(lambda: agent.value("trail_pending_bytes") == len(piece))
        first = agent.value("trail_pending_seconds")
        latest = until(lambda: (age := agent.value("trail_pending_seconds")) >= first + 0.2 and age)
        assert latest <= time.time() - begun
        file.write(b'W"}\n')


def locked(trail: Path) -> BinaryIO | None:
    """The trail with its lock, which ends with the file; None if it was rotated, or a writer died in a line."""
    with suppress(FileNotFoundError), ExitStack() as opened:
        file = opened.enter_context(trail.open("rb+", buffering=0))
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        is_ended = size > 0 and os.pread(file.fileno(), 1, size - 1) == b"\n"
        if is_ended and os.path.samestat(trail.stat(), os.fstat(file.fileno())):
            opened.pop_all()
            return file
    return None


def test_pending_seconds_count_from_the_last_growth_and_end_with_the_newline(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    begun = time.time()
    append(trail, b'{"event":"CUT')
    until(lambda: agent.value("trail_pending_bytes") == 13)
    first = until(lambda: agent.value("trail_pending_seconds"))
    until(lambda: agent.value("trail_pending_seconds") >= first + 1)
    assert agent.value("trail_pending_seconds") <= time.time() - begun
    grown = time.time()
    append(trail, b' AGAIN"')
    until(lambda: agent.value("trail_pending_bytes") == 20)
    assert agent.value("trail_pending_seconds") <= time.time() - grown
    append(trail, b"}\n")
    until(lambda: agent.value("trail_pending_bytes") == 0)
    assert agent.value("trail_pending_seconds") == agent.value("trail_corrupt_lines") == 0
    agent.stop()
