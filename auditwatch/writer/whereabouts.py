"""Whether a name still means the file it meant: asked after every lock, so asked cheaply.

Looking at the trail itself with `stat` makes the next write dear: since Linux 6.13 the kernel then has to give it a
timestamp of its own (1.7 us of 4.4, measured). Its directory tells as well: while its change time is the same, no
name in it was made, moved or removed. It is looked at by descriptor, which is half the price of a path; what that
cannot see, a directory further up that was moved, is looked up every few milliseconds. Nothing is lost meanwhile: the
file moved along with its name.
"""

from __future__ import annotations

import os
import time
from typing import Final

# A directory that changed so lately may change again without another timestamp (two seconds on FAT).
_SETTLED_NS: Final = 3_000_000_000

_LOOK_UP_SECONDS: Final = 0.01


class Whereabouts:
    """The name of one open file.

    Args:
        path: The name.
        file: What the file is.
        may_trust_directory: Whether the file system keeps the times of directories as a local one does.
    """

    __slots__ = ("_changed_ns", "_descriptor", "_directory", "_file", "_look_up_at", "_may_trust", "_path")

    def __init__(self, path: str, file: os.stat_result, *, may_trust_directory: bool) -> None:
        self._path = path
        self._directory = os.path.dirname(path)
        self._file = file
        self._may_trust = may_trust_directory
        self._descriptor = -1
        self._changed_ns = 0
        self._look_up_at = 0.0

    def is_there(self, now: float) -> bool:
        """Whether the name means the file.

        Args:
            now: As `time.monotonic` tells it, or a little earlier.

        Raises:
            OSError: If the name cannot be looked up.
        """
        # One time is enough: whatever sets the other one sets this one too, and nobody sets it by hand.
        if now < self._look_up_at and os.fstat(self._descriptor).st_ctime_ns == self._changed_ns:
            return True
        return self._looked_up(now)

    def close(self) -> None:
        """Give the descriptor of the directory back."""
        descriptor, self._descriptor, self._look_up_at = self._descriptor, -1, 0.0
        if descriptor >= 0:
            os.close(descriptor)

    def _looked_up(self, now: float) -> bool:
        # First the directory, then the name: what happens in between shows in the time when next asked.
        directory = os.stat(self._directory)
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return False
        if not os.path.samestat(status, self._file):
            return False
        self._remember(directory, now)
        return True

    def _remember(self, directory: os.stat_result, now: float) -> None:
        self._changed_ns = directory.st_ctime_ns
        settled = time.time_ns() - self._changed_ns > _SETTLED_NS
        if self._may_trust and settled and self._follows(directory):
            self._look_up_at = now + _LOOK_UP_SECONDS

    def _follows(self, directory: os.stat_result) -> bool:
        """Have a descriptor of that very directory; a link in the last place leads to another one."""
        if self._descriptor >= 0 and os.path.samestat(os.fstat(self._descriptor), directory):
            return True
        self.close()
        if os.path.islink(self._path):
            return False
        try:
            self._descriptor = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        return os.path.samestat(os.fstat(self._descriptor), directory)
