"""What validating a trail for the first time costs, beside the original script and orjson a line, in one run.

    python -m benchmarks.validation

Rounds of all contestants alternate, so that a busy machine hits all of them; the table has medians. The file lies in
the page cache: this compares judging, not disks.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson

from auditwatch.trail.rules import FieldType, Rules
from auditwatch.validate.full import validate_full
from auditwatch.validate.sample import draw_sample
from auditwatch.validate.workers import WorkerPool
from benchmarks.original import validate as validate_original

ROUNDS = 5
FILE_BYTES = 300_000_000
RECORD = (
    b'{"timestamp":"2025-10-07T12:00:00.%06d+00:00","event":"TRADE_APPROVED","details":{"symbol":"BTC-USD","side":"buy",'
    b'"quantity":0.25,"price":64123.5,"order":"%011d","limits":{"position":5,"risk":0.013},"strategy":"momentum"},'
    b'"user":"risk-manager","session":"6f1c0a9e42"}\n'
)

Run = Callable[[], Awaitable[int]]


@dataclass(slots=True)
class Contestant:
    """Somebody who reads the file and says how many lines it has."""

    name: str
    run: Run
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of all rounds, in seconds."""
        return statistics.median(self.seconds)


def write_trail(path: str, size: int) -> int:
    """Write whole records of 275 bytes; returns how many."""
    lines = 0
    with open(path, "wb") as trail:
        while trail.tell() < size:
            trail.writelines(RECORD % (n % 1_000_000, n) for n in range(lines, lines + 10_000))
            lines += 10_000
    return lines


def contestants(path: str, pools: dict[int, WorkerPool]) -> list[Contestant]:
    """Who takes part, the original script first: ratios are to it."""
    ours = [
        Contestant(f"auditwatch, {size} worker{'s' * (size > 1)}{label}", _ours(path, pool, rules, hashed))
        for size, pool in pools.items()
        for label, rules, hashed in (
            ("", Rules(), False),
            (", with digest", Rules(), True),
            (
                ", two fields required",
                Rules(require=(("timestamp", FieldType.DATETIME), ("event", FieldType.STRING))),
                False,
            ),
        )
    ]
    return [Contestant("original script", _original(path)), Contestant("orjson a line", _orjson(path)), *ours]


def _ours(path: str, pool: WorkerPool, rules: Rules, hashed: bool) -> Run:
    async def run() -> int:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            full = await validate_full(descriptor, rules, pool, hashed=hashed)
        finally:
            os.close(descriptor)
        return full.report.records

    return run


def _original(path: str) -> Run:
    async def run() -> int:
        return validate_original(path)[0]

    return run


def _orjson(path: str) -> Run:
    async def run() -> int:
        with open(path, "rb") as trail:  # noqa: ASYNC230  a contestant runs alone
            return sum(1 for line in trail if orjson.loads(line) is not None)

    return run


async def measure(path: str, lines: int) -> list[Contestant]:
    """Let everybody run in turn; the workers are started before the clock."""
    pools = {1: WorkerPool(1, idle_seconds=600), 2: WorkerPool(2, idle_seconds=600)}
    taking_part = contestants(path, pools)
    try:
        for warm_up in (True, *[False] * ROUNDS):
            for contestant in taking_part:
                begun = time.perf_counter()
                counted = await contestant.run()
                if counted != lines:
                    raise SystemExit(f"{contestant.name} counted {counted} of {lines} lines")
                if not warm_up:
                    contestant.seconds.append(time.perf_counter() - begun)
    finally:
        for pool in pools.values():
            await pool.close()
    return taking_part


def sample_milliseconds(path: str) -> float:
    """Median time of a sample of 100 lines."""
    descriptor = os.open(path, os.O_RDONLY)
    times = []
    for seed in range(21):
        begun = time.perf_counter()
        draw_sample(descriptor, os.fstat(descriptor).st_size, Rules(), 100, seed)
        times.append(time.perf_counter() - begun)
    os.close(descriptor)
    return statistics.median(times) * 1000


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "audit_trail.jsonl")
        lines = write_trail(path, FILE_BYTES)
        size = os.path.getsize(path)
        print(f"full validation, {size / 1e6:.0f} MB, {lines:,} lines of {size / lines:.0f} bytes, {ROUNDS} rounds\n")
        taking_part = asyncio.run(measure(path, lines))
        sample = sample_milliseconds(path)
    original, orjson_line = taking_part[0].median, taking_part[1].median
    print("| who | seconds | GB/s | x original | x orjson a line |")
    print("|---|---|---|---|---|")
    for contestant in taking_part:
        seconds = contestant.median
        rate, ratios = size / seconds / 1e9, f"{original / seconds:.1f} | {orjson_line / seconds:.1f}"
        print(f"| {contestant.name} | {seconds:.3f} | {rate:.2f} | {ratios} |")
    print(f"\na sample of 100 lines: {sample:.1f} ms")


if __name__ == "__main__":
    main()
