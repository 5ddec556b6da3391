"""What it costs to validate a trail, compared with other programs that can say which lines are JSON, in one run.

    python -m benchmarks.validation [MEGABYTES [ROUNDS]]

Two questions, never mixed. *Already running*: each contestant is a separate process that has imported all it needs and
is asked about files; what counts is the work. *Whole commands*: from the start of a program to its exit status, as
somebody at a terminal waits for it.

Rounds alternate, so that a busy machine slows all of them, and the best of each counts. The files are in the page
cache, because this compares judging, not disks. Programs that are not installed (`pip install --group bench`, jq,
simdjson's headers and a compiler) are NOT RUN.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from auditwatch.trail.rules import Rules
from auditwatch.validation.sample import draw_sample
from benchmarks.peers import COMMANDS, PEERS
from benchmarks.shapes import SHAPES, processor, write_trail

MEGABYTES, ROUNDS, COMMAND_MEGABYTES = 100, 5, 300
SLOW = {"original script", "jq"}


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
    def best(self) -> float:
        """Of all rounds, in seconds; 0 if it was not run."""
        return min(self.seconds, default=0.0)

    @property
    def best_cpu(self) -> float:
        """Of all rounds, in seconds of CPU time; 0 if it was not run."""
        return min(self.cpu_seconds, default=0.0)


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
    """Print one row per contestant; ratios are those of CPU seconds, with the peers in one thread."""
    spent = {contestant.name: contestant.best_cpu for contestant in taking_part}
    against = [spent[name] for name in ("original script", "orjson a line", "chDB, 1 thread", "DuckDB, 1 thread")]
    print("| who | GB a CPU second | x original | x orjson a line | x chDB | x DuckDB | GB/s | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for contestant in taking_part:
        if contestant.not_run:
            print(f"| {contestant.name} | NOT RUN: {contestant.not_run} ||||||| ")
            continue
        cpu = contestant.best_cpu
        ratios = " | ".join(f"{peer / cpu:.2f}" if peer else "-" for peer in against)
        rates = f"{size / cpu / 1e9:.2f} | {ratios} | {size / contestant.best / 1e9:.2f}"
        print(f"| {contestant.name} | {rates} | {contestant.peak_bytes / 1e6:.0f} |")


def ran(command: list[str]) -> tuple[float, float, int]:
    """Seconds, CPU seconds with those of its children, and the exit status of one run of a command."""
    begun = time.perf_counter()
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return 0.0, 0.0, -1
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime, process.returncode


def print_commands(path: str, rounds: int) -> None:
    """Print what whole commands take on one file, and how that compares with ours on two cores."""
    best = dict.fromkeys(COMMANDS, (0.0, 0.0))
    for number in range(rounds):
        for name, command in COMMANDS.items():
            if number and name in SLOW:
                continue
            seconds, cpu, status = ran([*command, path])
            if status in (0, 1):
                had = best[name]
                best[name] = (min(had[0] or seconds, seconds), min(had[1] or cpu, cpu))
    ours = best["auditwatch validate --jobs 2"]
    print("| command | seconds | CPU seconds | ours is so many times as fast | ours by CPU |\n|---|---|---|---|---|")
    for name, (seconds, cpu) in best.items():
        ratios = f"{seconds / ours[0]:.2f} | {cpu / ours[1]:.2f}" if seconds else "NOT RUN |"
        print(f"| {name} | {seconds:.3f} | {cpu:.3f} | {ratios} |")


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
    print(f"{processor()}\n")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "audit_trail.jsonl")
        for name, line in SHAPES.items():
            whole = write_trail(path, megabytes * 1_000_000, line)
            size = os.path.getsize(path)
            load = os.getloadavg()[0]
            print(f"### {name}: {size / 1e6:.0f} MB, {whole:,} whole, best of {rounds}, load {load:.1f} before\n")
            print_table(measure(path, whole, rounds), size)
            print(f"\na sample of 100 lines: {sample_milliseconds(path):.1f} ms\n", flush=True)
        for name in ("lines of 275 bytes", "transcripts of 2 kB to 225 kB"):
            write_trail(path, COMMAND_MEGABYTES * 1_000_000, SHAPES[name])
            print(f"### whole commands, {COMMAND_MEGABYTES} MB, {name}, two threads, best of {rounds}\n")
            print_commands(path, rounds)
            print(flush=True)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]))
