"""The socket for commands is made again where it was removed, but never taken from another agent."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from auditwatch.agent import local_door
from auditwatch.agent.local_door import LocalDoor
from auditwatch.config.places import AGENT_SOCKET
from auditwatch.host.local_sockets import listening

pytestmark = pytest.mark.concurrency


async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("nobody asks")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_door, "LOOK_SECONDS", 0.01)


def inode(directory: Path) -> int:
    try:
        return (directory / AGENT_SOCKET).stat().st_ino
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_socket_that_another_agent_made_is_left_alone(tmp_path: Path, is_ours: bool) -> None:
    async def play() -> None:
        enough, looked = asyncio.Event(), count(1)

        def ask() -> bool:
            if next(looked) == 3:
                enough.set()
            return is_ours

        door = LocalDoor(app, str(tmp_path), ask, pytest.fail)
        door.open()
        os.unlink(tmp_path / AGENT_SOCKET)
        with listening(str(tmp_path), AGENT_SOCKET):
            others = inode(tmp_path)
            task = asyncio.create_task(door.run())
            await asyncio.wait_for(enough.wait(), 30)
            assert (inode(tmp_path) == others) is not is_ours
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert (inode(tmp_path) == others) is not is_ours

    asyncio.run(play())


def test_it_is_gone_when_its_agent_has_ended(tmp_path: Path) -> None:
    async def play() -> None:
        door = LocalDoor(app, str(tmp_path), lambda: True, pytest.fail)
        door.open()
        assert inode(tmp_path)
        task = asyncio.create_task(door.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not inode(tmp_path)

    asyncio.run(play())


def test_without_a_directory_it_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    door = LocalDoor(app, str(tmp_path / "none"), lambda: True, lambda _, what: said.append(what))
    door.open()
    door.open()
    assert len(said) == 1
    assert "commands cannot ask this agent here" in said[0]
