"""One producer of a race: appends records to a trail as real programs do, and notes each record before it writes it.

Run as `python racing_producer.py PATTERN TRAIL NOTES SEED COUNT`; waits for a line on standard input, so that all
producers of a race begin together. NOTES then holds every record that may be in the trail, one a line.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from random import Random

EVENTS = ["TRADE_APPROVED", "TRADE_REJECTED", "POSITION_UPDATED", "KILL_SWITCH"]
REASONS = ["draw-down {limit}", 'said "stop", twice', "é漢😀", "[a, b]", ""]

Record = dict[str, object]


def record(random: Random, number: int, size: int) -> Record:
    """A record with objects inside, some of which look whole by themselves."""
    event = random.choice(EVENTS)
    details: Record = {"symbol": random.choice(["BTC-USD", "ETH-USD"]), "quantity": random.random(), "n": number}
    if event == "KILL_SWITCH":
        details = {"reason": random.choice(REASONS), "limits": [{"name": "daily", "at": 0.1}, {}]}
    if size:
        details["book"] = [{"price": random.random(), "size": random.randrange(100)} for _ in range(size // 45)]
    return {"event": event, "id": f"{os.getpid()}-{number}", "details": details, "by": {"process": os.getpid()}}


def one_write(trail: str, made: Record) -> None:
    """The right way: the whole line in one write."""
    append(trail, [json.dumps(made) + "\n"])


def two_writes(trail: str, made: Record) -> None:
    """The line, and then its newline in a second write."""
    append(trail, [json.dumps(made), "\n"])


def halves(trail: str, made: Record) -> None:
    """A stream whose buffer is full in the middle of the record."""
    line = json.dumps(made) + "\n"
    cut = zlib.crc32(line.encode()) % len(line)
    append(trail, [line[:cut], line[cut:]])


def json_dump(trail: str, made: Record) -> None:
    """What `json.dump` into a file amounts to: as many writes as its buffer fills."""
    with open(trail, "a") as stream:
        json.dump(made, stream)
        stream.write("\n")


def no_o_append(trail: str, made: Record) -> None:
    """Where the end was a moment ago."""
    descriptor = os.open(trail, os.O_WRONLY)
    os.lseek(descriptor, 0, os.SEEK_END)
    os.sched_yield()
    os.write(descriptor, json.dumps(made).encode() + b"\n")
    os.close(descriptor)


def append(trail: str, pieces: list[str]) -> None:
    """Each piece in a separate write."""
    descriptor = os.open(trail, os.O_WRONLY | os.O_APPEND)
    for piece in pieces:
        os.write(descriptor, piece.encode())
        os.sched_yield()  # two processors race less than the sixteen of a trading host
    os.close(descriptor)


PATTERNS: dict[str, tuple[Callable[[str, Record], None], int]] = {
    "one_write": (one_write, 0),
    "two_writes": (two_writes, 0),
    "halves": (halves, 0),
    "json_dump": (json_dump, 20_000),
    "no_o_append": (no_o_append, 0),
}


def main(pattern: str, trail: str, notes: str, seed: str, count: str) -> None:
    write, size = PATTERNS[pattern]
    random = Random(int(seed))
    with open(notes, "wb", buffering=0) as noted:
        os.write(1, b"ready\n")
        sys.stdin.readline()
        for number in range(int(count)):
            made = record(random, number, random.randrange(size + 1))
            noted.write(json.dumps(made).encode() + b"\n")
            write(trail, made)


if __name__ == "__main__":
    main(*sys.argv[1:])
