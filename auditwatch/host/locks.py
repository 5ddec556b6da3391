"""Who holds the lock on a file."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

PROC: Final = "/proc"

# proc_locks(5); a line with `->` waits for the lock of the line above it.
_FLOCK: Final = re.compile(r"^\d+: FLOCK\s+\w+\s+\w+\s+(-?\d+)\s+([0-9a-f]+):([0-9a-f]+):(\d+)\s", re.MULTILINE)


class Holder(NamedTuple):
    """A process that took a lock.

    Attributes:
        pid: Its number; not positive where it lives in another pid namespace.
        name: Its name with control characters replaced, or None where it cannot be read.
    """

    pid: int
    name: str | None

    def __str__(self) -> str:
        if self.pid <= 0:
            return "a process of another container"
        return f"process {self.pid}" + (f" ({self.name})" if self.name else "")


def flock_holders(device: int, inode: int, *, proc: str = PROC) -> list[Holder]:
    """The processes that hold a flock on a file, those that only wait left out.

    Empty where nobody does, or where the kernel does not tell: btrfs and overlay number devices differently
    there than `stat` does.

    Args:
        device: As `stat` gives it.
        inode: As `stat` gives it.
        proc: Where the kernel's view of processes and locks is.
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
    except OSError:
        return ""
