"""Shows, without any code of ours, that ext4 can say "synced" to one process while it tells another of a failure.

`python -m tests.faults.ext4_race 60`, as root: on so many disks, processes append to one file and sync each line, until
the disk has no more room for what ext4 promised. Whatever a process was told to be on disk is looked for afterwards.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tests.faults.abilities import image, mounted

PROCESSES = 3
LINES = 500
PAD = b"x" * 20_000


def append_and_sync(path: Path, who: int, synced: mmap.mmap) -> NoReturn:
    """Note how many lines are on disk, until one is not."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for number in range(LINES):
            os.write(descriptor, b"%d %d %b\n" % (who, number, PAD))
            os.fdatasync(descriptor)
            synced[2 * who : 2 * who + 2] = (number + 1).to_bytes(2, "little")
    finally:
        os._exit(0)


def run(directory: Path, megabytes: int, synced: mmap.mmap) -> list[bytes]:
    """One disk; the lines of its file after the next mount."""
    with mounted(directory / "memory", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs") as memory:
        disk, place = str(image(memory / "image", "ext4")), directory / "disk"
        with mounted(place, "-o", "loop", disk):
            at_once(lambda who: append_and_sync(place / "file", who, synced))
            # Room again, for what the journal holds already.
            subprocess.run(["mount", "-o", "remount,size=64m", memory], check=True)
        with mounted(place, "-o", "loop", disk):
            return (place / "file").read_bytes().split(b"\n")


def at_once(work: Callable[[int], NoReturn]) -> None:
    """Several processes, to their end."""
    pids = [os.fork() or work(who) for who in range(PROCESSES)]
    for pid in pids:
        os.waitpid(pid, 0)


def main() -> None:
    """Say on which disks something is missing."""
    disks, bad = int(sys.argv[1]), 0
    for number in range(disks):
        synced = mmap.mmap(-1, 2 * PROCESSES)
        with tempfile.TemporaryDirectory() as directory:
            there = set(run(Path(directory), 6 + number % 5, synced))
        said = [int.from_bytes(synced[2 * who : 2 * who + 2], "little") for who in range(PROCESSES)]
        missing = [
            (who, n) for who, count in enumerate(said) for n in range(count) if b"%d %d %b" % (who, n, PAD) not in there
        ]
        bad += bool(missing)
        if missing:
            sys.stdout.write(f"disk {number}: said to be synced: {said}; missing (process, line): {missing}\n")
    sys.stdout.write(f"{bad} of {disks} disks\n")


if __name__ == "__main__":
    main()
