"""What an append costs the agent after a thousand rotations, beside what it costs after none: CPU of its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auditwatch import AuditWriter

ROTATIONS = (0, 100, 1000)
LINES = 5000
LINES_A_SECOND = 500
LINES_A_SEGMENT = 5
RECORD = {"event": "TRADE_APPROVED", "symbol": "ABC", "side": "buy", "quantity": 100, "note": "x" * 180}


@dataclass
class Watched:
    """A trail, and the agent that watches it."""

    trail: Path
    pid: int
    url: str
    lines: int = 0

    def append(self, lines: int, lines_a_second: float) -> None:
        """Append at this pace."""
        began = time.perf_counter()
        with AuditWriter(self.trail) as audit:
            for number in range(lines):
                time.sleep(max(0.0, began + number / lines_a_second - time.perf_counter()))
                audit.append(RECORD)
        self.lines += lines

    def rotate(self, times: int) -> None:
        """So many segments of a few lines each, faster than anybody rotates."""
        for _ in range(times):
            self.append(LINES_A_SEGMENT, 1e9)
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            self.trail.rename(f"{self.trail}.{stamp}{time.time_ns() % 10**9:09}")
            self.trail.touch()
            time.sleep(0.02)

    def settle(self) -> None:
        """Return when all lines are judged and what comes with them is done."""
        while self._judged() < self.lines:
            time.sleep(0.1)
        time.sleep(3)

    def _judged(self) -> int:
        with urllib.request.urlopen(f"{self.url}api/v1/status") as answer:
            lines: int = json.load(answer)["trails"][0]["appended"]["lines"]
        return lines

    def cpu_seconds(self) -> float:
        """Of the agent's process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cost(self) -> float:
        """CPU seconds for a thousand appended lines."""
        before = self.cpu_seconds()
        self.append(LINES, LINES_A_SECOND)
        while self._judged() < self.lines:
            time.sleep(0.1)
        return (self.cpu_seconds() - before) / LINES * 1000


@contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    """An empty trail, and an agent that ends with the block."""
    trail = directory / "audit.jsonl"
    trail.touch()
    command = [sys.executable, "-m", "auditwatch", "run", f"bench={trail}", "--state-dir", str(directory / "state")]
    with (
        (directory / "log").open("w") as log,
        subprocess.Popen([*command, "--web.listen-address", "127.0.0.1:0"], stderr=log) as process,
    ):
        try:
            yield Watched(trail, process.pid, _url(directory / "log"))
        finally:
            process.send_signal(signal.SIGTERM)


def _url(log: Path) -> str:
    while "http://" not in (text := log.read_text()) or not text.endswith("\n"):
        time.sleep(0.05)
    return "http://" + text.partition("http://")[2].split()[0].rstrip("/") + "/"


def main() -> None:
    """Print a row for each number of rotations."""
    print(f"{LINES:,} lines of ~250 bytes at {LINES_A_SECOND}/s; CPU seconds of the agent for 1,000 lines")
    print("| after rotations | CPU s | ratio to the first |")
    print("|---|---|---|")
    first = 0.0
    with tempfile.TemporaryDirectory() as place, watched(Path(place)) as agent:
        agent.append(1000, LINES_A_SECOND)
        done = 0
        for rotations in ROTATIONS:
            agent.rotate(rotations - done)
            done = rotations
            agent.settle()
            cost = agent.cost()
            first = first or cost
            print(f"| {rotations:,} | {cost:.3f} | {cost / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
