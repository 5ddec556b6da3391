"""Sockets in a directory: for their owner alone, at paths of any length, and found again."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from auditwatch.host.local_sockets import connection_to, directories_with, listening

NAME = "agent.sock"


def greeted(directory: Path) -> bytes:
    """What comes back through the socket of a directory."""
    with listening(str(directory), NAME) as server, connection_to(str(directory), NAME, 5.0) as client:
        peer, _ = server.accept()
        with peer:
            client.sendall(b"hello")
            return peer.recv(5)


def test_who_connects_talks_to_who_listens(tmp_path: Path) -> None:
    assert greeted(tmp_path) == b"hello"


def test_a_path_may_be_longer_than_an_address(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    deep.mkdir()
    assert greeted(deep) == b"hello"
    assert (deep / NAME).is_socket()


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with listening(str(tmp_path), NAME):
        assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_what_a_killed_agent_left_is_replaced(tmp_path: Path) -> None:
    listening(str(tmp_path), NAME).close()
    with pytest.raises(ConnectionRefusedError):
        connection_to(str(tmp_path), NAME, 5.0)
    assert greeted(tmp_path) == b"hello"


def test_without_a_directory_nobody_can_listen_or_connect(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        listening(str(tmp_path / "none"), NAME)
    with pytest.raises(FileNotFoundError):
        connection_to(str(tmp_path / "none"), NAME, 5.0)


def test_who_listens_is_found_by_the_name(tmp_path: Path) -> None:
    directories = [tmp_path / "a b", tmp_path / "c"]
    for directory in directories:
        directory.mkdir()
    with listening(str(directories[0]), NAME), listening(str(directories[1]), "other.sock"):
        found = directories_with(NAME)
        assert str(directories[0]) in found
        assert str(directories[1]) not in found
    assert str(directories[0]) not in directories_with(NAME)


def test_a_socket_that_only_connects_is_not_listed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(tmp_path / NAME))
        assert os.path.exists(tmp_path / NAME)
        assert str(tmp_path) not in directories_with(NAME)


def test_who_listens_as_another_user_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever it is could otherwise have root read, and write, in a directory of their own."""
    with listening(str(tmp_path), NAME):
        assert str(tmp_path) in directories_with(NAME)
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
        assert str(tmp_path) not in directories_with(NAME)
