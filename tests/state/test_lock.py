"""One agent per state directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditwatch.errors import StateLocked, StateUnwritable
from auditwatch.state.lock import AgentLock

HOLDER = """
import sys
from auditwatch.state.lock import AgentLock
with AgentLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.concurrency
def test_a_second_agent_is_refused_by_name_of_the_first_and_let_in_after_its_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StateLocked, match=rf"agent\.lock is held by process {holder.pid}: another agent"):
            AgentLock(str(tmp_path)).acquire()
        holder.kill()
        holder.wait()
    with AgentLock(str(tmp_path)):
        assert (tmp_path / "agent.lock").read_text() == f"{os.getpid()}\n"


def test_two_locks_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    with AgentLock(str(tmp_path)), pytest.raises(StateLocked):
        AgentLock(str(tmp_path)).acquire()
    AgentLock(str(tmp_path)).acquire()


def test_the_lock_file_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    with AgentLock(str(tmp_path)):
        assert (tmp_path / "agent.lock").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "agent.lock").exists()


def test_a_state_directory_that_is_missing_or_trapped_is_unwritable(tmp_path: Path) -> None:
    with pytest.raises(StateUnwritable, match="No such file"):
        AgentLock(str(tmp_path / "none")).acquire()
    os.symlink(tmp_path / "elsewhere", tmp_path / "agent.lock")
    with pytest.raises(StateUnwritable, match="symbolic links"):
        AgentLock(str(tmp_path)).acquire()
    assert not (tmp_path / "elsewhere").exists()
