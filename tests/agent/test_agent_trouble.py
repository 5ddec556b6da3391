"""What is at a trail's path is not a trail, or cannot be read: one clear message each, and the agent goes on."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, records, until


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def trouble(agent: Agent, reason: str, trail: str = "risk") -> str:
    """The message of this reason, once it is shown."""

    def message() -> str:
        found = agent.status(trail)["trouble"]
        return str(found["message"]) if found and found["reason"] == reason else ""

    return until(message)


def test_a_missing_trail_is_a_state_and_what_appears_later_is_growth(agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "risk.jsonl"
    agent = agents.start(trail)
    assert trouble(agent, "missing")
    assert (agent.value("trail_up"), agent.value("trail_corrupt_lines")) == (0, 0)
    append(trail, records(2) + SPLICED)
    until(lambda: agent.value("trail_lines") == 4)
    assert agent.value("trail_up") == 1
    assert agent.value("trail_corrupt_lines") == 2
    assert agent.value("trail_corrupt_lines_inherited") == 0  # we watched before it was written
    assert agent.value("trail_appended_lines_total") == 4
    agent.stop()


def test_its_directory_is_missing_too_and_appears_later(agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "a" / "b" / "risk.jsonl"
    agent = agents.start(trail)
    assert trouble(agent, "missing")
    trail.parent.mkdir(parents=True)
    append(trail, records(2))
    until(lambda: agent.value("trail_lines") == 2)
    agent.stop()


def test_an_empty_file_is_up_and_holds_nothing(agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "risk.jsonl"
    append(trail, b"")
    agent = agents.start(trail)
    until(lambda: agent.value("trail_up") == 1)
    assert (agent.value("trail_lines"), agent.value("trail_size_bytes")) == (0, 0)
    append(trail, records(1))
    until(lambda: agent.value("trail_appended_lines_total") == 1)
    agent.stop()


@pytest.mark.parametrize(
    ("make", "reason", "said"),
    [
        (lambda path: path.mkdir(), "directory", "is a directory"),
        (os.mkfifo, "not_regular", "not a regular file"),
        (bind, "not_regular", "not a regular file"),
        (lambda path: path.symlink_to("real.jsonl"), "symlink", "real.jsonl"),
        (lambda path: path.symlink_to(path), "symlink", "symbolic link"),
    ],
    ids=["directory", "fifo", "socket", "symlink", "symlink to itself"],
)
def test_what_is_no_trail_gets_one_clear_message_and_its_neighbour_is_watched_on(
    agents: Agents, trail: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], reason: str, said: str
) -> None:
    tmp_path = trail.parent
    append(tmp_path / "real.jsonl", records(1))
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make(Path("odd.jsonl"))
    agent = agents.start(f"odd={tmp_path / 'odd.jsonl'}", trail)
    message = trouble(agent, reason, "odd")
    assert said in message
    assert "odd.jsonl" in message
    assert agent.value("trail_up", trail="odd") == 0
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines", trail="risk") == 2)
    assert agent.value("trail_corrupt_lines", trail="odd") == 0  # a trail that could not be read is not damaged
    assert agent.value("validation_errors_total", trail="odd", mode="tail") >= 1
    agent.stop()


def test_a_pipe_that_becomes_a_trail_is_watched(agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "risk.jsonl"
    os.mkfifo(trail)
    agent = agents.start(trail)
    assert trouble(agent, "not_regular")
    trail.unlink()
    append(trail, records(2))
    until(lambda: agent.value("trail_lines") == 2)
    agent.stop()


def test_a_directory_that_denies_is_named(agents: Agents, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "deep").mkdir(parents=True)
    trail = closed / "deep" / "risk.jsonl"
    append(trail, records(1))
    closed.chmod(0)
    agent = agents.start(trail, is_held_to_permissions=True)
    assert f"the directory {closed} (search)" in trouble(agent, "permission")
    assert (agent.value("trail_up"), agent.value("trail_violations")) == (0, 0)
    closed.chmod(0o755)
    until(lambda: agent.value("trail_lines") == 1)
    closed.chmod(0)
    assert trouble(agent, "permission")
    assert agent.value("trail_violations") == 0  # its history was not touched
    closed.chmod(0o755)
    append(trail, records(1))
    until(lambda: agent.value("trail_lines") == 2)
    agent.stop()


def test_a_file_that_denies_is_named(agents: Agents, trail: Path) -> None:
    trail.chmod(0)
    agent = agents.start(trail, is_held_to_permissions=True)
    assert f"the file itself, {trail} (read)" in trouble(agent, "permission")
    trail.chmod(0o644)
    until(lambda: agent.value("trail_lines") == 3)
    trail.chmod(0)
    assert trouble(agent, "permission")
    assert (agent.value("trail_violations"), agent.value("trail_up")) == (0, 0)
    trail.chmod(0o644)
    append(trail, records(1))
    until(lambda: agent.value("trail_lines") == 4)
    agent.stop()


def test_a_name_full_of_odd_bytes_neither_forges_a_line_nor_breaks_a_scrape(agents: Agents, tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path)
    trail = directory + b'/x\n\x1b[31m\xff{le="1"}.jsonl'
    with open(trail, "wb") as file:
        file.write(records(1) + SPLICED)
    agent = agents.start(b"risk=" + trail)
    until(lambda: agent.value("trail_corrupt_lines", trail="risk") == 2)
    agent.get("/")
    log = agent.stop()
    assert "\x1b" not in log
    assert all(line.startswith("20") for line in log.splitlines())


def test_what_is_not_there_or_is_no_trail_is_told_once_at_the_start(agents: Agents, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    names = ("gone.jsonl", "*.jsonl", "directory", "pipe.jsonl")
    agent = agents.start(*(f"t{number}={tmp_path / name}" for number, name in enumerate(names)))
    until(lambda: all(f" t{number}: " in agent.log() for number in range(len(names))))
    agent.stop()
    said = [line.partition("WARNING ")[2] for line in agent.log().splitlines() if "WARNING " in line]
    assert len(said) == len(names)
    by_trail = {line[:2]: line for line in said}
    assert "no file is at" in by_trail["t0"]
    assert "pattern" not in by_trail["t0"]
    assert "looks like a pattern" in by_trail["t1"]
    assert "directory" in by_trail["t2"]
    assert "pipe" in by_trail["t3"]
