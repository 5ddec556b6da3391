"""What one append costs, beside the original locked writer and `logging.FileHandler`, in one run.

    python -m benchmarks.append

All writers get the same time to settle first: a trail's directory that was changed in the last seconds is looked at
more closely, and a producer runs for days.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from auditwatch import AuditWriter
from benchmarks.original import RiskManager

ROUNDS = 3
SETTLE_SECONDS = 3.5
CALLS = 20_000
PROCESSES = 4

DETAILS = {
    "symbol": "BTC-USD",
    "side": "buy",
    "quantity": 0.25,
    "price": 64123.5,
    "limits": {"position": 5, "risk": 0.013},
    "strategy": "momentum",
}

Write = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One writer in one setting.

    Attributes:
        writer: Its name.
        median_us: Median over all calls, in microseconds.
        p99_us: 99th percentile.
        records_per_second: All processes together, over the wall clock.
        lost: Records that were written and are not in the file as whole lines.
    """

    writer: str
    median_us: float
    p99_us: float
    records_per_second: float
    lost: int


def auditwatch(path: str) -> Write:
    """This package's writer."""
    writer = AuditWriter(path)
    return lambda event, details: writer.append({"event": event, "details": details})


def original(path: str) -> Write:
    """The writer of `origin.md`."""
    return RiskManager(path).write


def logging_file_handler(path: str) -> Write:
    """The standard library's file handler with a JSON body; it takes no lock between processes."""
    logger = logging.Logger("benchmark")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter('{"timestamp":"%(asctime)s","event":"%(message)s","details":%(details)s}'))
    logger.addHandler(handler)
    return lambda event, details: logger.info(event, extra={"details": json.dumps(details)})


WRITERS: dict[str, Callable[[str], Write]] = {
    "AuditWriter": auditwatch,
    "original": original,
    "logging.FileHandler": logging_file_handler,
}


def measure(writer: str, processes: int, directory: str) -> Row:
    """Median, p99 and throughput of a writer over all rounds, in so many processes on one trail."""
    rows = [_round(writer, processes, _trail(directory, f"{writer}-{processes}-{n}")) for n in range(ROUNDS)]
    return _summed(writer, rows)


def _trail(directory: str, name: str) -> str:
    os.mkdir(os.path.join(directory, name))
    return os.path.join(directory, name, "audit_trail.jsonl")


def _summed(writer: str, rows: list[tuple[list[int], float, int]]) -> Row:
    nanoseconds = sorted(ns for calls, _, _ in rows for ns in calls)
    seconds = sum(wall for _, wall, _ in rows)
    return Row(
        writer,
        statistics.median(nanoseconds) / 1e3,
        nanoseconds[len(nanoseconds) * 99 // 100] / 1e3,
        len(nanoseconds) / seconds,
        sum(lost for _, _, lost in rows),
    )


def _round(writer: str, processes: int, path: str) -> tuple[list[int], float, int]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    results = context.Queue()
    workers = [context.Process(target=_work, args=(writer, path, barrier, results)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    wall = max(end for _, _, end in answers) - min(begin for _, begin, _ in answers)
    return [ns for calls, _, _ in answers for ns in calls], wall, _lost(path, processes * (CALLS + 1))


def _work(writer: str, path: str, barrier: Any, results: Any) -> None:
    write = WRITERS[writer](path)
    clock = time.perf_counter_ns
    calls = []
    write("TRADE_APPROVED", DETAILS)
    time.sleep(SETTLE_SECONDS)
    barrier.wait(60)
    begin = time.monotonic()
    for _ in range(CALLS):
        start = clock()
        write("TRADE_APPROVED", DETAILS)
        calls.append(clock() - start)
    results.put((calls, begin, time.monotonic()))


def _lost(path: str, expected: int) -> int:
    with open(path, "rb") as file:
        return expected - sum(json.loads(line)["event"] == "TRADE_APPROVED" for line in file)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        for processes in (1, PROCESSES):
            print(f"\n{processes} process(es), {ROUNDS} x {CALLS} calls each, on {directory}")
            print(f"{'writer':<22}{'median us':>10}{'ratio':>8}{'p99 us':>10}{'records/s':>12}{'lost':>6}")
            rows = [measure(writer, processes, directory) for writer in WRITERS]
            base = next(row for row in rows if row.writer == "original")
            for row in rows:
                ratio = base.median_us / row.median_us
                print(
                    f"{row.writer:<22}{row.median_us:>10.2f}{ratio:>7.2f}x{row.p99_us:>10.1f}"
                    f"{row.records_per_second:>12,.0f}{row.lost:>6}"
                )


if __name__ == "__main__":
    main()
