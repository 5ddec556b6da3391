"""A process whose children are writers: forked, so a round of sixteen costs milliseconds, and killed at will.

Run as `python -m tests.faults.nursery`: takes commands as JSON, one a line, and answers each with a line. When its
standard input ends, it kills what is left and ends.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.writer import failpoints
from tests.faults.acknowledgements import MOST_RECORDS, Acknowledgements, Outcome
from tests.faults.known_writers import Homemade

ROOT = Path(__file__).parents[2]
REFUSED = 3
LOCK_KEPT = 4

_PAUSE_SECONDS = 1e-3
"""Behind a failure, lest all records be tried before the test has taken the fault away."""


@dataclass(frozen=True)
class Writer:
    """What one child does: append records until it is killed or has appended enough.

    Attributes:
        trail: Into this.
        told: The file of acknowledgements.
        number: Of the writer, in its records and in the acknowledgements.
        pad: Bytes that make each record longer.
        options: Of `AuditWriter`; of `Homemade`, if `homemade`.
        homemade: Whether the writer is one of the known ones.
        most: Records.
        failpoints: As the environment names them; the child alone has them.
        rest_seconds: Pause behind each record, for who watches and is slower.
        stops: Whether an error ends it; else it goes on with the next record.
        traced: Whether it stops before it begins, until SIGCONT, and asks for its parent when it is done; its status
            is then `LOCK_KEPT` if it still holds the lock that nobody else can want.
    """

    trail: str
    told: str
    number: int
    pad: int = 20
    options: dict[str, Any] = field(default_factory=dict)
    homemade: bool = False
    most: int = MOST_RECORDS
    failpoints: str = ""
    rest_seconds: float = 0.0
    stops: bool = True
    traced: bool = False


class Nursery:
    """The test's side: a context that starts the process."""

    def __init__(self, *prefix: str) -> None:
        # What cannot be counted is warned of, and no matter here.
        command = [*prefix, sys.executable, "-W", "ignore::RuntimeWarning", "-m", "tests.faults.nursery"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait(60)

    def spawn(self, writers: Sequence[Writer]) -> list[int]:
        """Let writers loose, as many processes; their ids."""
        return self._ask([asdict(writer) for writer in writers])

    def reap(self) -> list[int]:
        """Wait until all have ended; their exit statuses in order, a signal as its negative number."""
        return self._ask("reap")

    def _ask(self, what: object) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer: list[int] = json.loads(self._process.stdout.readline())
        return answer


def grow(writer: Writer, told: Acknowledgements) -> None:
    """Append and tell, record by record.

    Raises:
        AuditWriteError: If the writer is to stop at the first.
    """
    made = made_by(writer)
    pad = "x" * writer.pad
    for number in range(writer.most):
        if told.is_end():
            break
        told.note(writer.number, number, Outcome.BEGUN)
        is_late = told.is_trouble()
        try:
            made({"who": writer.number, "number": number, "pad": pad})
        except AuditWriteError as error:
            outcome = Outcome.NOT_STORED if error.stored == "no" else Outcome.UNKNOWN
            told.note(writer.number, number, outcome)
            told.note_trouble()
            if writer.stops:
                raise
            time.sleep(_PAUSE_SECONDS)  # no test waits for this: a producer that meets a full disk does not spin
        else:
            told.note(writer.number, number, Outcome.ACKNOWLEDGED)
            if is_late:
                told.note_late(writer.number)
        if writer.rest_seconds:
            time.sleep(writer.rest_seconds)  # nor for this: it is how fast this producer is


def made_by(writer: Writer) -> Callable[[dict[str, Any]], None]:
    """The `append` of a new writer."""
    if writer.homemade:
        return Homemade(writer.trail, **writer.options).append
    return AuditWriter(writer.trail, **writer.options).append


def _note_syncs(writer: Writer, told: Acknowledgements) -> None:
    """Have each sync that succeeds tell how many records had been acknowledged when it began."""
    true_sync = os.fdatasync

    def sync(descriptor: int) -> None:
        acknowledged = told.outcomes(writer.number).count(Outcome.ACKNOWLEDGED)
        true_sync(descriptor)
        told.note_synced(writer.number, max(acknowledged, told.synced(writer.number)))

    os.fdatasync = sync


def _child(writer: Writer) -> NoReturn:
    status = 1
    try:
        # Several children of one parent must not all roll the same dice.
        random.seed()
        os.nice(5)  # the process that kills them must get its turn
        failpoints.armed = failpoints.parse(writer.failpoints)  # type: ignore[misc]
        told = Acknowledgements(writer.told)
        if writer.options.get("durability") == "interval":
            _note_syncs(writer, told)
        status = _traced(writer, told) if writer.traced else _grown(writer, told)
    except BaseException:  # noqa: BLE001  whatever it is, it is told
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        sys.stderr.flush()
        os._exit(status)


def _grown(writer: Writer, told: Acknowledgements) -> int:
    try:
        grow(writer, told)
    except AuditWriteError:
        return REFUSED
    return 0


def _traced(writer: Writer, told: Acknowledgements) -> int:
    os.kill(os.getpid(), signal.SIGSTOP)
    status = _grown(writer, told)
    os.getppid()
    try:
        descriptor = os.open(writer.trail, os.O_RDWR)
    except FileNotFoundError:
        return status
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return LOCK_KEPT
    return status


def _fork(writer: Writer) -> int:
    pid = os.fork()
    return pid or _child(writer)


def _reap(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def main() -> None:
    """Do what is asked until standard input ends."""
    assert threading.active_count() == 1
    # What is imported when a writer is made: a fault in an import would be one of Python's.
    for name in ("ballast", "chain", "group", "predecessors", "rotation", "serialise"):
        importlib.import_module(f"auditwatch.writer.{name}")
    running: list[int] = []
    for line in sys.stdin:
        asked = json.loads(line)
        if asked == "reap":
            answer, running = _reap(running), []
        else:
            answer = [_fork(Writer(**writer)) for writer in asked]
            running += answer
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    _reap(running)


if __name__ == "__main__":
    main()
