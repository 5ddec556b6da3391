"""Producers of the demo, one per process: two append as they should, two cause damage as real programs do.

Run as `python -m auditwatch.cli.demo_producer KIND TRAIL`. Standard input is the leash: each producer ends when it is
closed, so that none outlives the demo, even if the demo is killed.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

_EVENTS: Final = ("TRADE_APPROVED", "TRADE_REJECTED", "POSITION_UPDATED", "KILL_SWITCH")
_LOOKS: Final = 200
_LOOK_SECONDS: Final = 0.005  # together at most one second until another process has appended


def main(kind: str, path: str) -> None:
    """Produce until standard input is closed."""
    PRODUCERS[kind](path)


def is_leash_cut(seconds: float) -> bool:
    """Wait; returns whether the demo has ended."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def append_rightly(path: str) -> None:
    """Five records a second through the locked writer."""
    from auditwatch import AuditWriter

    number = 0
    with AuditWriter(path) as audit:
        while not is_leash_cut(0.2):
            number += 1
            audit.append(_record(number))


def append_in_two_writes(path: str) -> None:
    """Every few seconds half a record, and the other half once another process has appended in between."""
    while not is_leash_cut(7.0):
        line = _line()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, line[: len(line) // 2])
            _await_growth(descriptor)
            os.write(descriptor, line[len(line) // 2 :])
        finally:
            os.close(descriptor)


def append_without_o_append(path: str) -> None:
    """Every few seconds a record at what was the end before another process appended: it overwrites what came since."""
    while not is_leash_cut(11.0):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.lseek(descriptor, 0, os.SEEK_END)
            _await_growth(descriptor)
            os.write(descriptor, _line())
        finally:
            os.close(descriptor)


PRODUCERS: Final[dict[str, Callable[[str], None]]] = {
    "locked": append_rightly,
    "two-writes": append_in_two_writes,
    "no-o-append": append_without_o_append,
}


def _await_growth(descriptor: int) -> None:
    """Make the race certain: wait until another process has appended."""
    size = os.fstat(descriptor).st_size
    for _ in range(_LOOKS):
        if os.fstat(descriptor).st_size != size or is_leash_cut(_LOOK_SECONDS):
            return


def _record(number: int) -> dict[str, object]:
    details = {"symbol": "BTC-USD", "quantity": number, "process": os.getpid()}
    return {"event": _EVENTS[number % len(_EVENTS)], "details": details}


def _line() -> bytes:
    record = {"timestamp": datetime.now(UTC).isoformat(), "event": "TRADE_APPROVED", "details": {"by": "no lock"}}
    return json.dumps(record).encode() + b"\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
