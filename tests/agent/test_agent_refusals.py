"""What keeps an agent from beginning: one line, the status of the contract, never a traceback."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest

from tests.agent.running import Agents, append, command, records


def test_a_port_in_use_is_status_3(agents: Agents, trail: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = command("run", trail, "--state-dir", agents.directory / "s", "--web.listen-address", address)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert address in done.stderr


def test_a_state_directory_that_cannot_be_made_is_status_3(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(tmp_path / "file", b"")
    status, lines = agents.fails(trail, state_dir=tmp_path / "file" / "state")
    assert (status, len(lines)) == (3, 1)
    assert "--state-dir" in lines[0]


def test_a_state_directory_that_cannot_be_written_is_status_3(agents: Agents, trail: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o500)
    status, lines = agents.fails(trail, is_held_to_permissions=True)
    assert (status, len(lines)) == (3, 1)
    assert str(tmp_path / "state") in lines[0]


def test_a_store_that_cannot_be_written_is_status_3(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail)
    agent.stop()
    (agent.state_dir / "state.db").chmod(0o400)
    status, lines = agents.fails(trail, is_held_to_permissions=True)
    assert (status, len(lines)) == (3, 1)
    assert "state.db" in lines[0]


def test_state_of_a_later_version_is_status_3_and_stays_as_it_is(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    agent.stop()
    store = agent.state_dir / "state.db"
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = store.read_bytes()
    status, lines = agents.fails(trail)
    assert (status, len(lines)) == (3, 1)
    assert "later version of auditwatch" in lines[0]
    assert store.read_bytes() == before


def test_a_second_agent_with_the_same_state_is_status_3_and_disturbs_nobody(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    status, lines = agents.fails(trail)
    assert (status, len(lines)) == (3, 1)
    assert f"process {agent.pid}" in lines[0]
    append(trail, records(1, 3))
    agent.follows(trail)
    agent.stop()


def test_a_state_directory_that_is_a_symlink_loop_is_status_3(agents: Agents, trail: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    status, lines = agents.fails(trail, state_dir=tmp_path / "loop")
    assert (status, len(lines)) == (3, 1)


def test_five_mistakes_in_the_configuration_are_five_lines_and_status_2(agents: Agents, tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text(
        "web: {listen_address: nowhere}\n"
        "defaults: {poll_interval: soon, colour: red}\n"
        "trails:\n"
        "  - {name: Risk, path: /a.jsonl}\n"
        "  - {name: b, path: /b.jsonl, sample: {every: 1d, lines: many}}\n"
    )
    status, lines = agents.fails("-c", config)
    assert (status, len(lines)) == (2, 5), lines
    assert all(line.startswith("auditwatch: ") and "a.yaml:" in line for line in lines)


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_configuration_that_cannot_be_read_is_one_line(agents: Agents, tmp_path: Path, path: str) -> None:
    status, lines = agents.fails("-c", tmp_path / path)
    assert (status, len(lines)) == (2, 1)


def test_no_trail_at_all_is_status_2(agents: Agents) -> None:
    status, lines = agents.fails()
    assert (status, len(lines)) == (2, 1)
