"""Opening: nothing with the name of a trail blocks, surprises or redirects us."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditwatch.errors import Unreadable
from auditwatch.files.opening import open_trail

NOBODY = 65534


def refusal(path: Path | str) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        os.close(open_trail(str(path)))
    return caught.value


def test_a_regular_file_opens_for_reading_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{}\n")
    descriptor = open_trail(str(tmp_path / "a.jsonl"))
    try:
        assert os.read(descriptor, 10) == b"{}\n"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a").reason == "missing"
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "a").reason == "missing"
    assert refusal("a\0b").reason == "missing"


def test_a_directory_is_a_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path).reason == "directory"


def test_a_pipe_a_device_and_a_socket_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert refusal(tmp_path / "s").reason == "not_regular"
    assert refusal(tmp_path / "pipe.jsonl").reason == "not_regular"
    assert refusal("/dev/zero").reason == "not_regular"


def test_a_symlink_is_named_with_its_target_unless_it_is_to_be_followed(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_bytes(b"{}\n")
    (tmp_path / "link").symlink_to(tmp_path / "real.jsonl")
    error = refusal(tmp_path / "link")
    assert error.reason == "symlink"
    assert str(tmp_path / "real.jsonl") in str(error)
    assert "follow_symlink: true" in str(error)
    os.close(open_trail(str(tmp_path / "link"), follow_symlink=True))


@contextmanager
def as_nobody() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Where everybody may search; the test's own directory is closed to others further up."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_the_directory_that_denies_is_named(open_directory: Path) -> None:
    locked = open_directory / "locked"
    (locked / "inner").mkdir(parents=True)
    (locked / "inner" / "a.jsonl").touch()
    locked.chmod(0o600)
    with as_nobody():
        error = refusal(locked / "inner" / "a.jsonl")
    locked.chmod(0o700)
    assert error.reason == "permission"
    assert f"by the directory {locked} " in str(error)


def test_the_file_that_denies_is_named(open_directory: Path) -> None:
    trail = open_directory / "a.jsonl"
    trail.touch()
    trail.chmod(0o000)
    with as_nobody():
        error = refusal(trail)
    assert error.reason == "permission"
    assert f"by the file itself, {trail} " in str(error)


def test_a_hostile_name_is_printed_harmlessly(tmp_path: Path) -> None:
    error = refusal(os.fsdecode(os.fsencode(tmp_path) + b"/\x1b[2J\xff"))
    assert str(error).isprintable()
    assert r"\x1b[2J\xff" in str(error)
