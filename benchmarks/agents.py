"""A real agent as a process, and what it costs: CPU seconds, and bytes that it had the disk write."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has cost so far.

    Attributes:
        cpu_seconds: In the kernel and outside.
        written_bytes: What the disk has to write for it, in whole pages; 0 where its files lie in memory.
    """

    cpu_seconds: float
    written_bytes: int

    def since(self, before: Cost) -> Cost:
        """The difference."""
        return Cost(self.cpu_seconds - before.cpu_seconds, self.written_bytes - before.written_bytes)


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """An agent that is running.

    Attributes:
        url: Where it answers, with a slash at the end.
    """

    pid: int
    url: str

    def cost(self) -> Cost:
        """So far; a process's CPU is known to a hundredth of a second."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        written = re.search(r"(?m)^write_bytes: (\d+)", Path(f"/proc/{self.pid}/io").read_text())
        ticks = int(fields[11]) + int(fields[12])
        return Cost(ticks / os.sysconf("SC_CLK_TCK"), int(written[1]) if written else 0)

    def trails(self) -> list[dict[str, Any]]:
        """Of the status."""
        with urllib.request.urlopen(f"{self.url}api/v1/status") as answer:
            found: list[dict[str, Any]] = json.load(answer)["trails"]
        return found

    def wait_for(self, lines: int) -> None:
        """Return when so many lines have been appended and judged, over all trails."""
        while sum(trail["appended"]["lines"] for trail in self.trails()) < lines:
            time.sleep(_POLL_SECONDS)


@contextmanager
def running_agent(directory: Path, trails: Sequence[Path], **keys: str) -> Iterator[RunningAgent]:
    """An agent that watches these trails, and ends with the block.

    Args:
        directory: For its state, its configuration and its log.
        trails: Named by their file names without the ending.
        keys: Of each trail, as in the configuration.
    """
    config = directory / "auditwatch.yml"
    rows = (
        ", ".join(f"{key}: {value}" for key, value in {"name": t.stem, "path": str(t), **keys}.items()) for t in trails
    )
    listen = "web: {listen_address: '127.0.0.1:0'}\n"
    config.write_text(f"state_dir: {directory}/state\n{listen}trails:\n" + "".join(f"  - {{{row}}}\n" for row in rows))
    command = [sys.executable, "-m", "auditwatch", "run", "-c", str(config)]
    with (directory / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield RunningAgent(process.pid, _url(directory / "log", process))
        finally:
            process.send_signal(signal.SIGTERM)


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    while not (found := re.search(r"(http://\S+)\n", log.read_text())):
        if process.poll() is not None:
            raise SystemExit(log.read_text())
        time.sleep(_POLL_SECONDS)
    return found[1]
