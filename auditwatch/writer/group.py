"""Group commit: threads that wait for the disk are stored together, with one write and one sync.

A thread that arrives while no commit is running leads: it gives the threads that took part recently a moment to come
back with their next line, no longer than a commit takes, and commits for all that wait. The others only queue and
sleep, so sixteen threads do not fight for the locks of the trail either.

Who leads holds a lock, and tells the others what became of their lines before it gives that back. So a waiting thread
that finds the lock free, now and then, knows without being told: if its lines were taken, their leader was interrupted
in the middle, and whether they are stored is unknown; if they were not, it can lead itself.
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
from auditwatch.writer.locking import NOT_HELD

_LONGEST_GATHER_SECONDS: Final = 2e-3
_LOOK_SECONDS: Final = 0.05


class _Waiter:
    """One thread and its lines.

    Attributes:
        lines: What it wants to have stored.
        began: When its timeout began.
        thread: Its number.
        taken: Whether a leader has taken the lines.
        done: Whether their fate is known.
        left: Whether the thread no longer waits.
        free: Whether the locks of the trail were free at once.
        error: Why the lines were not stored.
        woken: Released when there is something to see.
    """

    __slots__ = ("began", "done", "error", "free", "left", "lines", "taken", "thread", "woken")

    def __init__(self, lines: list[bytes], began: float) -> None:
        self.lines = lines
        self.began = began
        self.thread = threading.get_ident()
        self.taken = self.done = self.left = self.free = False
        self.error: AuditWriteError | None = None
        self.woken = threading.Lock()
        self.woken.acquire()

    def wake(self) -> None:
        """Have it look; only for the leader, so that no two do it at once."""
        if self.woken.locked():
            self.woken.release()

    def tell(self, free: bool, error: AuditWriteError | None) -> None:
        """Say what became of its lines."""
        self.free, self.error, self.done = free, error, True
        self.wake()


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
        # RLocks, because a signal handler may append while its thread is here.
        self._leader = threading.RLock()
        self._lock = threading.RLock()
        self._waiting: list[_Waiter] = []
        self._inside: set[int] = set()
        self._lately: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
        self._all_here = threading.Lock()
        self._seconds = 0.0

    def abandon(self) -> None:
        """In a forked child: the waiting threads do not exist here."""
        self._begin()

    def store(self, lines: list[bytes], since: float) -> bool:
        """Commit lines, alone or with others; returns whether the locks were free at once.

        Args:
            lines: Each with its newline.
            since: When the timeout began (`time.monotonic`).

        Raises:
            AuditWriteError: If that failed.
        """
        me = _Waiter(lines, since)
        if me.thread in self._inside:  # a signal handler that interrupts a wait cannot wait for itself
            return self._commit(lines, since)
        try:
            self._inside.add(me.thread)
            self._queue(me)
            woken = False
            while not me.done:
                woken = self._leads(me, woken) or me.woken.acquire(timeout=_LOOK_SECONDS)
        finally:
            me.left = True
            self._inside.discard(me.thread)
        if me.error is not None:
            raise me.error
        return me.free

    def _queue(self, me: _Waiter) -> None:
        with self._lock:
            self._waiting.append(me)
            if self._are_all_here() and self._all_here.locked():
                self._all_here.release()

    def _leads(self, me: _Waiter, woken: bool) -> bool:
        """Lead, if nobody else does; returns whether it did.

        Args:
            me: Who is to lead.
            woken: Whether it was asked to: then the leader before it is just leaving.
        """
        leads = None
        try:
            leads = self._leader.acquire(timeout=_LOOK_SECONDS if woken else 0.0)
            if leads:
                self._lead(me)
        finally:
            if leads is not False:
                try:
                    self._leader.release()
                except RuntimeError as error:  # interrupted before it led
                    if str(error) != NOT_HELD:
                        raise
        return leads

    def _lead(self, me: _Waiter) -> None:
        if me.done:
            return
        if me.taken:
            me.tell(free=False, error=self._interrupted())
        else:
            self._gather()
            self._store_together()
        for waiter in self._waiting[:1]:
            waiter.wake()  # it leads next

    def _store_together(self) -> None:
        batch = self._take()
        began = time.perf_counter()
        free = False
        failure: Callable[[], AuditWriteError | None] = self._interrupted
        try:
            free = self._commit([line for waiter in batch for line in waiter.lines], min(w.began for w in batch))
        except AuditWriteError as error:
            failure = partial(copy_of, error)
        else:
            failure = _nothing
        finally:
            self._seconds = time.perf_counter() - began
            for waiter in batch:
                waiter.tell(free, failure())

    def _take(self) -> list[_Waiter]:
        """Those whose lines are stored now."""
        with self._lock:
            batch = [waiter for waiter in self._waiting if not waiter.left]
            for waiter in batch:
                waiter.taken = True
            self._waiting = []
            self._lately = (frozenset(waiter.thread for waiter in batch), self._lately[0])
        return batch

    def _are_all_here(self) -> bool:
        """Whether all threads that took part in the last two commits are waiting."""
        return len(self._lately[0].union(self._lately[1], [w.thread for w in self._waiting])) <= len(self._waiting)

    def _gather(self) -> None:
        with self._lock:
            all_here = self._are_all_here()
            self._all_here.acquire(blocking=False)
        if not all_here:
            self._all_here.acquire(timeout=min(self._seconds, _LONGEST_GATHER_SECONDS))


def _nothing() -> None:
    """No error."""
