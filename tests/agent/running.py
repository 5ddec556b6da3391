"""A real agent as a process: started on a free port, looked at with a deadline, ended by its own number."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""Long: ten of these tests share two cores. None of them says how fast anything is."""

STOPS_WITHIN_SECONDS = 10.0
"""What the agent promises for SIGTERM."""

SPLICED = b'{"event": "TRADE_A{"event": "KILL_SWITCH", "details": {}}\nPPROVED", "details": {}}\n'
"""The two lines that two writers without a lock made of two records."""

_COMMAND = (sys.executable, "-P", "-m", "auditwatch")

_WITHOUT_OVERRIDE = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
"""Root without these is held to permissions like everybody; it need not become another user, who may not enter here."""

_URL = re.compile(r"page and metrics: (http://\S+)/")


def until(ask: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer.

    What is asked about changes in another process, which wakes no one here: short pauses and a deadline are all there
    is. Tests wait nowhere else; the programmes of tests/faults say at each pause what it is.
    """
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain; the last answer was {answer!r}"
        time.sleep(0.02)  # polls another process, with a deadline: nothing there can wake this one
    return answer


def records(number: int, start: int = 0) -> bytes:
    """Whole lines, all different."""
    return b"".join(b'{"event":"TRADE_APPROVED","n":%d}\n' % n for n in range(start, start + number))


def append(path: Path, data: bytes) -> None:
    """One write at the end, without any lock, as the fifth process of the story does it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        assert os.write(descriptor, data) == len(data)
    finally:
        os.close(descriptor)


def command(
    *arguments: str | Path, is_held_to_permissions: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    asked = [*(_held_to_permissions() if is_held_to_permissions else ()), *_COMMAND, *map(str, arguments)]
    return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False, **options)


def workers_of(pid: int) -> list[int]:
    """Worker processes that were started by this one; they name it on their command line, also once it is dead."""
    asked = [b"auditwatch.validation.workers.process", str(pid).encode()]
    found = ((int(entry.name), _command_line(entry)) for entry in Path("/proc").glob("[0-9]*"))
    return [worker for worker, words in found if asked in (words[-3:-1], words[-4:-2])]  # the agent's are background


def _command_line(entry: Path) -> list[bytes]:
    try:
        return (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


@dataclass
class Agent:
    """One agent and what it says.

    Attributes:
        state_dir: Its own.
        log_path: Where its standard error goes; several agents may follow each other there.
    """

    process: subprocess.Popen[bytes]
    state_dir: Path
    log_path: Path
    log_start: int = 0
    _url: str = field(default="", init=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it answers; waits until it does."""
        if not self._url:
            self._url = until(self._announced)
        return self._url

    def _announced(self) -> str:
        found = _URL.search(self.log())
        assert found or self.process.poll() is None, f"ended with {self.process.returncode}: {self.log()}"
        return found[1] if found else ""

    def log(self) -> str:
        """What it wrote to standard error so far."""
        return self.log_path.read_bytes()[self.log_start :].decode()

    def get(self, path: str) -> bytes:
        """The body of one answer."""
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_SECONDS) as answer:
            body: bytes = answer.read()
        return body

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Samples of one scrape by name, without the prefix."""
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").decode()):
            for sample in family.samples:
                found.setdefault(sample.name.removeprefix("auditwatch_"), []).append((sample.labels, sample.value))
        return found

    def value(self, name: str, **labels: str) -> float:
        """Sum over the samples of a metric that bear these labels; there must be some."""
        samples = self.metrics()[name]
        values = [value for found, value in samples if labels.items() <= found.items()]
        assert values, f"no sample of {name} bears {labels}"
        return sum(values)

    def status(self, trail: str = "") -> dict[str, Any]:
        """The status of one trail, of the first if none is named."""
        trails: list[dict[str, Any]] = json.loads(self.get("/api/v1/status"))["trails"]
        return next(found for found in trails if trail in ("", found["name"]))

    def findings(self, query: str = "") -> dict[str, Any]:
        """What /api/v1/findings answers."""
        found: dict[str, Any] = json.loads(self.get("/api/v1/findings" + query))
        return found

    def follows(self, path: Path, trail: str = "") -> Agent:
        """Wait until every byte that the file contains now is judged or pending.

        After a restart the agent answers with what was stored until it has looked: an active file that is larger than
        this one was another.
        """
        size = path.stat().st_size
        until(lambda: self._has_read(path, size, trail))
        return self

    def _has_read(self, path: Path, size: int, trail: str) -> bool:
        seen = self.status(trail)["bytes"]
        return size <= seen["active"] <= path.stat().st_size and not seen["unverified"]

    def stop(self) -> str:
        """SIGTERM: it must end by itself, in time, with 0, and never show a traceback. Gives its log."""
        assert self.url
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOPS_WITHIN_SECONDS) == 0, self.log()
        assert "Traceback" not in self.log()
        assert "error in auditwatch itself" not in self.log()
        until(lambda: not workers_of(self.pid))
        return self.log()

    def kill(self) -> None:
        """Kill -9, or nothing if it has ended."""
        self.process.kill()
        self.process.wait()


class Agents:
    """Starts agents and leaves none running."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[Agent] = []

    def start(
        self,
        *arguments: str | Path | bytes,
        state_dir: Path | None = None,
        address: str = "127.0.0.1:0",
        is_held_to_permissions: bool = False,
        most_files: int = 0,
    ) -> Agent:
        """An agent, on a free port if no other is named; on request it may have no more files open than that."""
        state_dir = state_dir or self.directory / "state"
        log_path = self.directory / "log"
        given = (a if isinstance(a, bytes) else str(a) for a in arguments)
        asked = [*_COMMAND, "run", *given, "--state-dir", str(state_dir), "--web.listen-address", address]
        if is_held_to_permissions:
            asked = [*_held_to_permissions(), *asked]
        if most_files:
            asked = [*_needing("prlimit"), f"--nofile={most_files}:{most_files}", *asked]
        with log_path.open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(asked, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        agent = Agent(process, state_dir, log_path, start)
        self.started.append(agent)
        return agent

    def fails(self, *arguments: str | Path | bytes, **options: Any) -> tuple[int, list[str]]:
        """Status and lines of an agent that does not even begin."""
        agent = self.start(*arguments, **options)
        return agent.process.wait(PATIENCE_SECONDS), agent.log().splitlines()

    def end_all(self) -> None:
        """By number, each of them."""
        for agent in self.started:
            agent.kill()


def _held_to_permissions() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    _needing("setpriv")
    return _WITHOUT_OVERRIDE


def _needing(program: str) -> tuple[str, ...]:
    if shutil.which(program) is None:
        pytest.skip(f"NOT RUN: {program} is not installed")
    return (program,)


def configuration(path: Path, trails: Sequence[str], *lines: str) -> Path:
    """A configuration file with these entries under `trails:`."""
    entries = [f"  - {trail}" for trail in trails]
    path.write_text("\n".join([*lines, "trails:", *entries, ""]))
    return path
