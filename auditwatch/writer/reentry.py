"""Appends that came in the middle of another append of the same thread, and wait until it has ended.

A signal handler (or a finaliser that the garbage collector runs) cannot wait for the thread that it interrupts. With
`reentrant="after"` its record waits here, and the interrupted append stores it at its own end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from auditwatch.errors import AuditWriteError
from auditwatch.writer import forks
from auditwatch.writer.failures import warn

Append = Callable[[], None]


class _Waiting:
    """What each thread still has to append; almost always empty."""

    def __init__(self) -> None:
        self.of_thread: dict[int, list[Append]] = {}
        forks.remember(self)

    def abandon(self) -> None:
        """In a forked child: the parent stores what is waiting."""
        self.of_thread.clear()


_waiting: Final = _Waiting()

of_thread: Final = _waiting.of_thread
"""Every append checks at its end whether this is empty, which costs next to nothing."""


def later(append: Append) -> None:
    """Have the append that this thread is in the middle of do this one too, at its end."""
    of_thread.setdefault(threading.get_ident(), []).append(append)


def catch_up() -> None:
    """Do what is waiting for this thread; warn of what fails, because its caller has gone on.

    An append that still finds itself in the middle of another one waits again.
    """
    thread = threading.get_ident()
    mine = of_thread.get(thread, [])
    # No call from here to `try`, nor between a look at the first and its removal: a signal handler could lose them.
    if mine:
        del of_thread[thread]
    try:
        while mine:
            append = mine[0]
            del mine[0]
            _attempt(append)
    finally:  # on_failure= raised something, or a signal handler: leave the rest to the next append
        if mine:
            of_thread[thread] = mine + of_thread.get(thread, [])


def _attempt(append: Append) -> None:
    try:
        append()
    except AuditWriteError as error:
        warn(f"{error} (it came in the middle of another append)")
