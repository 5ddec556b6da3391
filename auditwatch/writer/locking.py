"""The two locks around every write: first the one between threads, then `flock` between processes.

Both are first tried without waiting. Only if one is held do we look at a clock and, for `flock`, poll: a blocking
`flock` has no timeout, and signals, which could end it, are not ours to use in another program's process.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from auditwatch.errors import AuditWriteError, LockTimeout
from auditwatch.host.locks import flock_holders

_AT_ONCE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_WITHOUT_WAITING: Final = False  # by position: a keyword costs as much again as taking the lock

# A holder on another core gives the lock back within microseconds; the naps are for all others. Four processes on two
# cores appended 72,000 records a second with naps alone and 154,000 with these attempts first (50 bring no more).
_ATTEMPTS_BEFORE_NAPS: Final = 20
_SHORTEST_NAP_SECONDS: Final = 50e-6
_LONGEST_NAP_SECONDS: Final = 1e-3


class TwoLocks:
    """The locks of one trail in this process.

    Args:
        path: The trail, for messages.
        descriptor: The file whose `flock` counts: the trail itself, or the file at `lock_path`.

    Attributes:
        between_threads: The first lock.
        are_mine: Whether this very thread holds them. It is asked before anything is acquired, so that nothing that an
            interrupted append holds is released.
    """

    __slots__ = ("_descriptor", "_path", "are_mine", "between_threads")

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        # An RLock knows its owner: a second acquire by the same thread is a signal handler's, and must not wait.
        self.between_threads = threading.RLock()
        # There is no public way to ask; threading.Condition asks in the same way.
        self.are_mine: Callable[[], bool] = self.between_threads._is_owned  # type: ignore[attr-defined]  # noqa: SLF001

    def reentry(self) -> AuditWriteError:
        """The error to raise if they are: this very thread is in the middle of an append."""
        message = f"{self._path}: append was called by a signal handler that interrupted an append"
        return AuditWriteError(message, stored="no", reason="other")

    def acquire(self, deadline: float) -> bool:
        """Take both locks, or only the first if another thread has closed the file in the meantime.

        Returns:
            Whether they were free at once.

        Raises:
            LockTimeout: If either was held until the deadline (in `time.monotonic`).
            OSError: If the file system cannot lock.
        """
        free = self.between_threads.acquire(_WITHOUT_WAITING) or self._wait_for_threads(deadline)
        if self._descriptor < 0:
            return free
        try:
            fcntl.flock(self._descriptor, _AT_ONCE)
        except BlockingIOError:
            return self._wait_for_file(deadline)
        return free

    def _wait_for_threads(self, deadline: float) -> bool:
        if not self.between_threads.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self._timeout("another thread of this process")
        return False

    def _wait_for_file(self, deadline: float) -> bool:
        for _ in range(_ATTEMPTS_BEFORE_NAPS):
            if self._try_file_lock():
                return False
        nap = _SHORTEST_NAP_SECONDS
        while not self._try_file_lock():
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._timeout(self._holders())
            # Jitter, so that several waiters do not march in step; the odd nanoseconds are random enough.
            time.sleep(min(left, nap * (0.5 + time.monotonic_ns() % 1024 / 1024)))
            nap = min(nap * 1.25, _LONGEST_NAP_SECONDS)
        return False

    def release(self) -> None:
        """Release both; one that is not held is left alone."""
        if not self.are_mine():
            return
        try:
            if self._descriptor >= 0:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self.between_threads.release()

    def forget_file(self) -> None:
        """Note that the descriptor is closed and the second lock went with it."""
        self._descriptor = -1

    def _try_file_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, _AT_ONCE)
        except BlockingIOError:
            return False
        return True

    def _holders(self) -> str:
        status = os.fstat(self._descriptor)
        return ", ".join(map(str, flock_holders(status.st_dev, status.st_ino))) or "another process"

    def _timeout(self, holder: str) -> LockTimeout:
        message = f"{self._path}: not stored: the lock is still held by {holder}"
        return LockTimeout(message, stored="no", reason="lock_timeout", errno=None)
