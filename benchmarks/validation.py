"""What it costs to validate a trail, compared with other programs that can say which lines are JSON, in one run.

    python -m benchmarks.validation [MEGABYTES [ROUNDS]]

Each contestant is a separate process. Their rounds alternate, so that a busy machine slows all of them, and the tables
show medians. On a busy machine elapsed time says little: rely on the column with CPU time. The files are in the page
cache, because this compares judging, not disks. Programs that are not installed (`pip install --group bench`, jq,
simdjson's headers and a compiler) are NOT RUN.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from auditwatch.trail.rules import Rules
from auditwatch.validation.sample import draw_sample
from benchmarks.peers import PEERS

MEGABYTES, ROUNDS = 200, 3
SLOW = {"original script", "jq"}
RECORD = (
    b'{"timestamp":"2025-10-07T12:00:00.%06d+00:00","event":"TRADE_APPROVED","details":{"symbol":"BTC-USD","side":"buy",'
    b'"quantity":0.25,"price":64123.5,"order":"%011d","limits":{"position":5,"risk":0.013},"strategy":"momentum"},'
    b'"user":"risk-manager","session":"6f1c0a9e42"}\n'
)

Line = Callable[[int], tuple[bytes, bool]]
"""Returns the bytes of the line with a given number, and whether they are one whole line."""


@dataclass(slots=True)
class Contestant:
    """A process that reads a file and says how many of its lines are whole."""

    name: str
    process: subprocess.Popen[bytes]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    not_run: str = ""

    def ask(self, path: str, whole: int, *, counts: bool) -> None:
        """Let it run once."""
        if self.not_run:
            return
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(path.encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"not_run": "it crashed"}')
        self.not_run = answer.get("not_run", "")
        if self.not_run:
            return
        if answer["whole"] != whole:
            raise SystemExit(f"{self.name} counted {answer['whole']} of {whole} whole lines")
        self.peak_bytes = answer["peak_bytes"]
        if counts:
            self.seconds.append(answer["seconds"])
            self.cpu_seconds.append(answer["cpu_seconds"])

    @property
    def median(self) -> float:
        """Median of all rounds, in seconds; 0 if it was not run."""
        return statistics.median(self.seconds) if self.seconds else 0.0


def short(n: int) -> tuple[bytes, bool]:
    """A line of 275 bytes, as a risk manager writes it."""
    return RECORD % (n % 1_000_000, n), True


def stamped(n: int) -> tuple[bytes, bool]:
    """A line with number and hash at the end."""
    return RECORD[:-2] % (n % 1_000_000, n) + b',"_seq":%d,"_prev":"%s"}\n' % (n + 1, b"ab" * 32), True


def damaged(n: int) -> tuple[bytes, bool]:
    """A line; one in a hundred is torn, or glued to a piece of another."""
    line = RECORD % (n % 1_000_000, n)
    if n % 100:
        return line, True
    cut = random.Random(n).randrange(1, len(line) - 2)
    return (line[:cut] + (b"\n" if n % 200 else line)), False


def long(positions: int) -> Line:
    """A record with this many positions in it."""
    legs = [
        {"symbol": f"SYM{i}", "quantity": i / 4, "price": 64123.5 + i, "note": "overnight"} for i in range(positions)
    ]
    record = {"timestamp": "2025-10-07T12:00:00Z", "event": "SNAPSHOT", "positions": legs}
    body = json.dumps(record, separators=(",", ":")).encode() + b"\n"
    return lambda _n: (body, True)


CASES: dict[str, Line] = {
    "lines of 275 bytes": short,
    "stamped lines of 363 bytes": stamped,
    "275 bytes, 1 % damaged": damaged,
    "lines of 4 kB": long(62),
    "lines of 100 kB": long(1550),
}


def write_trail(path: str, size: int, line: Line = short) -> int:
    """Write lines until the file is that big; returns how many of them are whole."""
    whole = 0
    with open(path, "wb") as trail:
        for number in count():
            body, is_whole = line(number)
            trail.write(body)
            whole += is_whole
            if number % 100 == 99 and trail.tell() >= size:
                return whole
    return whole


@contextmanager
def contestants() -> Iterator[list[Contestant]]:
    """All contestants, started."""
    asked = [sys.executable, "-m", "benchmarks.peers"]
    taking_part = [
        Contestant(name, subprocess.Popen([*asked, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for name in PEERS
    ]
    try:
        yield taking_part
    finally:
        for contestant in taking_part:
            contestant.process.communicate()


def measure(path: str, whole: int, rounds: int) -> list[Contestant]:
    """Let all contestants run in turn, first once to warm up; the slow ones run only once."""
    with contestants() as taking_part:
        for number in range(rounds + 1):
            for contestant in taking_part:
                is_slow = contestant.name in SLOW
                if number < 1 or not is_slow:
                    contestant.ask(path, whole, counts=is_slow or number > 0)
        return taking_part


def print_table(taking_part: list[Contestant], size: int) -> None:
    """Print one row per contestant; ratios compare it with three of them."""
    by_name = {contestant.name: contestant.median for contestant in taking_part}
    original, orjson_line = by_name["original script"], by_name["orjson a line"]
    chdb = by_name["chDB isValidJSON, 2 threads"]
    print("| who | seconds | GB/s | x original | x orjson a line | x chDB, 2 threads | GB a CPU second | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for contestant in taking_part:
        if contestant.not_run:
            print(f"| {contestant.name} | NOT RUN: {contestant.not_run} ||||||| ")
            continue
        seconds = contestant.median
        ratios = (f"{peer / seconds:.2f}" if peer else "-" for peer in (original, orjson_line, chdb))
        a_core = size / statistics.median(contestant.cpu_seconds) / 1e9
        rates = f"{seconds:.3f} | {size / seconds / 1e9:.2f} | {' | '.join(ratios)} | {a_core:.2f}"
        print(f"| {contestant.name} | {rates} | {contestant.peak_bytes / 1e6:.0f} |")


def sample_milliseconds(path: str) -> float:
    """Median time of a sample of 100 lines, in milliseconds."""
    descriptor = os.open(path, os.O_RDONLY)
    times = []
    for seed in range(21):
        begun = time.perf_counter()
        draw_sample(descriptor, os.fstat(descriptor).st_size, Rules(), 100, seed)
        times.append(time.perf_counter() - begun)
    os.close(descriptor)
    return statistics.median(times) * 1000


def main(arguments: tuple[str, ...] = ()) -> None:
    """Print the tables."""
    megabytes, rounds = [int(value) for value in arguments] + [MEGABYTES, ROUNDS][len(arguments) :]
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "audit_trail.jsonl")
        for name, line in CASES.items():
            whole = write_trail(path, megabytes * 1_000_000, line)
            size = os.path.getsize(path)
            load = os.getloadavg()[0]
            print(f"### {name}: {size / 1e6:.0f} MB, {whole:,} whole, {rounds} rounds, load {load:.1f} before\n")
            print_table(measure(path, whole, rounds), size)
            print(f"\na sample of 100 lines: {sample_milliseconds(path):.1f} ms\n", flush=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
