"""Another file at the trail's path: what its bytes say about it, whatever lies beside."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.running import Agents, append, records, until


def sed_with_a_copy(trail: Path) -> None:
    subprocess.run(["sed", "-i.1", "150d", trail], check=True)


def sed_with_a_backup(trail: Path) -> None:
    subprocess.run(["sed", "-i.bak", "150d", trail], check=True)


def sed(trail: Path) -> None:
    subprocess.run(["sed", "-i", "150d", trail], check=True)


def moved_and_copied_back_without_a_line(trail: Path) -> None:
    kept = trail.with_name(f"{trail.name}.1")
    trail.rename(kept)
    lines = kept.read_bytes().splitlines(keepends=True)
    trail.write_bytes(b"".join(lines[:150] + lines[151:]))


def an_older_copy_moved_over_it(trail: Path) -> None:
    older = trail.with_name("older")
    older.write_bytes(b"".join(trail.read_bytes().splitlines(keepends=True)[:200]))
    older.replace(trail)


def something_else_moved_over_it(trail: Path) -> None:
    other = trail.with_name("other")
    other.write_bytes(records(500, start=5000))
    other.replace(trail)


def saved_unchanged_by_an_editor(trail: Path) -> None:
    saved = trail.with_name("saved")
    shutil.copy2(trail, saved)
    saved.replace(trail)


CHANGES = [
    (sed_with_a_copy, "replaced"),
    (sed_with_a_backup, "replaced"),
    (sed, "rewritten"),
    (moved_and_copied_back_without_a_line, "replaced"),
    (an_older_copy_moved_over_it, "rolled_back"),
    (something_else_moved_over_it, "replaced"),
]


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize(("change", "kind"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_changed_copy_in_place_of_the_trail_is_named(
    agents: Agents, trail: Path, change: Callable[[Path], None], kind: str, is_running: bool
) -> None:
    append(trail, records(300))
    agent = agents.start(trail).follows(trail)
    if not is_running:
        agent.stop()
    change(trail)
    if not is_running:
        agent = agents.start(trail)
    until(lambda: agent.value("trail_violations", kind=kind) == 1)
    agent.follows(trail)
    assert agent.value("trail_violations") == 1
    assert agent.value("trail_lines") == trail.read_bytes().count(b"\n")
    assert agent.value("trail_appended_lines_total") == 0


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_the_same_bytes_under_a_new_inode_are_the_same_trail(agents: Agents, trail: Path, is_running: bool) -> None:
    append(trail, records(300))
    agent = agents.start(trail).follows(trail)
    if not is_running:
        agent.stop()
    saved_unchanged_by_an_editor(trail)
    if not is_running:
        agent = agents.start(trail)
    append(trail, records(10, start=300))
    agent.follows(trail)
    until(lambda: agent.value("trail_appended_lines_total") == 10)
    assert agent.value("trail_violations") == agent.value("trail_rotations_total") == 0
