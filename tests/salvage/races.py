"""Trails that were really damaged: by producers without a lock, by kill -9, by holes; with all that was written."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

PRODUCER = Path(__file__).with_name("racing_producer.py")
PROCESSES = 8
PAGE = 4096
_FALLOC_FL_KEEP_SIZE, _FALLOC_FL_PUNCH_HOLE = 1, 2


@dataclass(frozen=True)
class Truth:
    """A trail and all records that any producer tried to write into it."""

    path: Path
    written: frozenset[bytes]

    def still_there(self) -> set[bytes]:
        """Those that a damaged line holds in full: all their bytes, side by side."""
        data = self.path.read_bytes()
        on_their_own = {line.strip(b" \t\r") for line in data.split(b"\n")}
        return {record for record in self.written - on_their_own if record in data}


def race(directory: Path, patterns: Sequence[str], count: int, seed: int, kill: bool = False) -> Truth:
    """Let `PROCESSES` producers loose on one trail, all at once.

    Args:
        directory: Empty.
        patterns: Of the producers in turn.
        count: Records of each.
        seed: Of what they write; when they do, the machine decides.
        kill: Whether to kill -9 each producer but the last at some moment, and replace it.
    """
    trail = directory / "trail.jsonl"
    trail.touch()
    with ExitStack() as stack:
        running = []
        for number in range(PROCESSES):
            pattern = patterns[number % len(patterns)]
            notes = str(directory / f"notes-{number}")
            command = [sys.executable, str(PRODUCER), pattern, str(trail), notes, f"{seed}{number}", str(count)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            running.append(stack.enter_context(process))
        _start(running)
        if kill:
            _kill_in_turn(running[:-1], trail)
    return Truth(trail, frozenset(_noted(directory)))


def punch_holes(trail: Path, holes: int, seed: int) -> None:
    """Make NUL bytes of whole pages, as a power cut does."""
    random, size = Random(seed), trail.stat().st_size
    with trail.open("r+b") as file:
        for _ in range(holes):
            start = random.randrange(max(1, size // PAGE)) * PAGE
            mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
            length = min(PAGE * random.randrange(1, 3), size - start)
            lost = ctypes.CDLL(None, use_errno=True).fallocate(
                file.fileno(), mode, ctypes.c_long(start), ctypes.c_long(length)
            )
            if lost:
                raise OSError(ctypes.get_errno(), "fallocate")


def _start(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()


def _kill_in_turn(running: list[subprocess.Popen[bytes]], trail: Path) -> None:
    """One after the other, each after the trail has grown a bit further."""
    for process in running:
        size = trail.stat().st_size
        while process.poll() is None and trail.stat().st_size < size + 20_000:
            os.sched_yield()
        process.kill()


def _noted(directory: Path) -> set[bytes]:
    lines = (path.read_bytes().split(b"\n") for path in directory.glob("notes-*"))
    return {record for some in lines for record in some if record}
