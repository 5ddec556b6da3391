"""The time from `append()` until `/metrics` shows the line, with the real agent: with inotify, and by polling alone."""

from __future__ import annotations

import re
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from auditwatch import AuditWriter
from benchmarks.agents import running_agent

LINES_A_SECOND = 1000
PROBES = 300
RECORD = {"event": "TRADE_APPROVED", "symbol": "ABC", "side": "buy", "quantity": 100, "note": "x" * 180}


def measure(watch: str, probes: int) -> list[float]:
    """Seconds from the return of `append` until a scrape shows the line, while more lines are written."""
    with tempfile.TemporaryDirectory() as place:
        trail = Path(place) / "logs" / "bench.jsonl"
        trail.parent.mkdir()
        with AuditWriter(trail) as audit, running_agent(Path(place), [trail], watch=watch) as agent:
            return list(_probe(audit, f"{agent.url}metrics", probes))


def _probe(audit: AuditWriter, url: str, probes: int) -> Iterator[float]:
    appended = 0
    began = time.perf_counter()
    for _ in range(probes):
        while time.perf_counter() - began < appended / LINES_A_SECOND:
            threading.Event().wait(0.0005)
        for _ in range(20):
            audit.append(RECORD)
            appended += 1
        done = time.perf_counter()
        while _lines(url) < appended:
            pass
        yield time.perf_counter() - done


def _lines(url: str) -> int:
    with urllib.request.urlopen(url) as answer:
        found = re.search(rb'^auditwatch_trail_lines\{trail="bench"\} (\S+)$', answer.read(), re.MULTILINE)
    return int(float(found[1])) if found else -1


def main() -> None:
    """Print a row for each way of watching."""
    print(f"append until /metrics shows it, {LINES_A_SECOND} lines/s of ~250 bytes")
    print("| watch | probes | median ms | p99 ms | max ms |")
    print("|---|---|---|---|---|")
    for watch, probes in (("events", PROBES), ("poll", PROBES // 10)):
        seconds = sorted(measure(watch, probes))
        p99 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
        row = (statistics.median(seconds), p99, seconds[-1])
        print(f"| {watch} | {probes} | " + " | ".join(f"{value * 1000:.1f}" for value in row) + " |")


if __name__ == "__main__":
    main()
