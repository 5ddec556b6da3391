"""The disk under the state directory fills up while the agent runs: it goes on seeing, says so, and saves later."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, records, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(asked, capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT RUN: a small tmpfs cannot be mounted here")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


@pytest.fixture
def agent(agents: Agents, trail: Path, small_disk: Path) -> Agent:
    return agents.start(trail, state_dir=small_disk / "state").follows(trail)


def test_damage_is_shown_while_nothing_can_be_saved_and_saved_when_there_is_room(
    agents: Agents, agent: Agent, trail: Path, small_disk: Path
) -> None:
    assert agent.value("state_writable") == 1
    ballast = fill(small_disk)
    for number in range(200):  # room in pages that SQLite has already lasts for a while
        append(trail, b'{"torn":%d\n' % number)
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines") == 202)
    until(lambda: agent.value("state_writable") == 0)
    assert agent.value("state_save_failures_total") > 0
    assert agent.value("trail_corrupt_lines_detected_total") == 202
    ballast.unlink()
    until(lambda: agent.value("state_writable") == 1)
    agent.kill()  # it must be on the disk by now
    agent = agents.start(trail, state_dir=agent.state_dir)
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_detected_total") == 202
    agent.follows(trail)
    assert agent.value("trail_appended_lines_total") == 202
    assert agent.value("trail_corrupt_lines_detected_total") == 202
    agent.stop()


def test_killed_while_nothing_could_be_saved_it_judges_again_and_counts_once(
    agents: Agents, agent: Agent, trail: Path, small_disk: Path
) -> None:
    ballast = fill(small_disk)
    append(trail, b"".join(b'{"torn":%d\n' % number for number in range(2000)) + records(3))
    until(lambda: agent.value("state_writable") == 0)
    agent.kill()
    ballast.unlink()
    agent = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    until(lambda: agent.value("trail_corrupt_lines") == 2000)
    assert agent.value("trail_corrupt_lines_detected_total") == 2000
    assert agent.value("trail_appended_lines_total") == 2003
    agent.stop()


def test_an_acknowledgement_is_refused_or_kept_and_the_agent_goes_on(
    agent: Agent, trail: Path, small_disk: Path
) -> None:
    append(trail, b"".join(b'{"torn":%d\n' % number for number in range(300)))
    until(lambda: agent.value("trail_corrupt_lines") == 300)
    ballast = fill(small_disk)
    asked = ["acknowledge", "--trail", "risk", "--all", "--reason", "known", "--state-dir", agent.state_dir]
    done = command(*asked)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines_detected_total") == 302)
    until(lambda: agent.value("state_writable") == 0)
    ballast.unlink()
    until(lambda: agent.value("state_writable") == 1)  # what is acknowledged is what the one who asks can see stored
    done = command(*asked)
    assert done.returncode == 0, done.stderr
    assert agent.value("trail_corrupt_lines") == 0
    agent.stop()


def test_a_request_that_waits_on_a_full_disk_keeps_nothing_else_from_its_turn(
    agent: Agent, trail: Path, small_disk: Path
) -> None:
    """The request is there, but its answer finds no room."""
    append(trail, b"".join(b'{"torn":%d\n' % number for number in range(300)))
    until(lambda: agent.value("trail_corrupt_lines") == 300)
    inbox = agent.state_dir / "inbox"
    inbox.mkdir(exist_ok=True)
    request = inbox / f"{'a' * 32}.request"
    fields = {"asked": 4e9, "scope": "all", "by": "ann", "reason": "x", "ids": [], "trail": "risk", "undo": False}
    fields["seen"] = {"risk": {"first_seen": 0.0, "step": 1_000_000}}  # whatever is open when it is applied
    (inbox / "fresh").write_text(json.dumps(fields))
    ballast = fill(small_disk)
    (inbox / "fresh").rename(request)
    append(trail, b"".join(b'{"torn":%d\n' % number for number in range(300, 600)))
    until(lambda: agent.value("trail_corrupt_lines_detected_total") == 600)
    until(lambda: agent.value("state_writable") == 0)
    ballast.unlink()
    until(lambda: not request.exists())
    until(lambda: agent.value("state_writable") == 1)
    assert agent.value("trail_corrupt_lines_acknowledged") >= 300
    agent.stop()


def test_sigterm_on_a_full_disk_ends_with_0(agent: Agent, trail: Path, small_disk: Path) -> None:
    fill(small_disk)
    append(trail, b"".join(b'{"torn":%d\n' % number for number in range(2000)))
    until(lambda: agent.value("state_writable") == 0)
    agent.stop()


def test_a_first_start_on_a_full_disk_runs_from_memory_and_is_stored_when_there_is_room(
    agents: Agents, trail: Path, small_disk: Path
) -> None:
    append(trail, SPLICED)
    ballast = fill(small_disk)
    agent = agents.start(trail, state_dir=small_disk / "state").follows(trail)
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines") == 4)
    assert (agent.value("state_writable"), agent.value("trail_corrupt_lines_inherited")) == (0, 2)
    assert "running from memory" in agent.log()
    ballast.unlink()
    until(lambda: agent.value("state_writable") == 1)
    agent.kill()
    again = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    assert (again.value("trail_corrupt_lines"), again.value("trail_corrupt_lines_inherited")) == (4, 2)
    assert (again.value("trail_violations"), again.value("state_resets_total")) == (0, 0)
    again.stop()


@pytest.mark.parametrize("ends", ["stopped", "killed"])
def test_a_later_start_on_a_full_disk_knows_what_was_stored_and_goes_on_from_it(
    agents: Agents, agent: Agent, trail: Path, small_disk: Path, ends: str
) -> None:
    """After a kill the newest transactions are in the write-ahead log alone, and SQLite wants room to open that."""
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines_detected_total") == 2)
    agent.stop() if ends == "stopped" else agent.kill()
    (agent.state_dir / "state.previous.db").unlink()
    ballast = fill(small_disk)
    append(trail, SPLICED + records(1))
    full = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    until(lambda: full.value("trail_corrupt_lines_detected_total") == 4)
    assert full.value("trail_corrupt_lines") - full.value("trail_corrupt_lines_inherited") == 4
    assert full.value("state_writable") == 0
    ballast.unlink()
    until(lambda: full.value("state_writable") == 1)
    append(trail, SPLICED)
    until(lambda: full.value("trail_corrupt_lines_detected_total") == 6)
    full.kill()
    again = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    assert again.value("trail_corrupt_lines") == again.value("trail_corrupt_lines_detected_total") == 6
    assert (again.value("trail_violations"), again.value("state_resets_total")) == (0, 0)
    again.stop()


def test_a_loss_that_is_found_on_a_full_disk_is_told_once(
    agents: Agents, agent: Agent, trail: Path, small_disk: Path
) -> None:
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines") == 2)
    agent.kill()
    os.truncate(agent.state_dir / "state.db", 1)
    ballast = fill(small_disk)
    full = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    until(lambda: full.value("trail_corrupt_lines") == 2)
    assert (full.value("trail_violations", kind="state_lost"), full.value("state_writable")) == (1, 0)
    assert full.value("trail_corrupt_lines_inherited") == 0
    ballast.unlink()
    until(lambda: full.value("state_writable") == 1)
    full.kill()
    again = agents.start(trail, state_dir=agent.state_dir).follows(trail)
    (found,) = again.findings()["violations"]
    assert (found["kind"], found["count"], again.value("state_resets_total")) == ("state_lost", 1, 1)
    assert (again.value("trail_corrupt_lines"), again.value("trail_corrupt_lines_inherited")) == (2, 0)
    again.stop()


def test_a_single_look_on_a_full_disk_is_one_line_and_status_3(trail: Path, small_disk: Path) -> None:
    append(trail, SPLICED)
    fill(small_disk)
    done = command("run", "--once", trail, "--state-dir", small_disk / "state")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
    assert "no room" in done.stderr or "No space left" in done.stderr
