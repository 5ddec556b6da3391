"""A trail with ten thousand damaged lines and more: the counts stay right, page and metrics answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditwatch.ledger.state import MAX_LISTED
from tests.agent.running import Agents, append, command, records, until


@pytest.mark.parametrize("number", [MAX_LISTED, MAX_LISTED + 2_500])
def test_so_many_damaged_lines_that_come_at_once(agents: Agents, trail: Path, number: int) -> None:
    agent = agents.start(trail).follows(trail)
    for n in range(0, number, 500):
        append(trail, b"".join(b'{"n":%d\n' % k + records(1, k) for k in range(n, n + 500)))
    until(lambda: agent.value("trail_lines") == 3 + 2 * number)
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_detected_total") == number
    assert agent.findings()["total"] == MAX_LISTED
    assert b"risk" in agent.get("/")
    before = agent.metrics()["trail_corrupt_lines"]
    agent.stop()
    agent = agents.start(trail).follows(trail)
    assert agent.metrics()["trail_corrupt_lines"] == before
    done = command("acknowledge", "--trail", "risk", "--all", "--reason", "known", "--state-dir", agent.state_dir)
    assert done.returncode == 0, done.stderr
    assert agent.value("trail_corrupt_lines") == 0
    assert agent.value("trail_corrupt_lines_acknowledged") == number
    append(trail, b"one more\n")
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    agent.stop()


def test_so_many_that_were_there_before(agents: Agents, trail: Path) -> None:
    number = MAX_LISTED + 2_500
    append(trail, b"".join(b'{"n":%d\n' % k for k in range(number)))
    agent = agents.start(trail).follows(trail)
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_inherited") == number
    assert agent.value("trail_corrupt_lines_detected_total") == 0
    append(trail, b"new\n")
    until(lambda: agent.value("trail_corrupt_lines") == number + 1)
    assert agent.value("trail_corrupt_lines_inherited") == number
    assert agent.value("trail_corrupt_lines_detected_total") == 1
    done = command("acknowledge", "--trail", "risk", "--inherited", "--reason", "old", "--state-dir", agent.state_dir)
    assert done.returncode == 0, done.stderr
    assert agent.value("trail_corrupt_lines") == 1
    agent.stop()
