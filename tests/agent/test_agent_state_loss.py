"""What was known is lost while no agent runs: it is said, and no damage becomes inherited by it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, records, until

pytestmark = pytest.mark.concurrency


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Where the state directory is kept as it was at an earlier moment."""
    return tmp_path / "before"


@pytest.fixture
def killed(agents: Agents, trail: Path, before: Path) -> Agent:
    """One that had seen two inherited and four new damaged lines, and was killed."""
    append(trail, SPLICED + records(1))
    agent = agents.start(trail).follows(trail)
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines") == 4)
    shutil.copytree(agent.state_dir, before, ignore=shutil.ignore_patterns("*.sock"))
    append(trail, SPLICED + records(2))
    until(lambda: agent.value("trail_corrupt_lines") == 6)
    agent.kill()
    return agent


def only_step(state: Path, _: Path) -> None:
    for path in state.iterdir():
        if path.name != "state.step":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def older_store(state: Path, before: Path) -> None:
    for path in [*state.glob("state.db*")]:
        path.unlink()
    for path in before.glob("state.db*"):
        shutil.copy(path, state)


LOSSES: dict[str, Callable[[Path, Path], object]] = {
    "one byte": lambda state, _: os.truncate(state / "state.db", 1),
    "the write-ahead log removed": lambda state, _: (state / "state.db-wal").unlink(),
    "all but state.step removed": only_step,
    "state.step removed": lambda state, _: (state / "state.step").unlink(),
    "an older store": older_store,
}


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_it_is_said_and_nothing_is_inherited_by_it(
    agents: Agents, killed: Agent, trail: Path, before: Path, damage: Callable[[Path, Path], object]
) -> None:
    damage(killed.state_dir, before)
    agent = agents.start(trail, state_dir=killed.state_dir).follows(trail)
    until(lambda: agent.value("trail_corrupt_lines") == 6)
    assert agent.value("trail_violations", kind="state_lost") == agent.value("trail_violations") == 1
    assert agent.value("state_resets_total") == 1
    assert agent.value("trail_corrupt_lines") - agent.value("trail_corrupt_lines_inherited") >= 4
    assert "state_lost: state.db" in agent.log()
    agent.stop()
    again = agents.start(trail, state_dir=killed.state_dir).follows(trail)
    assert again.value("trail_violations", kind="state_lost") == 1
    assert "state_lost" not in again.log()
    done = command("acknowledge", "--trail", trail.stem, "--all", "--reason", "known", "--state-dir", again.state_dir)
    assert done.returncode == 0, done.stderr
    assert again.value("trail_violations") == 0
    again.stop()


def test_no_state_at_all_is_first_sight(agents: Agents, killed: Agent, trail: Path) -> None:
    shutil.rmtree(killed.state_dir)
    agent = agents.start(trail, state_dir=killed.state_dir).follows(trail)
    until(lambda: agent.value("trail_corrupt_lines") == 6)
    assert agent.value("trail_corrupt_lines_inherited") == 6
    assert (agent.value("trail_violations"), agent.value("state_resets_total")) == (0, 0)


def test_a_trail_that_is_watched_for_the_first_time_after_a_loss_is_first_sight(
    agents: Agents, killed: Agent, trail: Path, tmp_path: Path
) -> None:
    os.truncate(killed.state_dir / "state.db", 1)
    other = tmp_path / "other.jsonl"
    append(other, SPLICED)
    agent = agents.start(trail, other, state_dir=killed.state_dir).follows(trail).follows(other, "other")
    until(lambda: agent.value("trail_corrupt_lines", trail="other") == 2)
    assert agent.value("trail_violations", trail="other") == 0
    assert agent.value("trail_corrupt_lines_inherited", trail="other") == 2


def test_the_whole_directory_as_it_was_is_seen_by_its_step(
    agents: Agents, killed: Agent, trail: Path, before: Path
) -> None:
    agent = agents.start(trail, state_dir=killed.state_dir).follows(trail)
    step = agent.value("state_step")
    agent.kill()
    shutil.rmtree(killed.state_dir)
    shutil.copytree(before, killed.state_dir)
    again = agents.start(trail, state_dir=killed.state_dir).follows(trail)
    assert again.value("state_step") < step
    assert again.value("trail_violations") == 0
    until(lambda: again.value("trail_corrupt_lines") == 6)
    assert again.value("trail_corrupt_lines_inherited") == 2
