"""Kill -9 at random moments under load: after the last restart every line was judged exactly once.

AUDITWATCH_KILL_ROUNDS says how often; 200 is the long run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditwatch.trail.ids import finding_id
from tests.agent.running import Agent, Agents, append, records, until, workers_of

ROUNDS = int(os.environ.get("AUDITWATCH_KILL_ROUNDS", "15"))

pytestmark = [pytest.mark.concurrency, pytest.mark.timeout(120 + 6 * ROUNDS)]

LOAD = """
import select, sys
from auditwatch import AuditWriter
with AuditWriter(sys.argv[1]) as audit:
    n = 0
    while not select.select([sys.stdin], [], [], 0.002)[0]:  # ends with its standard input; else paces the load
        for n in range(n, n + 20):
            audit.append({"event": "TRADE_APPROVED", "n": n})
print(n)
"""

HISTORY = (records(200_000) + b"an old scar\n") * 3
BULK_LINES = 60_000
"""More than the agent reads by itself: worker processes are at work when it is killed."""

FOUND = re.compile(r"risk: (?!emptied|replaced|truncated)\w+: line .*\((f[0-9a-f]{10})\)")
MORE = re.compile(r"[(,] ?(\d+) (?!from|emptied|replaced|truncated)\w+(?=[,)].* the latest:)")
INHERITED = re.compile(r"(\d+) (?:damaged lines? )?from before watching began")


@contextmanager
def load(path: Path, processes: int = 2) -> Iterator[None]:
    """Processes that append through the locked writer all the while."""
    asked = [sys.executable, "-P", "-c", LOAD, str(path)]
    writers = [subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        yield
    finally:
        for writer in writers:
            writer.communicate(timeout=30)
    assert all(writer.returncode == 0 for writer in writers)


def kill_at_a_random_moment(agents: Agents, trail: Path, dice: random.Random) -> None:
    """Start an agent and kill it, perhaps before it has begun, perhaps in the middle of a block."""
    agent = agents.start(trail)
    try:
        agent.process.wait(dice.uniform(0.2, 1.6))
    except subprocess.TimeoutExpired:
        agent.kill()
    else:
        pytest.fail(f"the agent ended by itself: {agent.log()}")
    assert "Traceback" not in agent.log()
    until(lambda: not workers_of(agent.pid))


def damage(trail: Path, round_number: int, dice: random.Random) -> int:
    """So many damaged lines, now and then among more than one read holds."""
    number = dice.randrange(1, 9)
    for n in range(number):
        append_locked(trail, b"torn in round %d: %d\n" % (round_number, n))
    if round_number % 3 == 0:
        append_locked(trail, records(BULK_LINES, start=(round_number + 1) * 1_000_000))  # a rotation repeats no lines
    return number


def append_locked(trail: Path, data: bytes) -> None:
    """Locked, or the other writers would see half of it, take it for a torn tail and end it: damage not planned."""
    with trail.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        append(trail, data)


def expected_ids(segments: list[Path]) -> Counter[str]:
    """By a judge of our own: what does not begin like a record is damaged here."""
    found: Counter[str] = Counter()
    for path in segments:
        offset = 0
        for line in path.read_bytes().split(b"\n")[:-1]:
            if not line.startswith(b"{"):
                found[finding_id("risk", offset, hashlib.sha256(line).hexdigest())] += 1
            offset += len(line) + 1
    return found


def assert_judged_once(agent: Agent, segments: list[Path], new: int, appended: int) -> None:
    data = b"".join(path.read_bytes() for path in segments)
    assert data.endswith(b"\n")
    until(lambda: agent.status()["bytes"]["verified"] == len(data))
    status = agent.status()
    assert status["lines"] == data.count(b"\n")
    assert status["appended"]["bytes"] == len(data) - len(HISTORY)
    assert status["appended"]["lines"] == data.count(b"\n") - HISTORY.count(b"\n") == appended
    assert status["corrupt_lines"]["open"] == new + 3
    assert status["corrupt_lines"]["inherited"] == 3
    assert agent.value("trail_corrupt_lines_detected_total") == new
    assert agent.value("trail_violations") == 0
    assert agent.value("state_resets_total") == 0


def assert_said_once(log: str, new: int) -> int:
    """A kill may lose a log line; none is written twice."""
    said = Counter(FOUND.findall(log))
    assert not [found for found, times in said.items() if times > 1]
    total = sum(said.values()) + sum(map(int, MORE.findall(log)))
    assert 0 < total <= new
    assert sum(map(int, INHERITED.findall(log))) <= 3
    return total


@pytest.mark.parametrize("rotates", [False, True], ids=["one file", "rotated"])
def test_every_line_is_judged_exactly_once(
    agents: Agents, tmp_path: Path, capsys: pytest.CaptureFixture[str], rotates: bool
) -> None:
    dice = random.Random(20261123 + rotates)
    trail = tmp_path / "risk.jsonl"
    trail.write_bytes(HISTORY)
    first = agents.start(trail)
    until(lambda: first.value("trail_size_bytes") == len(HISTORY))  # the first look is stored; history is not read yet
    segments, new = [trail], 0
    with load(trail):
        first.kill()
        for number in range(ROUNDS):
            new += damage(trail, number, dice)
            kill_at_a_random_moment(agents, trail, dice)
            if rotates and number % 3 == 2:
                segments.insert(-1, tmp_path / f"risk-{number:04}.jsonl")
                os.rename(trail, segments[-2])
                append(trail, b"")
    agent = agents.start(trail)
    lines = sum(path.read_bytes().count(b"\n") for path in segments)
    assert_judged_once(agent, segments, new, lines - HISTORY.count(b"\n"))
    listed = Counter(found["id"] for found in agent.findings()["findings"])
    if new + 3 <= 1000:  # more are not listed in one answer
        assert listed == expected_ids(segments)
    agent.stop()
    said = assert_said_once(agent.log_path.read_text(), new)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{ROUNDS} kills: {lines} lines in {len(segments)} files, {new} new damaged, {said} logged\n"
        )
