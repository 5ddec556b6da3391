"""What an append costs the agent after a thousand rotations, beside what it costs after none: CPU of its process.

Twice: as it is, and without what the agent takes while nothing is appended, which grows with the files that lie there.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from auditwatch import AuditWriter
from benchmarks.agents import RunningAgent, running_agent

ROTATIONS = (0, 100, 1000)
LINES = 5000
LINES_A_SECOND = 500
LINES_A_SEGMENT = 5
SETTLE_SECONDS = 75.0
"""Files that were renamed a minute ago are hashed again and again: that is what so many rotations at once cost."""

IDLE_SECONDS = 30.0
"""Twice as long as between two looks at closed segments."""

KEEPS_UP_SECONDS = 1.0
"""More than enough for the last lines to be judged."""

RECORD = {"event": "TRADE_APPROVED", "symbol": "ABC", "side": "buy", "quantity": 100, "note": "x" * 180}


@dataclass
class Watched:
    """A trail, and the agent that watches it."""

    trail: Path
    agent: RunningAgent
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
        self.agent.wait_for(self.lines)
        time.sleep(SETTLE_SECONDS)

    def idle(self) -> float:
        """CPU seconds a second while nothing is appended."""
        before, began = self.agent.cost(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        return self.agent.cost().since(before).cpu_seconds / (time.monotonic() - began)

    def cost(self) -> float:
        """CPU seconds for a thousand appended lines, with what it costs meanwhile to be there."""
        before = self.agent.cost()
        self.append(LINES, LINES_A_SECOND)
        time.sleep(KEEPS_UP_SECONDS)  # asking it would cost more after a thousand rotations than judging does
        cost = self.agent.cost().since(before)
        self.agent.wait_for(self.lines)
        return cost.cpu_seconds / LINES * 1000


def main() -> None:
    """Print a row for each number of rotations."""
    print(f"{LINES:,} lines of ~250 bytes at {LINES_A_SECOND}/s; CPU seconds of the agent for 1,000 lines")
    print("| after rotations | idle | CPU s | ratio to the first | CPU s without idling | ratio to the first |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        trail = Path(place) / "logs" / "audit.jsonl"
        trail.parent.mkdir()
        trail.touch()
        with running_agent(Path(place), [trail]) as agent:
            _measure(Watched(trail, agent))


def _measure(watched: Watched) -> None:
    watched.append(1000, LINES_A_SECOND)
    done = 0
    first = None
    for rotations in ROTATIONS:
        watched.rotate(rotations - done)
        done = rotations
        watched.settle()
        idle, cost = watched.idle(), watched.cost()
        net = cost - idle / LINES_A_SECOND * 1000
        first = first or (cost, net)
        ratios = f"{cost:.3f} | {cost / first[0]:.2f} | {net:.3f} | {net / first[1]:.2f}"
        print(f"| {rotations:,} | {idle:.1%} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
