"""The state directory is removed, or replaced, under a running agent: memory is complete, and is written again."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, records, until

pytestmark = pytest.mark.concurrency


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    """One that has seen two inherited and two new damaged lines."""
    append(trail, SPLICED)
    agent = agents.start(trail).follows(trail)
    append(trail, SPLICED + records(4))
    until(lambda: agent.value("trail_corrupt_lines") == 4)
    return agent


def older_copy(state: Path, aside: Path) -> None:
    """A state directory that is restored from a backup."""
    shutil.copytree(state, aside, ignore=shutil.ignore_patterns("*.sock"))
    shutil.rmtree(state)
    aside.rename(state)


REMOVALS = {
    "removed": lambda state, _: shutil.rmtree(state),
    "the store alone": lambda state, _: (state / "state.db").unlink(),
    "an older copy in its place": older_copy,
    "an empty directory in its place": lambda state, aside: (state.rename(aside), state.mkdir(mode=0o700)),
}


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
def test_what_is_known_is_stored_again(agents: Agents, agent: Agent, trail: Path, tmp_path: Path, remove) -> None:
    remove(agent.state_dir, tmp_path / "aside")
    until(lambda: agent.value("state_resets_total") == 1)
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines") == 6)
    assert agent.value("state_writable") == 1
    agent.kill()
    again = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    assert (again.value("trail_corrupt_lines"), again.value("trail_corrupt_lines_inherited")) == (6, 2)
    assert again.value("trail_corrupt_lines_detected_total") == 4
    assert again.value("trail_violations") == 0
    assert again.value("state_resets_total") == 1


def test_no_other_agent_gets_in_and_commands_go_on(agents: Agents, agent: Agent, trail: Path) -> None:
    shutil.rmtree(agent.state_dir)
    until(lambda: agent.value("state_resets_total") == 1)
    status, (line,) = agents.fails(trail, "--state-dir", agent.state_dir)
    assert (status, "is held by process" in line) == (3, True)
    done = command("acknowledge", "--trail", trail.stem, "--all", "--reason", "known", "--state-dir", agent.state_dir)
    assert done.returncode == 0, done.stderr
    assert agent.value("trail_corrupt_lines") == 0


def test_a_directory_that_another_agent_took_is_left_alone(agents: Agents, agent: Agent, trail: Path) -> None:
    """It was removed and another agent was started on it, all before the next heartbeat: that one writes there now."""
    os.kill(agent.pid, signal.SIGSTOP)
    shutil.rmtree(agent.state_dir)
    other = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    os.kill(agent.pid, signal.SIGCONT)
    until(lambda: agent.value("state_writable") == 0)
    assert "is held by process" in agent.log()
    assert other.value("state_writable") == 1
