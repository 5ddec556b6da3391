"""On disk before it is acknowledged, or soon after.

The first failed sync of a file is its last: the kernel forgets what it could not write and reports success the next
time (ENOSPC, then EIO, then success with half of the blocks missing has been measured).
"""

from __future__ import annotations

import os
import threading
from _thread import start_new_thread
from collections.abc import Callable
from typing import Final

from auditwatch.writer import failpoints
from auditwatch.writer.failures import is_from_handler, is_lack_of_threads

# macOS has no fdatasync, and its fsync stops at the disk's cache: there F_FULLFSYNC is what counts.
_FULL_SYNC: Final[int | None] = None if hasattr(os, "fdatasync") else 51


class Descriptor:
    """An open file that closes when nothing uses it any more, not even a running sync."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        # It is too late to report an error, and a traceback on the program's standard error would not help. One that
        # was interrupted before it had a number has none.
        try:
            self.close()
        except OSError as error:
            if is_from_handler(error):
                raise
        except AttributeError:  # when the program ends, what this module imported may be gone
            pass

    def close(self) -> None:
        """Close now, even if it is still in use."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)


CLOSED: Final = Descriptor(-1)
"""In place of a file that was let go of. The file itself is closed when the last thread that still uses it is done."""


class Sync:
    """The syncs of one open trail in this process.

    Args:
        file: What is synced.

    Attributes:
        error: Number of the first error, after which nothing more becomes durable; None while there is none.
    """

    def __init__(self, file: Descriptor) -> None:
        self._file = file
        self._is_due = self._is_scheduled = False
        self._cancelled = threading.Lock()
        self._cancelled.acquire()
        self._failed: Callable[[int], object] | None = None
        self.error: int | None = None

    def now(self) -> None:
        """Return when everything written before this call is on disk.

        Raises:
            OSError: If that failed, now or earlier.
        """
        if (number := self._synced()) is not None:
            raise OSError(number, os.strerror(number))

    def later(self, seconds: float, failed: Callable[[int], object]) -> None:
        """Sync within so many seconds, unless a sync is already scheduled.

        Args:
            seconds: From now.
            failed: Called with the error number if it fails.
        """
        self._is_due = True
        if self._is_scheduled:
            return
        self._failed = failed
        self._is_scheduled = True
        try:
            # Not `Thread.start`: if a signal handler raises while that waits, something else comes out of it.
            start_new_thread(self._sync_after, (seconds,))
        except BaseException as error:
            self._is_scheduled = False  # interrupted: whether it runs is unknown, and a second one does no harm
            if not is_lack_of_threads(error):
                raise
            self._sync_now()  # now instead of later

    def finish(self) -> None:
        """Do now what was to be done later."""
        if self._is_scheduled and self._cancelled.locked():
            self._cancelled.release()
        if self._is_due:
            self._sync_now()

    def abandon(self) -> None:
        """In a forked child: close what was inherited; the parent's threads and timers do not exist here."""
        self._is_due = self._is_scheduled = False
        self._file.close()

    def _sync_after(self, seconds: float) -> None:
        if not self._cancelled.acquire(timeout=seconds):
            self._sync_now()

    def _sync_now(self) -> None:
        # First, because a line that is stored from now on needs the next sync.
        self._is_due = self._is_scheduled = False
        if (number := self._synced()) is not None and self._failed is not None:
            self._failed(number)

    def _synced(self) -> int | None:
        """Sync, unless that has failed before; returns the number of the error if there is or was one."""
        if self.error is None:
            try:
                _sync(self._file.number)
            except OSError as error:
                if is_from_handler(error):
                    raise
                self.error = error.errno
        return self.error


def _sync(descriptor: int) -> None:
    if failpoints.armed:
        failpoints.reach("sync.begin")
    if _FULL_SYNC is None:
        os.fdatasync(descriptor)
    else:
        import fcntl  # noqa: PLC0415  only for macOS

        fcntl.fcntl(descriptor, _FULL_SYNC)
    if failpoints.armed:
        failpoints.reach("sync.end")
