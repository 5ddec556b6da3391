"""Whether a name still means the same file: asked after every lock, so it has to be cheap.

Looking at the trail itself with `stat` makes the next write expensive: since Linux 6.13 the kernel then has to give it
a separate timestamp (1.7 us of 4.4, measured). Its directory shows the same: while its change time stays the same, no
name in it was created, moved or removed. It is looked at by descriptor, which costs half as much as by path. What that
cannot show is that a directory further up was moved, so the path is looked up every few milliseconds as well. Nothing
is lost in between: the file moved along with its name.
"""

from __future__ import annotations

import os
import time
from typing import Final

from auditwatch.writer.durability import CLOSED, Descriptor
from auditwatch.writer.failures import is_from_handler

# A directory that changed this recently may change again without a new timestamp (two seconds on FAT).
_SETTLED_NS: Final = 3_000_000_000

_LOOK_UP_SECONDS: Final = 0.01


class Whereabouts:
    """The name of one open file.

    Args:
        path: The name.
        file: The status of the file.
        may_trust_directory: Whether the file system keeps the times of directories as a local one does.
    """

    __slots__ = ("_changed_ns", "_directory", "_file", "_look_up_at", "_may_trust", "_parent", "_path")

    def __init__(self, path: str, file: os.stat_result, *, may_trust_directory: bool) -> None:
        self._path = path
        self._directory = os.path.dirname(path)
        self._file = file
        self._may_trust = may_trust_directory
        self._parent = CLOSED
        self._changed_ns = 0
        self._look_up_at = 0.0

    def is_there(self, now: float) -> bool:
        """Whether the name means the file.

        Args:
            now: The value of `time.monotonic`, or slightly earlier.

        Raises:
            OSError: If the name cannot be looked up.
        """
        # One time is enough: whatever sets the modification time sets this one too, and it cannot be set by hand.
        if now < self._look_up_at and os.fstat(self._parent.number).st_ctime_ns == self._changed_ns:
            return True
        return self._looked_up(now)

    def close(self) -> None:
        """Let go of the directory."""
        self._look_up_at, self._parent = 0.0, CLOSED

    def _looked_up(self, now: float) -> bool:
        # First the directory, then the name: a change in between shows in the change time at the next look.
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
        """Have a descriptor of this very directory; a name that is itself a link leads to another one."""
        if self._parent is not CLOSED and os.path.samestat(os.fstat(self._parent.number), directory):
            return True
        self.close()
        if os.path.islink(self._path):
            return False
        try:
            self._parent = Descriptor(os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            if is_from_handler(error):
                raise
            return False
        return os.path.samestat(os.fstat(self._parent.number), directory)
