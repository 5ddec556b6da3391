"""The two locks around every write: first the one between threads, then `flock` between processes.

Both are first tried without waiting. Only if one is held do we look at a clock and, for `flock`, poll: a blocking
`flock` has no timeout, and signals, which could end it, are not ours to use in another program's process.

No exception that a signal handler raises can leave a lock held. CPython runs handlers where a function begins, where a
loop jumps back, and after a call of a function in C, never between `finally:` and the end of a first call in C. So a
lock is given back by the first call of a `finally`, in the very function that took it, and whether we hold it is not
asked before.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from auditwatch.errors import AuditWriteError, LockTimeout
from auditwatch.host.locks import Holder, flock_holders
from auditwatch.writer.durability import CLOSED, Descriptor

_AT_ONCE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_RELEASE: Final = fcntl.LOCK_UN
_WITHOUT_WAITING: Final = False  # by position: a keyword costs as much again as taking the lock

# A holder on another core gives the lock back within microseconds; the naps are for all others. Four processes on two
# cores appended 72,000 records a second with naps alone and 154,000 with these attempts first (50 bring no more).
_ATTEMPTS_BEFORE_NAPS: Final = 20
_SHORTEST_NAP_SECONDS: Final = 50e-6
_LONGEST_NAP_SECONDS: Final = 1e-3

NOT_HELD: Final = "cannot release un-acquired lock"
"""What an RLock says to a thread that does not hold it."""

_Trail = TypeVar("_Trail")
_Lines = TypeVar("_Lines")
_Result = TypeVar("_Result")


class FailedAfterwards(OSError):
    """The work under the locks was done, and something failed after it: the unlock, or a failpoint."""


class TwoLocks:
    """The locks of one trail in this process.

    Args:
        path: The trail, for messages.
        file: The file whose `flock` counts: the trail itself, or the file at `lock_path`.

    Attributes:
        between_threads: The first lock.
        file: As above. A closed one has no lock to take: another thread has let go of the file in the meantime.
    """

    __slots__ = ("_inside", "_is_owned", "_path", "between_threads", "file")

    def __init__(self, path: str, file: Descriptor) -> None:
        self._path = path
        self.file = file
        # An RLock knows its owner: a second acquire by the same thread is a signal handler's, and must not wait.
        self.between_threads = threading.RLock()
        # There is no public way to ask; threading.Condition asks in the same way.
        self._is_owned: Callable[[], bool] = self.between_threads._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        # The threads that are in `hold`, whether they have the locks already or wait for them.
        self._inside: dict[int, None] = {}

    def are_in_use(self) -> bool:
        """Whether this very thread is in the middle of `hold`, with the first lock."""
        return self._is_owned() and threading.get_ident() in self._inside

    def reentry(self) -> AuditWriteError:
        """The error to raise if they are: this very thread is in the middle of an append."""
        message = f"{self._path}: append was called by a signal handler that interrupted an append"
        return AuditWriteError(message, stored="no", reason="other")

    def mend(self) -> None:
        """Release what this thread holds of the first lock without being in the middle of `hold`."""
        while self._is_owned():
            self.between_threads.release()

    def hold(  # noqa: C901, PLR0915  each function more costs an append as much as a lock
        self,
        deadline: float,
        work: Callable[[_Trail, _Lines, float, bool], _Result],
        trail: _Trail,
        lines: _Lines,
        now: float,
    ) -> _Result:
        """Do the work while both locks are held; only the first if the file is closed.

        Args:
            deadline: Until when to wait for them (`time.monotonic`).
            work: What to do. It gets the following arguments, and whether the locks were free at once.
            trail: Passed on.
            lines: Passed on.
            now: Passed on.

        Raises:
            AuditWriteError: If this thread is in the middle of an append.
            LockTimeout: If a lock was held until the deadline.
            FailedAfterwards: If the work was done, and the second lock could not be released: close its file.
            OSError: If the file system cannot lock.
        """
        me, inside = threading.get_ident(), self._inside
        is_first = me not in inside
        if self._is_owned():
            if not is_first:
                raise self.reentry()
            self.mend()
        inside[me] = None
        try:
            free = self.between_threads.acquire(_WITHOUT_WAITING) or self._wait_for_threads(deadline)
            file = self.file
            try:
                if file.number >= 0:
                    try:
                        fcntl.flock(file.number, _AT_ONCE)
                    except BlockingIOError:
                        free = self._wait_for_file(deadline)
                return work(trail, lines, now, free)
            finally:
                # Not held yet, or already released, is all the same to the system.
                if file.number >= 0:
                    try:
                        fcntl.flock(file.number, _RELEASE)
                    except OSError as error:
                        file = CLOSED  # the traceback must not keep open what has to be closed
                        raise _kept(error) from error
        finally:
            if is_first:
                del inside[me]
            try:
                self.between_threads.release()
            except RuntimeError as error:
                if str(error) != NOT_HELD:
                    raise

    def _wait_for_threads(self, deadline: float) -> bool:
        if not self.between_threads.acquire(timeout=max(0.0, deadline - time.monotonic())):
            # That thread may itself be waiting for a process.
            others = [holder for holder in self._holders() if holder.pid != os.getpid()]
            raise self._timeout(others, "another thread of this process")
        return False

    def _wait_for_file(self, deadline: float) -> bool:
        for _ in range(_ATTEMPTS_BEFORE_NAPS):
            if self._try_file_lock():
                return False
        nap = _SHORTEST_NAP_SECONDS
        while not self._try_file_lock():
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._timeout(self._holders(), "another process")
            # Jitter, so that several waiters do not march in step; the odd nanoseconds are random enough.
            time.sleep(min(left, nap * (0.5 + time.monotonic_ns() % 1024 / 1024)))
            nap = min(nap * 1.25, _LONGEST_NAP_SECONDS)
        return False

    def _try_file_lock(self) -> bool:
        try:
            fcntl.flock(self.file.number, _AT_ONCE)
        except BlockingIOError:
            return False
        return True

    def _timeout(self, holders: list[Holder], unknown: str) -> LockTimeout:
        who = ", ".join(map(str, holders)) or unknown
        message = f"{self._path}: not stored: the lock is still held by {who}"
        return LockTimeout(message, stored="no", reason="lock_timeout", errno=None)

    def _holders(self) -> list[Holder]:
        """The processes that hold the second lock, as far as the kernel says."""
        number = self.file.number
        if number < 0:
            return []
        status = os.fstat(number)
        return flock_holders(status.st_dev, status.st_ino)


def _kept(error: OSError) -> OSError:
    """What to raise for an unlock that failed; without a number it is what a signal handler raised."""
    return error if error.errno is None else FailedAfterwards(error.errno, error.strerror)
