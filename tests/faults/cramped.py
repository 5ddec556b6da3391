"""Appends where writes are cut short, and looks at the trail after each: `python -m tests.faults.cramped HOW ...`.

What it saw goes into memory that is mapped before: under `fiu-run`, its own output could be cut short as well.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import sys
from contextlib import suppress
from typing import Any, Final

from auditwatch import AuditWriteError
from tests.faults.nursery import Writer, made_by

ANSWER_BYTES: Final = 4096
PAGE: Final = 4096
ROUNDS_OF_CHANCE: Final = 300


class Look:
    """A trail, and what each append left in it.

    Args:
        trail: The trail.
        writer: Appends to it.
    """

    def __init__(self, trail: str, writer: Writer) -> None:
        self._trail = trail
        self._append = made_by(writer)
        self._pad = "x" * writer.pad
        self._acknowledged: list[int] = []
        self._number = 0
        self.seen = {"tries": 0, "raised": 0, "torn": 0, "lost": 0, "unwanted": 0}

    def length(self) -> int:
        """Of a line that is appended in peace."""
        before = self._size()
        self.append()
        return self._size() - before

    def append(self) -> None:
        """Append, and count what is wrong in the trail now."""
        self._number += 1
        self.seen["tries"] += 1
        try:
            self._append({"number": self._number, "pad": self._pad})
        except AuditWriteError:
            self.seen["raised"] += 1
        else:
            self._acknowledged.append(self._number)
        self._count(self._content())

    def begin_anew(self, content: bytes) -> None:
        """Let the trail hold this alone."""
        descriptor = os.open(self._trail, os.O_WRONLY | os.O_TRUNC)
        while content:
            content = content[os.write(descriptor, content) :]
        os.close(descriptor)
        self._acknowledged.clear()

    def _count(self, content: bytes) -> None:
        *lines, tail = content.split(b"\n")
        parsed = [_parsed(line) for line in lines]
        found = [record["number"] for record in parsed if record is not None and "number" in record]
        self.seen["torn"] += bool(tail) + parsed.count(None)
        self.seen["lost"] += len(set(self._acknowledged) - set(found))
        self.seen["unwanted"] += len(set(found) - set(self._acknowledged))

    def _content(self) -> bytes:
        with open(self._trail, "rb") as file:
            return file.read()

    def _size(self) -> int:
        return os.stat(self._trail).st_size if os.path.exists(self._trail) else 0


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def limit(look: Look, trail: str) -> None:
    """A limit on the size of files, at every byte of a line."""
    length = look.length()
    for room in range(length):
        # Only the soft limit: the counters file lies beside, preallocated and larger than it.
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(trail).st_size + room, resource.RLIM_INFINITY))
        look.append()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    look.append()


def disk(look: Look, trail: str) -> None:
    """A small tmpfs, full but for the rest of the page on which the trail ends: at every byte of a line."""
    length = look.length()
    ballast = os.path.join(os.path.dirname(trail), "ballast")
    for room in range(length):
        look.begin_anew(b'{"pad":"%b"}\n' % (b"x" * (PAGE - room - 11)))
        descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        with suppress(OSError):
            while os.write(descriptor, bytes(PAGE)):
                pass
        os.close(descriptor)
        look.append()
        os.unlink(ballast)
        look.append()


def chance(look: Look, trail: str) -> None:
    """Writes that another process cuts short at random."""
    for _ in range(ROUNDS_OF_CHANCE):
        look.append()


def report(seen: dict[str, int], path: str) -> None:
    """Say it where no write can be cut short."""
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), ANSWER_BYTES) as memory:
        said = json.dumps(seen).encode()
        memory[: len(said)] = said


def main() -> None:
    """Do as the arguments say: how, trail, answer, writer as JSON."""
    how, trail, answer, asked = sys.argv[1:]
    writer = Writer(trail, "", 0, **json.loads(asked))
    look = Look(trail, writer)
    {"limit": limit, "disk": disk, "chance": chance}[how](look, trail)
    report(look.seen, answer)


if __name__ == "__main__":
    main()
