"""The demo really damages its trail, and leaves neither process nor file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from auditwatch.cli import demo, demo_producer
from auditwatch.writer import AuditWriter

pytestmark = pytest.mark.concurrency


@pytest.mark.parametrize("kind", ["two-writes", "no-o-append"])
def test_a_damaging_producer_damages_a_trail_that_others_append_to(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "a.jsonl")
    rounds = iter([False, True])  # the leash is looked at once before a record, and is cut before the second
    with AuditWriter(path) as audit:
        audit.append({"event": "FIRST"})

        def look(seconds: float) -> bool:
            if seconds > 1:
                return next(rounds)
            audit.append({"event": "BETWEEN", "padding": "x" * 300})
            return False

        monkeypatch.setattr(demo_producer, "is_leash_cut", look)
        demo_producer.PRODUCERS[kind](path)
    done = subprocess.run([sys.executable, "-m", "auditwatch", "validate", path], capture_output=True, check=False)
    assert done.returncode == 1, done.stdout


def test_the_demo_ends_on_a_signal_with_all_its_processes_and_files(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "auditwatch", "demo", "--web.listen-address", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environ, text=True) as agent:
        assert agent.stderr is not None
        lines = iter(agent.stderr.readline, "")
        trail = re.search(r"demo trail: (.*)", next(lines))
        assert trail is not None
        assert next(line for line in lines if "page and metrics: http://127.0.0.1:" in line)
        agent.send_signal(signal.SIGINT)
        agent.stderr.read()
    assert agent.returncode == 0
    assert not os.path.exists(trail[1])
    assert processes_with(trail[1]) == []


def test_producers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    trail = str(tmp_path / "a.jsonl")
    parent = (
        "import sys; from auditwatch.cli.demo import producing\n"
        "with producing(sys.argv[1]): print('on', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent, trail], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"on\n"
        killed.kill()
    deadline = time.monotonic() + 60
    while processes_with(trail):
        assert time.monotonic() < deadline, "a producer outlived the demo"
        threading.Event().wait(0.05)


def test_a_directory_that_was_named_is_kept(tmp_path: Path) -> None:
    with demo._place(str(tmp_path / "kept")) as place:
        assert os.path.isdir(place)
    assert os.path.isdir(tmp_path / "kept")


def processes_with(argument: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(argument) in command.split(b"\0"):
            found.append(pid)
    return found
