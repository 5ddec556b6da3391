"""Closed segments that are removed while the agent runs, or while it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.running import Agent, Agents, append, command, records, until


def rotated(agents: Agents, trail: Path, number: int) -> Agent:
    """An agent that saw this many rotations; the youngest closed segment is named .1."""
    agent = agents.start(trail).follows(trail)
    for _ in range(number):
        rotate(trail)
        append(trail, records(5))
        agent.follows(trail)
    until(lambda: agent.value("trail_segments") == number)
    return agent


def rotate(trail: Path, most: int = 100) -> None:
    """The way of logrotate: the oldest goes, each other moves up by one."""
    trail.with_name(f"{trail.name}.{most}").unlink(missing_ok=True)
    for number in range(most - 1, 0, -1):
        segment = trail.with_name(f"{trail.name}.{number}")
        if segment.exists():
            segment.rename(trail.with_name(f"{trail.name}.{number + 1}"))
    trail.rename(trail.with_name(f"{trail.name}.1"))
    trail.touch()


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_all_segments_removed_by_hand_are_missed_once_and_leave_the_sums(
    agents: Agents, trail: Path, is_running: bool
) -> None:
    agent = rotated(agents, trail, 3)
    if not is_running:
        agent.stop()
    for number in (1, 2, 3):
        trail.with_name(f"{trail.name}.{number}").unlink()
    if not is_running:
        agent = agents.start(trail).follows(trail)
    until(lambda: agent.value("trail_violations", kind="segment_missing") == 1)
    assert agent.value("trail_violations") == 1
    assert agent.value("trail_segments") == agent.value("trail_segments_size_bytes") == 0
    assert agent.value("trail_verified_bytes") == trail.stat().st_size
    assert agent.status()["lines"] == 5
    (row,) = agent.findings()["violations"]
    assert f"{trail.name}.3, {trail.name}.2, {trail.name}.1: gone" in row["detail"]


def test_retention_is_counted_and_raises_nothing(agents: Agents, trail: Path) -> None:
    agent = rotated(agents, trail, 2)
    for number in range(1, 4):
        rotate(trail, most=2)
        append(trail, records(5))
        agent.follows(trail)
        until(lambda number=number: agent.value("trail_segments_expired_total") == number)
    agent.stop()
    rotate(trail, most=2)
    agent = agents.start(trail).follows(trail)
    until(lambda: agent.value("trail_segments_expired_total") == 4)
    assert agent.value("trail_violations") == agent.value("trail_segments_expired_unverified_total") == 0
    assert agent.value("trail_segments") == 2


def test_one_look_of_a_cron_job_names_a_deletion_too(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    agent.stop()
    trail.unlink()
    done = command("run", "--once", trail, "--state-dir", agent.state_dir)
    assert done.returncode == 1, done.stderr
    assert "deleted" in done.stderr


def test_a_file_that_was_back_between_two_polls_is_followed_when_it_goes_again(
    agents: Agents, trail: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    moved = trail.rename(directory / trail.name)
    agents.start(moved).follows(moved).stop()
    directory.rename(tmp_path / "away")
    agent = agents.start(moved)
    until(lambda: agent.value("trail_up") == 0)
    (tmp_path / "away").rename(directory)
    append(moved, records(50))
    agent.follows(moved)
    moved.rename(directory / f"{moved.name}.1")
    until(lambda: agent.value("trail_rotations_total") == 1)
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_appended_lines_total") == 50
