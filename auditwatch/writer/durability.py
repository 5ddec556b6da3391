"""On disk before it is acknowledged, or soon after.

The first failed sync of a file is its last: the kernel forgets what it could not write and reports success the next
time (ENOSPC, then EIO, then success with half of the blocks missing has been measured).
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from auditwatch.writer import failpoints

# macOS has no fdatasync, and its fsync stops at the disk's cache: there F_FULLFSYNC is what counts.
_FULL_SYNC: Final[int | None] = None if hasattr(os, "fdatasync") else 51


class Descriptor:
    """An open file that closes when nothing uses it any more, not even a running sync."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        # It is too late to report an error, and a traceback on the program's standard error would not help.
        with suppress(OSError):
            self.close()

    def close(self) -> None:
        """Close now, even if it is still in use."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)


class Sync:
    """The syncs of one open trail in this process.

    Args:
        file: What is synced.

    Attributes:
        error: Number of the first error, after which nothing more becomes durable; None while there is none.
    """

    def __init__(self, file: Descriptor) -> None:
        self._file = file
        self._timer: threading.Timer | None = None
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
        if self._timer is not None:
            return
        self._failed = failed
        timer = threading.Timer(seconds, self._sync_now)
        timer.daemon = True
        self._timer = timer
        try:
            timer.start()
        except RuntimeError:  # no threads left, or the interpreter is shutting down: now instead of later
            self._sync_now()

    def finish(self) -> None:
        """Do now what was to be done later."""
        if self._timer is not None:
            self._timer.cancel()
            self._sync_now()

    def abandon(self) -> None:
        """In a forked child: close what was inherited; the parent's threads and timers do not exist here."""
        self._timer = None
        self._file.close()

    def _sync_now(self) -> None:
        # First, because a line that is stored from now on needs the next sync.
        self._timer = None
        if (number := self._synced()) is not None and self._failed is not None:
            self._failed(number)

    def _synced(self) -> int | None:
        """Sync, unless that has failed before; returns the number of the error if there is or was one."""
        if self.error is None:
            try:
                _sync(self._file.number)
            except OSError as error:
                self.error = error.errno or errno.EIO
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
