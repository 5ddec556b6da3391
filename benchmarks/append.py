"""What one append costs, compared with the original locked writer and its peers, in one run.

    python -m benchmarks.append

All writers of a table exist at the same time and take turns in bursts of a few milliseconds, so that a machine that is
busy for seconds slows all of them alike. The ratios are medians over the ratios of the bursts. First all writers get
the same time to settle: the writer looks more closely at a directory that changed in the last few seconds, and a real
producer runs for days. Peers that are not installed (`pip install --group bench`) are NOT RUN.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.producers import BASE, PRODUCERS, Producer, is_missing

BURSTS = 31
SETTLE_SECONDS = 3.5
EVENT = "TRADE_APPROVED"


@dataclass(frozen=True, slots=True)
class Table:
    """Writers that are measured in one setting.

    Attributes:
        title: Name of the setting.
        survives: What an acknowledged record survives; a key of `PRODUCERS`, which says which writers are measured.
        processes: Processes that write to one trail.
        threads: Threads in each process.
        calls: Calls of each thread in each burst.
    """

    title: str
    survives: str
    processes: int
    threads: int
    calls: int


TABLES = (
    Table("one process", "kill -9", 1, 1, 2_000),
    Table("four processes on one trail", "kill -9", 4, 1, 2_000),
    Table("on disk before it is acknowledged, one thread", "power cut", 1, 1, 200),
    Table("on disk before it is acknowledged, 16 threads", "power cut", 1, 16, 50),
)


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls of one writer, one after the other in each of its threads.

    Attributes:
        nanoseconds: Duration of each call.
        seconds: Duration of all together, until everything is in the file.
    """

    nanoseconds: list[int]
    seconds: float

    @property
    def median(self) -> float:
        """Median duration of a call, in nanoseconds."""
        return statistics.median(self.nanoseconds)

    @property
    def rate(self) -> float:
        """Records per second."""
        return len(self.nanoseconds) / self.seconds


class Crew:
    """One writer in all of its processes, on its own trail.

    Args:
        table: Says how many processes, threads and calls there are.
        writer: Name of the writer.
        path: Path of the trail.
    """

    def __init__(self, table: Table, writer: str, path: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._barrier = context.Barrier(table.processes)
        self.writer = writer
        self.bursts: list[Burst] = []
        self._path = path
        self._written = 0
        self._lines, self._processes = [], []
        for _ in range(table.processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(table, writer, path, self._barrier, theirs), daemon=True)
            process.start()
            theirs.close()
            self._lines.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()  # this ends its process
        for process in self._processes:
            process.join(10)

    def await_first_records(self) -> None:
        """Wait until each process has written one record."""
        for line in self._lines:
            self._written += line.recv()

    def burst(self) -> None:
        """Let all processes write, and keep how long it took."""
        for line in self._lines:
            line.send(None)
        answers = [line.recv() for line in self._lines]
        nanoseconds = [ns for calls, _, _ in answers for ns in calls]
        seconds = max(end for _, _, end in answers) - min(begin for _, begin, _ in answers)
        self._written += len(nanoseconds)
        self.bursts.append(Burst(nanoseconds, seconds))

    @property
    def lost(self) -> int:
        """Number of records that were written but are not in the file as whole lines."""
        with open(self._path, "rb") as file:
            return self._written - sum(map(_is_whole, file))


def measure(table: Table, directory: str) -> list[Crew]:
    """All installed writers, with their bursts."""
    with ExitStack() as crews:
        taking_part = []
        for writer in PRODUCERS[table.survives]:
            if not is_missing(writer):
                fresh = tempfile.mkdtemp(dir=directory)
                taking_part.append(crews.enter_context(Crew(table, writer, os.path.join(fresh, "audit_trail.jsonl"))))
        for crew in taking_part:
            crew.await_first_records()
        time.sleep(SETTLE_SECONDS)
        for _ in range(BURSTS):
            for crew in taking_part:
                crew.burst()
        return taking_part


def _work(table: Table, writer: str, path: str, barrier: Any, line: Any) -> None:
    """One process: writes a burst whenever it is asked to."""
    producer = PRODUCERS[table.survives][writer](path)
    producer.write(EVENT)
    line.send(1)
    while True:
        try:
            line.recv()
        except EOFError:
            return
        calls: list[list[int]] = [[] for _ in range(table.threads)]
        threads = [threading.Thread(target=_produce, args=(producer, table.calls, timed)) for timed in calls]
        barrier.wait(120)
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        producer.finish()
        line.send(([ns for timed in calls for ns in timed], begin, time.monotonic()))


def _produce(producer: Producer, count: int, timed: list[int]) -> None:
    clock, write = time.perf_counter_ns, producer.write
    for _ in range(count):
        start = clock()
        write(EVENT)
        timed.append(clock() - start)


def _is_whole(line: bytes) -> bool:
    try:
        return bool(json.loads(line)["event"] == EVENT)
    except (ValueError, KeyError):
        return False


def _print(table: Table, directory: str) -> None:
    print(f"\n{table.title}: {BURSTS} x {table.calls} calls in each of {table.processes * table.threads}")
    print(f"{'writer':<26}{'median us':>10}{'ratio':>8}{'p99 us':>10}{'records/s':>12}{'ratio':>8}{'lost':>6}")
    crews = measure(table, directory)
    base = next(crew for crew in crews if crew.writer == BASE)
    for crew in crews:
        nanoseconds = sorted(ns for burst in crew.bursts for ns in burst.nanoseconds)
        pairs = list(zip(crew.bursts, base.bursts, strict=True))
        print(
            f"{crew.writer:<26}{statistics.median(nanoseconds) / 1e3:>10.2f}"
            f"{statistics.median(theirs.median / ours.median for ours, theirs in pairs):>7.2f}x"
            f"{nanoseconds[len(nanoseconds) * 99 // 100] / 1e3:>10.1f}"
            f"{statistics.median(burst.rate for burst in crew.bursts):>12,.0f}"
            f"{statistics.median(ours.rate / theirs.rate for ours, theirs in pairs):>7.2f}x{crew.lost:>6}"
        )
    for writer in filter(is_missing, PRODUCERS[table.survives]):
        print(f"{writer:<26}NOT RUN: not installed")


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as directory:
        for table in TABLES:
            _print(table, directory)


if __name__ == "__main__":
    main()
