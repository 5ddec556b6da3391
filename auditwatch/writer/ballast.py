"""The ballast: a file whose only use is its size, deleted when the disk is full.

The room that this frees takes the records that come while somebody makes more. The file is beside the trail as
`.NAME.ballast`; when it is missing, every process can see that the disk was full. It comes back once there is room for
twice its size, so that it never fills the disk itself.
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
from auditwatch.writer.failures import is_from_handler, warn

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOOK_AGAIN_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 1 << 20


class Ballast:
    """The ballast of one trail, as one writer knows it.

    Args:
        trail_path: The trail.
        length: Size of the ballast in bytes.

    Attributes:
        releases: How often this writer deleted it.
    """

    def __init__(self, trail_path: str, length: int) -> None:
        directory, name = os.path.split(os.path.realpath(trail_path))  # a link may lead to another disk
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
        """In a forked child: a thread of the parent may hold the lock. An RLock, because signal handlers append too."""
        self._lock = threading.RLock()

    def keep(self, now: float) -> None:
        """Once a second, make sure that the ballast is there, unless there is no room for twice its size.

        Args:
            now: The value of `time.monotonic`.
        """
        if now < self._look_at:
            return
        with self._lock:
            self._look_at = now + _LOOK_AGAIN_SECONDS
            try:
                self._is_there = self._is_laid_out() or self._lay_out()
            except OSError as error:
                if is_from_handler(error):
                    raise
                self._warn_once(error)

    def helps(self, error: AuditWriteError, began: float) -> bool:
        """Release the ballast if the failed append needs it; returns whether to try that append again.

        Args:
            error: Why it failed.
            began: When it began (`time.monotonic`). An append that was already failing while another thread released
                the ballast is tried again too.
        """
        if error.reason != "disk_full":
            return False
        with self._lock:
            has_room = self._release() if self._is_there else began < self._released_at
        return has_room and error.stored == "no"  # or the room is for the next append: this one may be stored in part

    def _release(self) -> bool:
        self._is_there = False
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return True  # another process was first, and the room is free
        except OSError as error:
            if is_from_handler(error):
                raise
            self._warn_once(error)
            return False
        self.releases += 1
        self._released_at = time.monotonic()
        self._look_at = self._released_at + _LOOK_AGAIN_SECONDS
        warn(f"{self._path}: the disk is full and the ballast of {self._length} bytes was released; make room")
        return True

    def _is_laid_out(self) -> bool:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return status.st_size >= self._length

    def _lay_out(self) -> bool:
        volume = os.statvfs(self._directory)
        if volume.f_bavail * volume.f_frsize < 2 * self._length:
            return False
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            _allocate(descriptor, self._length)
        except OSError:
            os.unlink(self._path)  # a part of it would only take up room
            raise
        finally:
            os.close(descriptor)
        return True

    def _warn_once(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warn(f"{self._path}: no ballast, but appends go on: {error.strerror}")


def ballast_name(trail_name: str) -> str:
    """The ballast beside a trail.

    >>> ballast_name("audit_trail.jsonl")
    '.audit_trail.jsonl.ballast'
    """
    return f".{trail_name}.ballast"


def _allocate(descriptor: int, length: int) -> None:
    """Really take up the room: deleting a file with holes would free nothing."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, length)
        return
    left = length - os.lseek(descriptor, 0, os.SEEK_END)  # macOS
    while left > 0:
        left -= os.write(descriptor, bytes(min(left, _CHUNK_BYTES)))
