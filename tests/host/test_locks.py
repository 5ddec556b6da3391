"""Lock holders, from a recorded table and from the kernel."""

from __future__ import annotations

import fcntl
import os

import pytest

from auditwatch.host import locks
from auditwatch.host.locks import Holder

RECORDED = """1: FLOCK  ADVISORY  WRITE 100 08:01:77 0 EOF
1: -> FLOCK  ADVISORY  WRITE 101 08:01:77 0 EOF
2: POSIX  ADVISORY  WRITE 102 08:01:77 0 EOF
3: FLOCK  ADVISORY  WRITE 103 fd:0a:77 0 EOF
4: OFDLCK ADVISORY  WRITE -1 08:01:77 0 EOF
5: FLOCK  ADVISORY  READ  -1 08:01:78 0 EOF
"""


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "locks").write_text(RECORDED)
    (tmp_path / "100").mkdir()
    (tmp_path / "100" / "comm").write_text("evil\x1b[2Jname\n")
    return str(tmp_path)


def test_only_who_holds_the_flock_on_that_very_file_is_named(proc):
    assert locks.flock_holders(os.makedev(8, 1), 77, proc=proc) == [Holder(100, "evil?[2Jname")]
    assert locks.flock_holders(os.makedev(0xFD, 0x0A), 77, proc=proc) == [Holder(103, None)]
    assert locks.flock_holders(os.makedev(8, 1), 79, proc=proc) == []


def test_a_holder_reads_as_words(proc):
    assert str(Holder(5, "bot")) == "process 5 (bot)"
    assert str(Holder(5, None)) == "process 5"
    assert str(locks.flock_holders(os.makedev(8, 1), 78, proc=proc)[0]) == "a process in another container"


def test_without_proc_nobody_is_named(tmp_path):
    assert locks.flock_holders(1, 1, proc=str(tmp_path / "none")) == []


def test_the_kernel_names_this_process(tmp_path):
    with (tmp_path / "a").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status = os.fstat(file.fileno())
        holders = locks.flock_holders(status.st_dev, status.st_ino)
    if not holders:
        pytest.skip("NOT RUN: the kernel does not tell lock holders here")
    assert [holder.pid for holder in holders] == [os.getpid()]
