"""Group commit: threads that wait for the disk are stored together, with one write and one sync.

A thread that arrives while no commit is running leads: it gives the threads that took part recently a moment to come
back with their next line, no longer than a commit takes, and commits for all that wait. The others only queue and
sleep, so sixteen threads do not fight for the locks of the trail either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from auditwatch.errors import AuditWriteError
from auditwatch.writer import forks
from auditwatch.writer.failures import copy_of

_LONGEST_GATHER_SECONDS: Final = 2e-3


class _Waiter:
    """One thread and its lines."""

    __slots__ = ("began", "error", "free", "leads", "lines", "thread", "woken")

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.began = time.monotonic()
        self.thread = threading.get_ident()
        self.leads = False
        self.free = False
        self.error: AuditWriteError | None = None
        self.woken = threading.Lock()
        self.woken.acquire()


class GroupCommit:
    """Commits the lines of threads together.

    Args:
        commit: Stores lines and returns whether the locks were free; raises AuditWriteError. Its second argument is
            when the timeout begins (`time.monotonic`): when the thread that has waited longest came.
        interrupted: Makes the error for threads whose leader was interrupted in the middle.
    """

    def __init__(
        self, commit: Callable[[list[bytes], float], bool], interrupted: Callable[[], AuditWriteError]
    ) -> None:
        self._commit = commit
        self._interrupted = interrupted
        self._begin()
        forks.remember(self)

    def _begin(self) -> None:
        # An RLock, because a signal handler may append while its thread is here.
        self._lock = threading.RLock()
        self._waiting: list[_Waiter] = []
        self._is_led = False
        self._inside: set[int] = set()
        self._lately: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
        self._all_here = threading.Lock()
        self._seconds = 0.0

    def abandon(self) -> None:
        """In a forked child: the waiting threads do not exist here."""
        self._begin()

    def store(self, lines: list[bytes]) -> bool:
        """Commit lines, alone or with others; returns whether the locks were free at once.

        Raises:
            AuditWriteError: If that failed.
        """
        thread = threading.get_ident()
        if thread in self._inside:  # a signal handler that interrupts a wait cannot wait for itself
            return self._commit(lines, time.monotonic())
        self._inside.add(thread)
        me = _Waiter(lines)
        try:
            self._wait(me)
        finally:
            self._leave(me)
            self._inside.discard(thread)
        if me.error is not None:
            raise me.error
        return me.free

    def _wait(self, me: _Waiter) -> None:
        if not self._leads(me):
            me.woken.acquire()
        if me.leads:
            self._lead()

    def _leads(self, me: _Waiter) -> bool:
        """Queue; returns whether this thread leads."""
        with self._lock:
            self._waiting.append(me)
            if not self._is_led:
                self._is_led = me.leads = True
            elif self._are_all_here() and self._all_here.locked():
                self._all_here.release()
            return me.leads

    def _leave(self, me: _Waiter) -> None:
        """A leader lets the next thread lead, even if it is interrupted before or while it leads."""
        with self._lock:
            if me in self._waiting:
                self._waiting.remove(me)
            if me.leads:
                self._is_led = bool(self._waiting)
                self._promote_first()

    def _promote_first(self) -> None:
        for waiter in self._waiting[:1]:
            waiter.leads = True
            waiter.woken.release()

    def _lead(self) -> None:
        self._gather()
        with self._lock:
            batch, self._waiting = self._waiting, []
            self._lately = (frozenset(waiter.thread for waiter in batch), self._lately[0])
        free = False
        failure: Callable[[], AuditWriteError | None] = self._interrupted
        began = time.perf_counter()
        try:
            free = self._commit([line for waiter in batch for line in waiter.lines], min(w.began for w in batch))
        except AuditWriteError as error:
            failure = partial(copy_of, error)
        else:
            failure = _nothing
        finally:
            self._seconds = time.perf_counter() - began
            _tell(batch, free, failure)

    def _are_all_here(self) -> bool:
        """Whether all threads that took part in the last two commits are waiting."""
        return len(self._lately[0].union(self._lately[1], [w.thread for w in self._waiting])) <= len(self._waiting)

    def _gather(self) -> None:
        with self._lock:
            all_here = self._are_all_here()
            self._all_here.acquire(blocking=False)
        if not all_here:
            self._all_here.acquire(timeout=min(self._seconds, _LONGEST_GATHER_SECONDS))


def _tell(batch: list[_Waiter], free: bool, failure: Callable[[], AuditWriteError | None]) -> None:
    for waiter in batch:
        waiter.free, waiter.error = free, failure()
        if not waiter.leads:
            waiter.woken.release()


def _nothing() -> None:
    """No error."""
