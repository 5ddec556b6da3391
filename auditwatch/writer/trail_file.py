"""One open trail in this process: its descriptor, its two locks and where it ended when we left it."""

from __future__ import annotations

import os
import time
from typing import Final

from auditwatch.errors import Stored
from auditwatch.trail.own import format_own
from auditwatch.writer.failures import refusal, write_error
from auditwatch.writer.locking import TwoLocks
from auditwatch.writer.tail import torn_tail
from auditwatch.writer.timestamp import utc_text
from auditwatch.writer.whereabouts import Whereabouts

_UNKNOWN: Final = -1
"""No size a file can have: the last byte has to be looked at."""


class TrailFile:
    """A trail as one descriptor, shared by all writers of the process on the same file.

    Everything but `retire` is for who holds the locks.

    Args:
        path: Its name, for messages.
        descriptor: Open for reading and appending; owned from now on.
        lock: Descriptor and name of the file whose lock counts, where that is not the trail; owned from now on.
    """

    __slots__ = (
        "__weakref__",
        "_descriptor",
        "_end",
        "_lock_descriptor",
        "_lock_name",
        "_names",
        "_path",
        "_poisoned",
        "locks",
    )

    def __init__(self, path: str, descriptor: int, lock: tuple[int, Whereabouts] | None) -> None:
        self._lock_name: Whereabouts | None
        self._lock_descriptor, self._lock_name = lock or (descriptor, None)
        self.locks = TwoLocks(path, self._lock_descriptor)
        self._path = path
        self._descriptor = descriptor
        self._names: dict[str, Whereabouts] = {}
        self._end = _UNKNOWN
        self._poisoned = False

    def __del__(self) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether no thread has closed it yet."""
        return self._descriptor >= 0

    def bear(self, path: str, name: Whereabouts) -> None:
        """Let writers reach the file by this name; the first for a name stays."""
        self._names.setdefault(path, name)

    def retire(self) -> None:
        """Close once no thread is in the middle of an append.

        Raises:
            AuditWriteError: If this very thread is: a signal handler closes.
        """
        self.locks.refuse_reentry()
        with self.locks.between_threads:
            self.close()

    def size_if_there(self, path: str, now: float) -> int | None:
        """The size of the file, or None where the trail's name now means another file or none, or the lock's does.

        Args:
            path: The name, one that `bear` was told.
            now: As `time.monotonic` tells it, or a little earlier.

        Raises:
            OSError: If a name cannot be looked up.
        """
        if self._descriptor < 0 or not self._names[path].is_there(now):
            return None
        if self._lock_name is not None and not self._lock_name.is_there(now):
            return None
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def store(self, line: bytes, size: int) -> None:
        """Append one line in one write.

        Args:
            line: With its newline.
            size: Of the file, looked up under the locks.

        Raises:
            AuditWriteError: If it was not stored in full.
            OSError: If the end of the file cannot be read.
        """
        if size != self._end:
            line = self._behind_whole_lines(line, size)
        self._end = _UNKNOWN
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise write_error(self._path, error.errno, self._stored_after_error(size)) from error
        if written != len(line):
            self._take_back(size, written, line)
        self._end = size + written

    def close(self) -> None:
        """Close the descriptor and with it give the file lock back; every writer opens anew when it needs to."""
        descriptor, lock_descriptor = self._descriptor, self._lock_descriptor
        self._descriptor = self._lock_descriptor = -1
        self.locks.forget_file()
        for name in (*self._names.values(), *([self._lock_name] if self._lock_name else [])):
            name.close()
        for number in {descriptor, lock_descriptor} - {-1}:
            os.close(number)

    def abandon(self) -> None:
        """In a forked child: close what was inherited, lest it keep a lock of the parent alive, and unlock nothing.

        The parent's threads are gone, so a thread lock that one of them held is replaced.
        """
        self.close()
        self.locks = TwoLocks(self._path, -1)

    def _behind_whole_lines(self, line: bytes, size: int) -> bytes:
        """The line, behind a newline and a record of ours where somebody left a torn tail."""
        if self._poisoned:
            raise refusal(self._path, "poisoned", "not stored: the file system kept a piece it was told to remove")
        torn = torn_tail(self._descriptor, size)
        if torn is None:
            return line
        return b"\n%b\n%b" % (format_own(utc_text(time.time_ns()), torn), line)

    def _stored_after_error(self, size: int) -> Stored:
        """A write that fails takes nothing; what is there all the same may be a part of it."""
        return "no" if self._size() == size else "unknown"

    def _take_back(self, size: int, written: int, line: bytes) -> None:
        """Remove the piece of the line that was stored.

        Only if the file ends exactly with our piece: what others wrote behind it is never cut off. A piece that
        stays is a torn tail, which the next append ends, here or elsewhere.

        Raises:
            AuditWriteError: Always.
        """
        if self._size() != size + written:
            raise write_error(self._path, None, "unknown", what="torn, somebody appended behind the piece")
        number = self._error_of_next_byte(line[written : written + 1])
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            raise write_error(self._path, number, "unknown", what="torn, the piece cannot be removed") from error
        self._poisoned = self._size() != size
        if self._poisoned:
            raise write_error(self._path, number, "unknown", what="torn, the piece is still there")
        raise write_error(self._path, number, "no")

    def _error_of_next_byte(self, byte: bytes) -> int | None:
        """Why the write was short: only another one says so, and it is taken back with the rest."""
        try:
            os.write(self._descriptor, byte)
        except OSError as error:
            return error.errno
        return None

    def _size(self) -> int:
        try:
            return os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError:
            return _UNKNOWN
