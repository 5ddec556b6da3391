"""Which processes hold the lock on a file."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

PROC: Final = "/proc"

# proc_locks(5); a line with `->` is a process waiting for the lock in the line above it.
_FLOCK: Final = re.compile(r"^\d+: FLOCK\s+\w+\s+\w+\s+(-?\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s", re.MULTILINE)


class Holder(NamedTuple):
    """A process that took a lock.

    Attributes:
        pid: Number of the process; not positive if it is in another pid namespace.
        name: Name of the process, with control characters replaced; None if it cannot be read.
    """

    pid: int
    name: str | None

    def __str__(self) -> str:
        if self.pid <= 0:
            return "a process in another container"
        return f"process {self.pid}" + (f" ({self.name})" if self.name else "")


def flock_holders(device: int, inode: int, *, proc: str = PROC) -> list[Holder]:
    """The processes that hold a flock on a file, without those that only wait for it.

    Empty if no process does, or if the kernel does not say: on btrfs and overlay, it numbers devices differently
    there than in `stat`.

    Args:
        device: Device number from `stat`.
        inode: Inode number from `stat`.
        proc: Path of the kernel's view of processes and locks.
    """
    asked = (os.major(device), os.minor(device), inode)
    found = _FLOCK.findall(_read(f"{proc}/locks"))
    pids = [int(pid) for pid, *place in found if _place(*place) == asked]
    return [Holder(pid, _process_name(pid, proc)) for pid in dict.fromkeys(pids)]


def _place(major: str, minor: str, inode: str) -> tuple[int, int, int]:
    return int(major, 16), int(minor, 16), int(inode)


def _process_name(pid: int, proc: str) -> str | None:
    name = _read(f"{proc}/{pid}/comm").rstrip("\n")
    return "".join(char if char.isprintable() else "?" for char in name) or None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        if error.errno is None:  # a signal handler raised it
            raise
        return ""
