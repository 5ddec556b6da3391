"""Bytes that were judged are cut off, replaced or deleted: a violation, confirmed by a second look, and no crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, records, until


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    append(trail, records(40, 3) + SPLICED)
    return agents.start(trail).follows(trail)


def test_truncation(agent: Agent, trail: Path) -> None:
    os.truncate(trail, len(records(3)))
    until(lambda: agent.value("trail_violations", kind="truncated") == 1)
    agent.follows(trail)
    assert agent.value("trail_lines") == 3
    assert agent.value("trail_corrupt_lines") == 0  # its lines are gone, and so is what was wrong with them
    append(trail, b"not JSON\n")
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    assert agent.value("trail_violations") == 1
    assert "truncated" in agent.stop()


def test_emptied(agent: Agent, trail: Path) -> None:
    os.truncate(trail, 0)
    until(lambda: agent.value("trail_violations", kind="emptied") == 1)
    append(trail, records(2))
    until(lambda: agent.value("trail_lines") == 2)
    assert agent.value("trail_violations") == 1


def test_replaced_by_another_file(agent: Agent, trail: Path, tmp_path: Path) -> None:
    other = tmp_path / "fresh"
    other.write_bytes(b'{"another":"history","at":"all"}\n' * 200)
    os.replace(other, trail)
    until(lambda: agent.value("trail_violations", kind="replaced") == 1)
    until(lambda: agent.value("trail_lines") == 200)
    assert agent.value("trail_corrupt_lines_detected_total") == 0


@pytest.mark.parametrize(("before", "line"), [(200, 190), (200, 5), (9, 5)])
def test_a_byte_changed_in_place_in_the_first_or_last_4096(agents: Agents, trail: Path, before: int, line: int) -> None:
    trail.write_bytes(records(before))
    agent = agents.start(trail).follows(trail)
    with trail.open("r+b") as file:
        file.seek(len(records(line)) + 4)
        file.write(b"X")
    until(lambda: agent.value("trail_violations", kind="rewritten") == 1)
    agent.follows(trail)
    assert (agent.value("trail_lines"), agent.value("trail_violations")) == (before, 1)
    assert agent.value("trail_appended_lines_total") == 0


def test_deleted_and_later_another_file(agent: Agent, trail: Path) -> None:
    trail.unlink()
    until(lambda: agent.value("trail_violations", kind="deleted") == 1)
    assert (agent.value("trail_up"), agent.value("trail_size_bytes")) == (0, 0)
    append(trail, records(2, 900))
    until(lambda: agent.value("trail_lines") == 2)
    assert (agent.value("trail_up"), agent.value("trail_violations")) == (1, 1)


def test_the_parent_directory_is_moved_away_and_comes_back(agents: Agents, tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    trail = directory / "risk.jsonl"
    append(trail, records(50))
    agent = agents.start(trail).follows(trail)
    directory.rename(tmp_path / "elsewhere")
    until(lambda: agent.value("trail_up") == 0)
    (tmp_path / "elsewhere").rename(directory)
    append(trail, b"not JSON\n")
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    assert agent.value("trail_lines") == 51
    agent.stop()


def test_a_violation_stays_over_a_restart_and_goes_by_acknowledgement(
    agents: Agents, agent: Agent, trail: Path
) -> None:
    os.truncate(trail, len(records(3)))
    until(lambda: agent.value("trail_violations") == 1)
    agent.stop()
    agent = agents.start(trail).follows(trail)
    assert agent.value("trail_violations", kind="truncated") == 1
    assert "truncated" not in agent.log()
    done = command("acknowledge", "--trail", "risk", "--all", "--reason", "ours", "--state-dir", agent.state_dir)
    assert done.returncode == 0, done.stderr
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_violations_acknowledged") == 1
