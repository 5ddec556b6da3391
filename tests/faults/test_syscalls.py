"""Every system call of opening, appending and rotating fails in turn: an exception, or truly stored; never a hang."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditwatch.trail import counters
from tests.faults.abilities import need
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import REFUSED, Nursery, Writer
from tests.faults.oracle import Survey, chain_breaks, segments, survey
from tests.faults.programme import LONG, Note, patient, report

pytestmark = [patient]

ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EINTR", "EMFILE", "ENOLCK")
RECORDS = 2
OPTIONS = {"durability": "power", "stamp": True, "rotate_bytes": 400}  # the second record begins a new file
NOT_OF_FILES = ("mmap", "munmap", "getppid")
WAIT_SECONDS = 60


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        status: Of the process.
        found: In the trail, after another writer appended to it.
        acknowledged: Records.
        is_poisoned: Whether the file was given up.
        is_one_chain: Whether numbers and hashes go on through all files.
        calls: Names of the system calls on files, in order, until the scenario was over.
    """

    status: int
    found: Survey
    acknowledged: int
    is_poisoned: bool
    is_one_chain: bool
    calls: list[str]


def traced(nursery: Nursery, directory: Path, inject: str | None, writer: dict[str, Any]) -> Result:
    """Run the scenario, with a fault if one is given, and look."""
    directory.mkdir()
    trail, told_path = directory / "audit.jsonl", directory / "told"
    told = Acknowledgements(told_path, 2)
    scenario = Writer(str(trail), str(told_path), 0, 100, most=RECORDS, stops=False, traced=True, **writer)
    pid = nursery.spawn([scenario])[0]
    with strace(pid, directory / "calls", inject):
        os.kill(pid, signal.SIGCONT)
        ended(pid)
    status = nursery.reap()[0]
    nursery.spawn([Writer(str(trail), str(told_path), 1, most=1, **writer)])
    is_poisoned = nursery.reap() == [REFUSED]
    calls = re.findall(r"^(?:\d+ +)?(\w+)\(", (directory / "calls").read_text().partition("getppid(")[0], re.MULTILINE)
    chained = not chain_breaks(segments(trail))
    result = Result(status, survey(trail, told), told.count(Outcome.ACKNOWLEDGED), is_poisoned, chained, calls)
    assert is_poisoned == has_poison(trail) or writer.get("homemade"), inject
    shutil.rmtree(directory)
    return result


@contextmanager
def strace(pid: int, log: Path, inject: str | None) -> Iterator[None]:
    """Trace a process that has stopped, from its next system call."""
    while " (stopped)" not in Path(f"/proc/{pid}/status").read_text():
        os.sched_yield()
    faults = [] if inject is None else ["-e", f"inject={inject}"]
    command = ["strace", "-p", str(pid), "-o", str(log), "-e", "trace=%file,%desc,getppid", *faults]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "attached" in process.stderr.readline()
        yield
    finally:
        process.communicate(timeout=WAIT_SECONDS)


def ended(pid: int) -> None:
    """Wait until a process has ended; one that hangs is killed, and a failure."""
    waited = os.pidfd_open(pid)
    try:
        hangs = not select.select([waited], [], [], WAIT_SECONDS)[0]
    finally:
        os.close(waited)
    if hangs:
        os.kill(pid, signal.SIGKILL)
    assert not hangs, "a hang"


def has_poison(trail: Path) -> bool:
    try:
        decoded = counters.decode(trail.with_name(f".{trail.name}.counters").read_bytes())
    except FileNotFoundError:
        return False
    return decoded is not None and bool(decoded.header.poisoned_inode)


def points(calls: list[str]) -> list[str]:
    """Each call as what `inject=` names it: its name and its number among those of that name."""
    seen: Counter[str] = Counter()
    found = []
    for name in calls:
        seen[name] += 1
        if name not in NOT_OF_FILES:
            found.append(f"{name}:{{}}:when={seen[name]}")
    return found


def test_the_suite_catches_a_writer_with_no_count_check(tmp_path: Path) -> None:
    need("strace")
    with Nursery() as nursery:
        known = {"homemade": True, "options": WITHOUT["no count check"]}
        assert traced(nursery, tmp_path / "bad", "write:retval=5:when=1", known).found.lost
        whole = traced(nursery, tmp_path / "good", "write:retval=5:when=1", {"homemade": True}).found
        assert whole.lost == []


def test_whatever_call_fails_each_record_is_stored_or_raised(tmp_path: Path, record_property: Note) -> None:
    need("strace")
    totals: Counter[str] = Counter()
    with Nursery() as nursery:
        plain = traced(nursery, tmp_path / "plain", None, {"options": OPTIONS})
        assert (plain.status, plain.acknowledged, plain.found.faults) == (0, RECORDS + 1, {})
        asked = points(plain.calls)
        assert len(asked) > 50
        for number, point in enumerate(asked):
            for error in ERRORS if LONG else [ERRORS[number % len(ERRORS)]]:
                inject = point.format(f"error={error}")
                result = traced(nursery, tmp_path / "fault", inject, {"options": OPTIONS})
                assert result.status in (0, REFUSED), inject
                assert result.found.faults == {}, (inject, result.found)
                # A segment that cannot be read begins a new chain; that this process is short of files does not.
                assert result.is_one_chain or error != "EMFILE", inject
                totals.update(points=1, raised=RECORDS + 1 - result.acknowledged, restarted=not result.is_one_chain)
    seen = f"{len(asked)} calls; {{raised:,}} records raised, {{restarted:,}} new chains".format(**totals)
    report(record_property, "failing system calls", totals["points"], "faults", f"{seen}; 0 lost, 0 corrupt, 0 hangs")
