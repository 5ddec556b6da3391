"""What the agent costs at a steady load: CPU, and bytes written for each byte that is appended.

python -m benchmarks.load [LINES_A_SECOND TRAILS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from auditwatch import AuditWriter
from benchmarks.agents import running_agent

LOADS = ((0, 1), (10, 1), (100, 1), (1000, 1), (10_000, 1), (0, 100), (100, 100), (1000, 100), (0, 1000), (1000, 1000))
"""Lines a second, over all trails, and trails."""

WRITERS = 4
SETTLE_SECONDS = 10.0
FIRST_RUNS_SECONDS = 0.07
"""For each trail: after their first look, all of them are validated for the first time, one after the other."""

MEASURED_SECONDS = 15.0
RECORD = {"event": "TRADE_APPROVED", "symbol": "ABC", "side": "buy", "quantity": 100, "note": "x" * 150}


def write(lines_a_second: float, trails: list[str]) -> None:
    """Append at this pace to each trail in turn, until killed."""
    writers = [AuditWriter(trail) for trail in trails]
    began, number = time.perf_counter(), 0
    while True:
        time.sleep(max(0.0, began + number / lines_a_second - time.perf_counter()))
        writers[number % len(writers)].append(RECORD)
        number += 1


def measure(lines_a_second: int, trails: int) -> str:
    """A row: CPU of the agent in percent of a core, and bytes that it wrote for each byte appended."""
    with tempfile.TemporaryDirectory() as place:
        logs = Path(place) / "logs"
        logs.mkdir()
        paths = [logs / f"trail{number}.jsonl" for number in range(trails)]
        for path in paths:
            path.touch()
        with running_agent(Path(place), paths) as agent:
            writers = _writers(lines_a_second, paths) if lines_a_second else []
            try:
                time.sleep(SETTLE_SECONDS + FIRST_RUNS_SECONDS * trails)
                before, size, began = agent.cost(), _size(paths), time.monotonic()
                time.sleep(MEASURED_SECONDS)
                cost, appended = agent.cost().since(before), _size(paths) - size
                share = cost.cpu_seconds / (time.monotonic() - began)
            finally:
                for writer in writers:
                    writer.kill()
                    writer.wait()
    written = (
        f"{cost.written_bytes / appended:.2f}" if appended else f"{cost.written_bytes / MEASURED_SECONDS:.0f} a second"
    )
    return f"| {lines_a_second:,} | {trails:,} | {share:.1%} | {written} |"


def _writers(lines_a_second: int, paths: list[Path]) -> list[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.load", "write", str(lines_a_second / WRITERS), *map(str, paths)]
    return [subprocess.Popen(command) for _ in range(WRITERS)]


def _size(paths: list[Path]) -> int:
    return sum(os.stat(path).st_size for path in paths)


def main() -> None:
    """Print a row for each load."""
    if sys.argv[1:2] == ["write"]:
        write(float(sys.argv[2]), sys.argv[3:])
        return
    loads = [(int(sys.argv[1]), int(sys.argv[2]))] if sys.argv[1:] else LOADS
    print(f"lines of ~250 bytes by {WRITERS} processes, over all trails; CPU of the agent in percent of a core")
    print("| lines a second | trails | CPU | bytes written for each byte appended |")
    print("|---|---|---|---|")
    for lines_a_second, trails in loads:
        print(measure(lines_a_second, trails), flush=True)


if __name__ == "__main__":
    main()
