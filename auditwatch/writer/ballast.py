"""The ballast: a file of no use but its size, thrown away when the disk is full.

It buys the records that come while somebody makes room. It lies beside the trail as `.NAME.ballast`; that it is missing
is the sign, for every process, that the disk was full. It comes back once there is room for it twice, so that it is
never what fills the disk.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from typing import Final

from auditwatch.errors import AuditWriteError
from auditwatch.writer import forks
from auditwatch.writer.failures import warn

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOOK_AGAIN_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 1 << 20


class Ballast:
    """The ballast of one trail, as one writer knows it.

    Args:
        trail_path: The trail.
        length: Size of the ballast in bytes.

    Attributes:
        releases: How often this writer threw it away.
    """

    def __init__(self, trail_path: str, length: int) -> None:
        directory, name = os.path.split(trail_path)
        self._directory = directory
        self._path = os.path.join(directory, ballast_name(name))
        self._length = length
        self._is_there = False
        self._released_at = 0.0
        self._look_at = 0.0
        self._warned = False
        self.releases = 0
        self.abandon()
        forks.remember(self)

    def abandon(self) -> None:
        """In a forked child: a thread of the parent may hold the lock. An RLock, for signal handlers append too."""
        self._lock = threading.RLock()

    def keep(self, now: float) -> None:
        """See to it that the ballast is there, once a second; without room for it twice, later.

        Args:
            now: As `time.monotonic` tells it.
        """
        if now < self._look_at:
            return
        with self._lock:
            self._look_at = now + _LOOK_AGAIN_SECONDS
            try:
                self._is_there = self._is_laid_out() or self._lay_out()
            except OSError as error:
                self._warn_once(error)

    def helps(self, error: AuditWriteError, began: float) -> bool:
        """Release the ballast where that is what the failed append needs; says whether to try that append again.

        Args:
            error: Why it failed.
            began: When it began, in `time.monotonic`: one that was already failing while another thread released the
                ballast is tried again too.
        """
        if error.reason != "disk_full" or error.stored != "no":
            return False
        with self._lock:
            return self._release() if self._is_there else began < self._released_at

    def _release(self) -> bool:
        self._is_there = False
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return True  # another process was first, and the room is there all the same
        except OSError as error:
            self._warn_once(error)
            return False
        self.releases += 1
        self._released_at = time.monotonic()
        self._look_at = self._released_at + _LOOK_AGAIN_SECONDS
        warn(f"{self._path}: the disk is full, the ballast of {self._length} bytes was released; make room")
        return True

    def _is_laid_out(self) -> bool:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        return status.st_size >= self._length

    def _lay_out(self) -> bool:
        volume = os.statvfs(self._directory)
        if volume.f_bavail * volume.f_frsize < 2 * self._length:
            return False
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            _allocate(descriptor, self._length)
        except OSError:
            os.unlink(self._path)  # a part of it would only take room
            raise
        finally:
            os.close(descriptor)
        return True

    def _warn_once(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warn(f"{self._path}: no ballast, appends go on: {error.strerror}")


def ballast_name(trail_name: str) -> str:
    """The ballast beside a trail.

    >>> ballast_name("audit_trail.jsonl")
    '.audit_trail.jsonl.ballast'
    """
    return f".{trail_name}.ballast"


def _allocate(descriptor: int, length: int) -> None:
    """Take up the room for good; a file with holes would set nothing free."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, length)
        return
    left = length - os.lseek(descriptor, 0, os.SEEK_END)  # macOS
    while left > 0:
        left -= os.write(descriptor, bytes(min(left, _CHUNK_BYTES)))
