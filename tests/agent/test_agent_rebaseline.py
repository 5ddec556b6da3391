"""A planned change of history is taken as such, by name and with a reason, and what can be proved is said."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.agent.running import Agent, Agents, append, command, records, until

pytestmark = pytest.mark.concurrency

REASON = "the first half went to the archive"


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    """An agent that knows a thousand lines."""
    trail.write_bytes(records(1000))
    return agents.start(trail).follows(trail)


def compact(trail: Path) -> int:
    """As a careful person does it: the rest into another file, and that over the trail."""
    data = trail.read_bytes()
    dropped = data.index(b"\n", len(data) // 2) + 1
    fresh = trail.with_name("compacting")
    fresh.write_bytes(data[dropped:])
    os.rename(fresh, trail)
    return dropped


def rebaseline(agent: Agent, trail: str = "risk") -> subprocess.CompletedProcess[str]:
    return command("rebaseline", trail, "--reason", REASON, "--by", "ann", "--state-dir", agent.state_dir)


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_planned_compaction_is_proved_by_the_shift_of_its_last_bytes(
    is_noticed: bool, agent: Agent, trail: Path
) -> None:
    dropped = compact(trail)
    if is_noticed:
        until(lambda: agent.value("trail_violations") > 0)
    done = rebaseline(agent)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"acknowledged: 1 violation; {dropped:,} bytes of the start dropped; of the other ")
    assert "changed as well" not in done.stdout
    assert (agent.value("trail_violations"), agent.value("trail_violations_acknowledged")) == (0, 1)
    append(trail, records(10) + b"not JSON\n")
    agent.follows(trail)
    assert (agent.value("trail_violations"), agent.value("trail_corrupt_lines")) == (0, 1)
    assert agent.value("trail_lines") == trail.read_bytes().count(b"\n")
    assert f"risk: rebaseline by ann: {REASON} (1 violation acknowledged; {dropped:,} bytes" in agent.stop()


def test_it_stays_to_be_seen_also_after_a_restart(agents: Agents, agent: Agent, trail: Path) -> None:
    compact(trail)
    assert rebaseline(agent).returncode == 0
    agent.stop()
    agent = agents.start(trail).follows(trail)
    (taken,) = agent.status()["rebaselines"]
    assert (taken["by"], taken["reason"], taken["violations"]) == ("ann", REASON, 1)
    assert agent.value("trail_violations") == 0
    for name in ("status", "findings"):
        shown = command(name, "--state-dir", agent.state_dir).stdout
        assert f"by ann: {REASON}" in shown
        assert "bytes of the start dropped" in shown


def test_of_another_content_nothing_is_proved_and_that_is_said(agent: Agent, trail: Path) -> None:
    fresh = trail.with_name("fresh")
    fresh.write_bytes(b'{"event":"NEW"}\n' * 50)
    os.rename(fresh, trail)
    done = rebaseline(agent)
    assert done.returncode == 0
    assert "the last 4,096 recorded bytes are not in the file: nothing could be proved" in done.stdout
    assert agent.value("trail_violations") == 0


def test_without_a_violation_there_is_nothing_to_take(agent: Agent) -> None:
    done = rebaseline(agent)
    assert (done.returncode, done.stdout) == (
        0,
        "nothing was open: what lies there is the history that is known\n",
    )
    assert agent.status()["rebaselines"] == []


def test_without_an_agent_or_a_trail_it_is_refused_and_nothing_is_left_for_later(agent: Agent, trail: Path) -> None:
    assert rebaseline(agent, "nobody").returncode == 2
    agent.stop()
    compact(trail)
    done = rebaseline(agent)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert "no agent is running" in done.stderr
    assert list((agent.state_dir / "inbox").iterdir()) == []


def test_a_trail_that_cannot_be_looked_at_is_not_taken(agent: Agent, trail: Path) -> None:
    trail.unlink()
    trail.mkdir()
    done = rebaseline(agent)
    assert (done.returncode, done.stdout) == (3, "")
    assert "the trail cannot be looked at" in done.stderr


def test_a_request_that_waits_is_answered_by_the_next_agent(agents: Agents, agent: Agent, trail: Path) -> None:
    agent.stop()  # what it judged is history now, whatever comes: growth is stored once a second
    agent = agents.start(trail).follows(trail)
    agent.process.send_signal(signal.SIGSTOP)
    asked = ["rebaseline", "risk", "--reason", REASON, "--poll-interval", "10ms", "--state-dir", agent.state_dir]
    assert command(*asked).returncode == 3
    compact(trail)
    agent.kill()
    agent = agents.start(trail)
    until(lambda: agent.status()["rebaselines"])
    assert agent.value("trail_violations") == 0
