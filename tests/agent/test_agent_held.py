"""Lines that were written between the last look and the loss of the file's name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, records, until


def while_it_sleeps(agent: Agent, change) -> None:
    """The agent sees all of the change at once."""
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        change()
    finally:
        os.kill(agent.pid, signal.SIGCONT)


@pytest.mark.parametrize("is_followed", [True, False], ids=["another file", "no file"])
def test_they_are_judged_after_an_unlink(agents: Agents, trail: Path, is_followed: bool) -> None:
    append(trail, records(50))
    agent = agents.start(trail).follows(trail)

    def change() -> None:
        append(trail, records(5, start=50) + SPLICED)
        trail.unlink()
        if is_followed:
            trail.write_bytes(records(7, start=1000))

    while_it_sleeps(agent, change)
    kind = "replaced" if is_followed else "deleted"
    until(lambda: agent.value("trail_violations", kind=kind) == 1)
    assert agent.value("trail_appended_lines_total") == 7
    assert agent.value("trail_corrupt_lines_detected_total") == 2
    assert agent.value("trail_violations") == 1


def test_the_descriptor_of_a_file_that_is_no_longer_the_trail_is_closed(agents: Agents, trail: Path) -> None:
    append(trail, records(5))
    agent = agents.start(trail).follows(trail)
    held = lambda: [path for path in descriptors(agent.pid) if trail.name in path]  # noqa: E731  asked again and again
    until(lambda: held() == [str(trail)])
    for number in range(1, 4):
        trail.rename(trail.with_name(f"{trail.name}.{2000 + number}"))
        append(trail, records(5, start=number * 100))
        agent.follows(trail)
        until(lambda: held() == [str(trail)])
    trail.unlink()
    until(lambda: agent.value("trail_violations", kind="deleted") == 1)
    until(lambda: held() == [])
    assert agent.value("trail_rotations_total") == 3


def descriptors(pid: int) -> list[str]:
    """What a process has open, by path."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(link))
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


@pytest.mark.parametrize("name", ["archive/risk.jsonl.1", "archive/2026.audit", "kept.by.hand"])
def test_a_trail_that_is_moved_anywhere_on_its_volume_is_rotated(agents: Agents, trail: Path, name: str) -> None:
    append(trail, records(50))
    agent = agents.start(trail).follows(trail)
    moved = trail.parent / name
    moved.parent.mkdir(exist_ok=True)

    def change() -> None:
        append(trail, records(5, start=50))
        trail.rename(moved)
        trail.write_bytes(records(7, start=1000))

    while_it_sleeps(agent, change)
    until(lambda: agent.value("trail_rotations_total") == 1)
    agent.follows(trail)
    append(moved, records(3, start=60))
    until(lambda: agent.value("trail_appended_lines_total") == 15)
    agent.stop()
    agent = agents.start(trail).follows(trail)
    until(lambda: agent.value("trail_segments") == 1)
    assert agent.value("trail_violations") == 0
    assert agent.status()["lines"] == 3 + 50 + 15
