"""What an append costs the agent when a million damaged lines lie before it, beside what it costs when none does."""

from __future__ import annotations

import re
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from auditwatch import AuditWriter
from benchmarks.agents import RunningAgent, running_agent

DAMAGED = (0, 1_000_000)
LINES = 5000
LINES_A_SECOND = 500
PROBES = 20
SETTLE_SECONDS = 20.0
RECORD = {"event": "TRADE_APPROVED", "symbol": "ABC", "side": "buy", "quantity": 100, "note": "x" * 150}


def measure(damaged: int) -> tuple[float, float]:
    """CPU seconds of the agent for 1,000 lines, and the median seconds until a line shows in the metric."""
    with tempfile.TemporaryDirectory() as place:
        trail = Path(place) / "logs" / "bench.jsonl"
        trail.parent.mkdir()
        trail.write_bytes(b"".join(b'{"event":"TRADE_A%d\n' % number for number in range(damaged)))
        with running_agent(Path(place), [trail]) as agent, AuditWriter(trail) as audit:
            audit.append(RECORD)
            _wait_for(agent, damaged + 1)
            time.sleep(SETTLE_SECONDS)
            seconds = [_shown_after(agent, audit, damaged + 2 + number) for number in range(PROBES)]
            before, began = agent.cost(), time.perf_counter()
            for number in range(LINES):
                time.sleep(max(0.0, began + number / LINES_A_SECOND - time.perf_counter()))
                audit.append(RECORD)
            time.sleep(1.0)
            return agent.cost().since(before).cpu_seconds / LINES * 1000, statistics.median(seconds)


def _shown_after(agent: RunningAgent, audit: AuditWriter, lines: int) -> float:
    time.sleep(0.2)
    audit.append(RECORD)
    began = time.perf_counter()
    _wait_for(agent, lines)
    return time.perf_counter() - began


def _wait_for(agent: RunningAgent, lines: int) -> None:
    while _lines(agent.url) < lines:
        time.sleep(0.005)


def _lines(url: str) -> int:
    with urllib.request.urlopen(f"{url}metrics") as answer:
        found = re.search(rb'^auditwatch_trail_lines\{trail="bench"\} (\S+)$', answer.read(), re.MULTILINE)
    return int(float(found[1])) if found else -1


def main() -> None:
    """Print a row for each number of damaged lines."""
    print(f"{LINES:,} lines of ~250 bytes at {LINES_A_SECOND}/s; CPU seconds of the agent for 1,000 lines")
    print("| damaged lines before | CPU s | ratio | in the metric after, median ms |")
    print("|---|---|---|---|")
    first = 0.0
    for damaged in DAMAGED:
        cost, shown = measure(damaged)
        first = first or cost
        print(f"| {damaged:,} | {cost:.3f} | {cost / first:.2f} | {shown * 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()
