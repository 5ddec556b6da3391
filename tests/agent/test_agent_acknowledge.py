"""Findings are acknowledged, with the agent running and without."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, until

pytestmark = pytest.mark.concurrency


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    """An agent that knows two inherited and two new damaged lines."""
    append(trail, SPLICED)
    started = agents.start(trail).follows(trail)
    append(trail, SPLICED)
    until(lambda: started.value("trail_corrupt_lines") == 4)
    return started


def acknowledge(agent: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("acknowledge", *arguments, "--state-dir", agent.state_dir)


def counted(agent: Agent) -> tuple[float, float, float]:
    names = ("trail_corrupt_lines", "trail_corrupt_lines_inherited", "trail_corrupt_lines_acknowledged")
    open_, inherited, acknowledged = (agent.value(name) for name in names)
    return open_, inherited, acknowledged


def test_while_the_agent_runs(agent: Agent, trail: Path) -> None:
    new = next(found for found in agent.findings()["findings"] if not found["inherited"])
    assert acknowledge(agent, new["id"], "--reason", "the fifth process").returncode == 0
    assert counted(agent) == (3, 2, 1)
    assert acknowledge(agent, "--trail", "risk", "--inherited", "--reason", "old").returncode == 0
    assert counted(agent) == (1, 0, 3)
    assert acknowledge(agent, "--undo", new["id"]).returncode == 0
    assert counted(agent) == (2, 0, 2)
    assert agent.value("trail_corrupt_lines_detected_total") == 2
    agent.stop()


def test_without_an_agent_and_the_next_one_knows(agents: Agents, agent: Agent, trail: Path) -> None:
    agent.stop()
    done = acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen", "--by", "ann")
    assert done.returncode == 0, done.stderr
    append(trail, b"not JSON\n")
    agent = agents.start(trail).follows(trail)
    assert counted(agent) == (1, 0, 4)
    notes = [found["acknowledgement"] for found in agent.findings()["findings"] if found["acknowledgement"]]
    assert {(note["by"], note["reason"]) for note in notes} == {("ann", "seen")}


def test_after_kill_9_without_an_agent(agents: Agents, agent: Agent, trail: Path) -> None:
    agent.kill()
    assert acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen").returncode == 0
    assert counted(agents.start(trail).follows(trail)) == (0, 0, 4)


def test_an_unknown_id_or_trail_is_status_2_and_nothing_changes(agent: Agent) -> None:
    known = agent.findings()["findings"][0]["id"]
    for arguments in (["f0123456789", known], ["--trail", "nobody", "--all"]):
        done = acknowledge(agent, *arguments, "--reason", "x")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert counted(agent) == (4, 2, 0)
    agent.stop()
    assert acknowledge(agent, "f0123456789", "--reason", "x").returncode == 2


def test_rubbish_in_the_inbox_stops_nobody(agent: Agent, trail: Path) -> None:
    inbox = agent.state_dir / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "x.request").write_bytes(b"\0\xff")
    (inbox / f"{'0' * 32}.request").write_text('{"scope": "ids"}')
    (inbox / f"{'1' * 32}.request").symlink_to("/etc/passwd")
    assert acknowledge(agent, "--trail", "risk", "--all", "--reason", "seen").returncode == 0
    assert counted(agent) == (0, 0, 4)
    until(lambda: len(list(inbox.glob("*.rejected"))) == 3)
    agent.stop()
