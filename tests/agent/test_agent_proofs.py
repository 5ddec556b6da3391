"""History is hashed again: an edit deep in a trail is named with its block, and what is legitimate never is."""

from __future__ import annotations

import gzip
import json
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.running import Agent, Agents, append, command, records, until

LINES = 2000
DEEP = len(records(LINES // 2))
"""Where the middle line begins: far from the first and the last 4096 bytes."""


def write_at(path: Path, offset: int, data: bytes) -> None:
    """In place, and nothing else of the file changes."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        assert os.pwrite(descriptor, data, offset) == len(data)
    finally:
        os.close(descriptor)


def flip(path: Path) -> None:
    """One bit: another constant would be no edit one time in 256."""
    write_at(path, DEEP + 3, bytes([path.read_bytes()[DEEP + 3] ^ 1]))


def same_length_value(path: Path) -> None:
    write_at(path, DEEP, path.read_bytes()[DEEP : DEEP + 40].replace(b"APPROVED", b"REJECTED"))


def swapped_lines(path: Path) -> None:
    first, second = records(1, LINES // 2), records(1, LINES // 2 + 1)
    write_at(path, DEEP, second + first)


def mapped_store(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[DEEP + 3 : DEEP + 4] = b"X"


def times_put_back(path: Path) -> None:
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


EDITS = (flip, same_length_value, swapped_lines, mapped_store, times_put_back)


def violations(agent: Agent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = agent.findings()["violations"]
    return found


def proved(agent: Agent) -> Agent:
    """Wait until everything was hashed that is there now."""
    now = time.time()
    until(lambda: (agent.status()["oldest_proof"] or 0) > now)
    return agent


@pytest.fixture
def history(trail: Path) -> Path:
    trail.write_bytes(records(LINES))
    return trail


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_while_the_agent_runs(agents: Agents, history: Path, edit: Callable[[Path], None]) -> None:
    agent = proved(agents.start(history).follows(history))
    edit(history)
    (found,) = until(lambda: violations(agent))
    assert (found["kind"], found["segment"], found["count"]) == ("rewritten", history.name, 1)
    assert found["detail"].startswith(f"block 0, bytes 0 to {history.stat().st_size} of judged lines: ")
    assert agent.value("trail_violations") == agent.value("trail_violations", kind="rewritten") == 1
    agent.stop()


def test_an_edit_while_lines_come_in(agents: Agents, history: Path) -> None:
    agent = agents.start(history).follows(history)
    flip(history)
    number = LINES

    def is_named() -> bool:
        nonlocal number
        append(history, records(1, number))
        number += 1
        return bool(violations(agent))

    until(is_named)
    agent.follows(history)
    assert (agent.value("trail_violations"), agent.value("trail_lines")) == (1, number)
    assert violations(proved(agent))[0]["count"] == 1  # lines that are appended later are not the edit again
    agent.stop()


@pytest.mark.parametrize("edit", [same_length_value, times_put_back])
def test_an_edit_while_the_agent_is_stopped(agents: Agents, history: Path, edit: Callable[[Path], None]) -> None:
    agents.start(history).follows(history).stop()
    edit(history)
    append(history, records(3, LINES))
    agent = agents.start(history).follows(history)
    (found,) = until(lambda: violations(agent))
    assert found["kind"] == "rewritten"
    assert agent.value("trail_lines") == LINES + 3
    assert violations(proved(agent))[0]["count"] == 1
    agent.stop()


def test_an_edit_that_damages_a_line_is_a_finding_too(agents: Agents, history: Path) -> None:
    agent = agents.start(history).follows(history)
    write_at(history, DEEP, b"x")
    until(lambda: violations(agent))
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    (found,) = agent.findings()["findings"]
    assert (found["line"], found["offset"], found["inherited"]) == (LINES // 2 + 1, DEEP, False)


def test_an_edit_of_a_closed_segment(agents: Agents, history: Path) -> None:
    agent = agents.start(history).follows(history)
    closed = history.with_name(history.name + ".1")
    history.rename(closed)
    append(history, records(5))
    until(lambda: agent.value("trail_rotations_total") == 1)
    proved(agent)
    flip(closed)
    (found,) = until(lambda: violations(agent))
    assert (found["kind"], found["segment"]) == ("rewritten", closed.name)


def test_an_edit_of_a_compressed_segment(agents: Agents, history: Path) -> None:
    packed = history.with_name(history.name + ".1.gz")
    packed.write_bytes(gzip.compress(records(LINES)))
    history.write_bytes(records(5, LINES))
    agent = agents.start(history).follows(history)
    until(lambda: agent.value("trail_verified_bytes") == len(records(LINES + 5)))
    proved(agent)
    write_at(packed, 4, b"\x01")  # its own time, in the header: the content stays the same
    (found,) = until(lambda: violations(agent))
    assert (found["kind"], found["segment"]) == ("rewritten", packed.name)
    assert f"bytes 0 to {packed.stat().st_size} of the compressed file" in found["detail"]


def test_acknowledging_accepts_what_was_found_until_it_is_edited_again(agents: Agents, history: Path) -> None:
    agent = agents.start(history).follows(history)
    flip(history)
    until(lambda: violations(agent))
    noted = command("acknowledge", "--trail", "risk", "--all", "--reason", "ours", "--state-dir", agent.state_dir)
    assert noted.returncode == 0, noted.stderr
    proved(agent).stop()
    agent = proved(agents.start(history).follows(history))
    assert agent.value("trail_violations") == 0
    same_length_value(history)
    until(lambda: agent.value("trail_violations") == 1)
    assert agent.value("trail_violations_acknowledged") == 1


def test_what_is_legitimate_is_no_edit(agents: Agents, history: Path) -> None:
    agent = agents.start(history).follows(history)
    history.chmod(0o600)
    os.link(history, history.with_name("elsewhere"))
    os.utime(history)
    append(history, records(1, 7) + b'{"taken back":')
    agent.follows(history)
    os.truncate(history, history.stat().st_size - 14)
    append(history, b'{"torn":')
    agent.follows(history)
    closed = history.with_name(history.name + ".1")
    history.rename(closed)
    append(history, records(5))
    append(closed, b"1}\n" + records(1, 9))
    until(lambda: agent.value("trail_verified_bytes") == closed.stat().st_size + history.stat().st_size)
    proved(agent).stop()
    closed.touch()
    agent = proved(agents.start(history).follows(history))
    assert (violations(agent), agent.value("trail_corrupt_lines")) == ([], 0)
    agent.stop()


def test_the_age_of_the_oldest_proof_is_shown(agents: Agents, history: Path) -> None:
    agent = proved(agents.start(history).follows(history))
    assert 0 <= agent.value("trail_oldest_proof_seconds") < 60
    assert agent.value("trail_rehash_interval_seconds") == 3600


def test_an_edit_that_was_compressed_with_its_segment(agents: Agents, history: Path) -> None:
    """While the agent was stopped: first and last bytes of the content are what they were."""
    agents.start(history).follows(history).stop()
    same_length_value(history)
    packed = history.with_name(history.name + ".1.gz")
    packed.write_bytes(gzip.compress(history.read_bytes()))
    history.unlink()
    append(history, records(5, LINES))
    agent = agents.start(history).follows(history)
    (found,) = until(lambda: violations(agent))
    assert (found["kind"], found["segment"]) == ("rewritten", packed.name)
    assert f"bytes 0 to {len(records(LINES))} of judged lines" in found["detail"]
    assert violations(proved(agent))[0]["count"] == 1
    agent.stop()


def test_a_segment_that_was_compressed_is_no_edit(agents: Agents, history: Path) -> None:
    agent = agents.start(history).follows(history)
    closed = history.with_name(history.name + ".1")
    history.rename(closed)
    append(history, records(5, LINES))
    until(lambda: agent.value("trail_rotations_total") == 1)
    closed.with_name(closed.name + ".gz").write_bytes(gzip.compress(closed.read_bytes()))
    closed.unlink()
    until(lambda: agent.status()["segments"][0]["name"].endswith(".gz"))
    assert (violations(proved(agent)), agent.value("trail_segments")) == ([], 1)
    agent.stop()


def test_an_edit_is_named_by_a_single_round_from_cron(history: Path, tmp_path: Path) -> None:
    once = ("run", "--once", history, "--state-dir", tmp_path / "state")
    assert command(*once).returncode == 0
    same_length_value(history)
    done = command(*once)
    assert done.returncode == 1, done.stderr
    found = json.loads(command("findings", "--format", "json", "--state-dir", tmp_path / "state").stdout)["violations"]
    assert [(row["kind"], row["count"]) for row in found] == [("rewritten", 1)]


def test_a_compressed_segment_that_was_replaced_by_an_edited_one(agents: Agents, history: Path) -> None:
    """It was compressed already when it was seen first, and its first and last bytes are what they were."""
    packed = history.with_name(history.name + ".1.gz")
    packed.write_bytes(gzip.compress(history.read_bytes()))
    same_length_value(history)
    edited = history.with_name("edited")
    edited.write_bytes(gzip.compress(history.read_bytes()))
    history.write_bytes(records(5, LINES))
    agent = agents.start(history).follows(history)
    until(lambda: agent.value("trail_verified_bytes") == len(records(LINES + 5)))
    edited.replace(packed)
    (found,) = until(lambda: violations(agent))
    assert (found["kind"], found["segment"]) == ("rewritten", packed.name)
    assert f"bytes 0 to {len(records(LINES))} of judged lines" in found["detail"]
    agent.stop()
