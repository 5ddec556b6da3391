"""What one append costs, beside the original locked writer and its peers, in one run.

    python -m benchmarks.append

All writers get the same time to settle first: a trail's directory that was changed in the last seconds is looked at
more closely, and a producer runs for days. Peers that are not installed (`pip install --group bench`) are NOT RUN.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.producers import BASE, PRODUCERS, Producer, is_missing

ROUNDS = 3
SETTLE_SECONDS = 3.5
EVENT = "TRADE_APPROVED"


@dataclass(frozen=True, slots=True)
class Table:
    """Writers that are measured in one setting.

    Attributes:
        title: What the setting is.
        survives: What an acknowledged record survives, a key of `PRODUCERS`: which writers are measured.
        processes: On one trail.
        threads: In each of them.
        calls: Of each thread.
    """

    title: str
    survives: str
    processes: int
    threads: int
    calls: int


TABLES = (
    Table("one process", "kill -9", 1, 1, 20_000),
    Table("four processes on one trail", "kill -9", 4, 1, 20_000),
    Table("on disk before it is acknowledged, one thread", "power cut", 1, 1, 2_000),
    Table("on disk before it is acknowledged, 16 threads", "power cut", 1, 16, 500),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One writer in one setting.

    Attributes:
        writer: Its name.
        median_us: Median over all calls, in microseconds.
        p99_us: 99th percentile.
        records_per_second: All together, over the wall clock, until everything is in the file.
        lost: Records that were written and are not in the file as whole lines.
    """

    writer: str
    median_us: float
    p99_us: float
    records_per_second: float
    lost: int


def measure(table: Table, writer: str, directory: str) -> Row:
    """Median, p99 and throughput of a writer over all rounds."""
    rows = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=directory) as fresh:
            rows.append(_round(table, writer, os.path.join(fresh, "audit_trail.jsonl")))
    nanoseconds = sorted(ns for calls, _, _ in rows for ns in calls)
    return Row(
        writer,
        statistics.median(nanoseconds) / 1e3,
        nanoseconds[len(nanoseconds) * 99 // 100] / 1e3,
        len(nanoseconds) / sum(wall for _, wall, _ in rows),
        sum(lost for _, _, lost in rows),
    )


def _round(table: Table, writer: str, path: str) -> tuple[list[int], float, int]:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(table.processes)
    results = context.Queue()
    arguments = (table, writer, path, barrier, results)
    workers = [context.Process(target=_work, args=arguments) for _ in range(table.processes)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    wall = max(end for _, _, end in answers) - min(begin for _, begin, _ in answers)
    written = table.processes * (1 + table.threads * table.calls)
    return [ns for calls, _, _ in answers for ns in calls], wall, written - _whole(path)


def _work(table: Table, writer: str, path: str, barrier: Any, results: Any) -> None:
    producer = PRODUCERS[table.survives][writer](path)
    producer.write(EVENT)
    time.sleep(SETTLE_SECONDS)
    calls: list[list[int]] = [[] for _ in range(table.threads)]
    threads = [threading.Thread(target=_produce, args=(producer, table.calls, timed)) for timed in calls]
    barrier.wait(120)
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    producer.finish()
    results.put(([ns for timed in calls for ns in timed], begin, time.monotonic()))


def _produce(producer: Producer, count: int, timed: list[int]) -> None:
    clock, write = time.perf_counter_ns, producer.write
    for _ in range(count):
        start = clock()
        write(EVENT)
        timed.append(clock() - start)


def _whole(path: str) -> int:
    """How many whole records of ours the file holds."""
    with open(path, "rb") as file:
        return sum(_is_whole(line) for line in file)


def _is_whole(line: bytes) -> bool:
    try:
        return bool(json.loads(line)["event"] == EVENT)
    except (ValueError, KeyError):
        return False


def _print(table: Table, directory: str) -> None:
    print(f"\n{table.title}: {ROUNDS} x {table.calls} calls in each of {table.processes * table.threads}")
    print(f"{'writer':<26}{'median us':>10}{'ratio':>8}{'p99 us':>10}{'records/s':>12}{'ratio':>8}{'lost':>6}")
    writers = PRODUCERS[table.survives]
    rows = [measure(table, writer, directory) for writer in writers if not is_missing(writer)]
    base = next(row for row in rows if row.writer == BASE)
    for row in rows:
        print(
            f"{row.writer:<26}{row.median_us:>10.2f}{base.median_us / row.median_us:>7.2f}x{row.p99_us:>10.1f}"
            f"{row.records_per_second:>12,.0f}{row.records_per_second / base.records_per_second:>7.2f}x{row.lost:>6}"
        )
    for writer in filter(is_missing, writers):
        print(f"{writer:<26}NOT RUN: not installed")


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as directory:
        for table in TABLES:
            _print(table, directory)


if __name__ == "__main__":
    main()
