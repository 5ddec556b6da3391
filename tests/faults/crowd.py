"""Many at once in one program: threads, forked children, pools, signal handlers.

Run as `python -m tests.faults.crowd SCENARIO ...` (see `main`). Each producer has its own number in
the acknowledgements. Ends with status 0 if every producer has ended by itself.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from auditwatch import AuditWriteError, AuditWriter
from tests.faults.acknowledgements import MOST_RECORDS, Acknowledgements, Outcome
from tests.faults.nursery import Writer, made_by

Append = Callable[[dict[str, Any]], None]
PARENTS: Final = 4
WORKERS: Final = 4
EACH: Final = 20
HANDLER: Final = 1
PATIENCE_SECONDS: Final = 60
SIGNALS_SECONDS: Final = 3e-4


class Producer:
    """Appends for several numbers, and tells.

    Args:
        append: Of the writer that all share.
        told: Where to tell.
    """

    def __init__(self, append: Append, told: Acknowledgements) -> None:
        self._append = append
        self._told = told

    def produce(self, who: int, records: int = EACH) -> None:
        """Append so many records."""
        for number in range(records):
            self.one(who, number)

    def until_the_end(self, who: int) -> None:
        """Append until the test has what it wanted."""
        for number in range(MOST_RECORDS):
            if self._told.is_end():
                break
            self.one(who, number)

    def one(self, who: int, number: int) -> None:
        """Append one record."""
        self._told.note(who, number, Outcome.BEGUN)
        try:
            self._append({"who": who, "number": number, "pad": "x" * 50})
        except AuditWriteError as error:
            outcome = Outcome.NOT_STORED if error.stored == "no" else Outcome.UNKNOWN
        else:
            outcome = Outcome.ACKNOWLEDGED
        self._told.note(who, number, outcome)


def threads(producer: Producer, told: Acknowledgements, count: int) -> None:
    """So many threads on one writer."""
    together([threading.Thread(target=producer.produce, args=(who,)) for who in range(count)])


def forks(producer: Producer, told: Acknowledgements, count: int) -> None:
    """Children that are forked while threads of the parent hold the locks, and append with what they inherited."""
    parents = [threading.Thread(target=producer.until_the_end, args=(who,)) for who in range(PARENTS)]
    for thread in parents:
        thread.start()
    for child in range(count):
        pid = os.fork()
        if not pid:
            producer.produce(PARENTS + child)
            os._exit(0)
        wait_for(pid)
    told.note_end()
    for thread in parents:
        thread.join()


def wait_for(pid: int) -> None:
    """A child that hangs is a failure."""
    waited = os.pidfd_open(pid)
    if not select.select([waited], [], [], PATIENCE_SECONDS)[0]:
        os.kill(pid, signal.SIGKILL)
        raise TimeoutError("a forked child hangs")
    os.close(waited)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise ChildProcessError("a forked child failed")


def pool(producer: Producer, told: Acknowledgements, count: int) -> None:
    """A pool of forked workers that share what the parent has opened, and used."""
    producer.one(count, 0)
    global _shared  # noqa: PLW0603  how a pool inherits
    _shared = producer
    with multiprocessing.get_context("fork").Pool(WORKERS) as workers:
        workers.map(_produce_shared, range(count), chunksize=1)


def pickled(producer: Producer, told: Acknowledgements, count: int) -> None:
    """A pool of workers that begin from nothing and get a pickled writer with each task."""
    writer = AuditWriter(sys.argv[4])
    with multiprocessing.get_context("spawn").Pool(WORKERS) as workers:
        workers.starmap(_produce_pickled, [(writer, sys.argv[5], who) for who in range(count)], chunksize=1)


def signals(producer: Producer, told: Acknowledgements, count: int) -> None:
    """A signal handler that appends, also in the middle of an append."""
    numbers = iter(range(60_000))
    signal.signal(signal.SIGALRM, lambda *_: producer.one(HANDLER, next(numbers)))
    signal.setitimer(signal.ITIMER_REAL, SIGNALS_SECONDS, SIGNALS_SECONDS)
    producer.produce(0, count * EACH)
    signal.setitimer(signal.ITIMER_REAL, 0)


_shared: Producer | None = None


def _produce_shared(who: int) -> None:
    assert _shared is not None
    _shared.produce(who)


def _produce_pickled(writer: AuditWriter, told: str, who: int) -> None:
    Producer(writer.append, Acknowledgements(told)).produce(who)


def together(many: list[threading.Thread]) -> None:
    """All at once, to their end."""
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()


def main() -> None:
    """Do as the arguments say: scenario, how many, options as JSON, trail, acknowledgements, whether homemade."""
    scenario, count, options, trail, told_path, homemade = sys.argv[1:]
    told = Acknowledgements(told_path)
    append = made_by(Writer(trail, told_path, 0, options=json.loads(options), homemade=homemade == "homemade"))
    play = {"threads": threads, "forks": forks, "pool": pool, "pickled": pickled, "signals": signals}[scenario]
    play(Producer(append, told), told, int(count))


if __name__ == "__main__":
    main()
