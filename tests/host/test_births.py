"""When a file was born."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from auditwatch.host import births


def test_a_file_keeps_its_birth_and_a_later_one_has_another(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    descriptor = os.open(path, os.O_RDWR)
    born = births.born_ns(descriptor)
    if born == 0:
        pytest.skip("NOT RUN: this file system does not know when a file was born")
    assert abs(born / 1e9 - time.time()) < 60
    os.utime(path, (0, 0))
    os.rename(path, tmp_path / "b")
    os.write(descriptor, b"more")
    assert births.born_ns(descriptor) == born
    os.close(descriptor)


def test_what_cannot_be_known_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert births.born_ns(-1) == 0
    monkeypatch.setattr(births, "_statx", lambda: None)
    assert births.born_ns(0) == 0
