"""Small files that are there in full or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from auditwatch.host.durable import replace_file, sync_directory


def test_a_file_is_replaced_with_the_mode_that_was_asked_for(tmp_path):
    path = tmp_path / "a"
    replace_file(str(path), b"one")
    replace_file(str(path), b"two", mode=0o644)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_killed_predecessor_left_is_no_obstacle_and_no_trap(tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / ".a.new").symlink_to(precious)
    replace_file(str(tmp_path / "a"), b"one")
    assert (precious.read_bytes(), (tmp_path / "a").read_bytes()) == (b"mine", b"one")


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failure_at_any_step_leaves_the_old_bytes_and_no_litter(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="full"):
        replace_file(str(path), b"new")
    monkeypatch.undo()
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["a"])


def test_short_writes_are_continued(tmp_path, monkeypatch):
    true_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: true_write(fd, data[:3]))
    replace_file(str(tmp_path / "a"), b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_directory_that_is_not_there_cannot_be_synced(tmp_path):
    sync_directory(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync_directory(str(tmp_path / "none"))
