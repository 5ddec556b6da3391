"""One open trail in this process: its descriptor, its two locks and where it ended after our last append."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from auditwatch.errors import Stored
from auditwatch.trail.own import Continues, Recovered, format_own
from auditwatch.writer import failpoints, forks, predecessors
from auditwatch.writer.durability import CLOSED, Descriptor, Sync
from auditwatch.writer.failures import is_from_handler, refusal, unloadable, write_error
from auditwatch.writer.locking import TwoLocks
from auditwatch.writer.tail import torn_tail
from auditwatch.writer.timestamp import utc_text
from auditwatch.writer.whereabouts import Whereabouts

if TYPE_CHECKING:
    from auditwatch.writer.chain import Tip
    from auditwatch.writer.rotation import Rotation

_UNKNOWN: Final = -1
"""Not a size that a file can have: the last byte has to be looked at."""


class TrailFile:
    """A trail as one descriptor, shared by all writers of the process on the same file.

    Everything except `retire` and `abandon` is for callers that hold the locks.

    Args:
        path: Its name, for messages.
        file: Open for reading and appending.
        lock: The file whose lock counts and its name, if that is not the trail.

    Attributes:
        locks: To be acquired before anything else.
        sync: Makes appended lines durable; outlives the closing of the file for threads that wait for it.
        identity: Device and inode.
        look_for_poison_at: When to look again whether another process has declared the file poisoned.
    """

    __slots__ = (
        "__weakref__",
        "_descriptor",
        "_end",
        "_lock_name",
        "_names",
        "_path",
        "_poisoned",
        "_tip",
        "identity",
        "locks",
        "look_for_poison_at",
        "sync",
    )

    def __init__(self, path: str, file: Descriptor, lock: tuple[Descriptor, Whereabouts] | None) -> None:
        self._lock_name: Whereabouts | None
        lock_file, self._lock_name = lock or (file, None)
        self.locks = TwoLocks(path, lock_file)
        self._path = path
        self._descriptor = file.number
        self._names: dict[str, Whereabouts] = {}
        self._end = _UNKNOWN
        self._poisoned = False
        self._tip: Tip | None = None
        self.sync = Sync(file)
        status = os.fstat(file.number)
        self.identity = (status.st_dev, status.st_ino)
        self.look_for_poison_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether no thread has closed it yet."""
        return self._descriptor >= 0

    def bear(self, path: str, name: Whereabouts) -> None:
        """Let writers reach the file by this name; if it is known already, nothing changes."""
        self._names.setdefault(path, name)

    def retire(self) -> None:
        """Close once no thread is in the middle of an append.

        Raises:
            AuditWriteError: If this very thread is, because a signal handler closes the trail.
        """
        forks.notice()
        if self.locks.are_in_use():
            raise self.locks.reentry()
        self.locks.mend()
        with self.locks.between_threads:
            self.close()

    def size_if_there(self, path: str, now: float) -> int | None:
        """The size of the file; None if the trail's name, or that of its lock, now means another file or none.

        Args:
            path: A name that was passed to `bear`.
            now: The value of `time.monotonic`, or slightly earlier.

        Raises:
            OSError: If a name cannot be looked up.
        """
        if self._descriptor < 0 or not self._names[path].is_there(now):
            return None
        if self._lock_name is not None and not self._lock_name.is_there(now):
            return None
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def poison(self) -> None:
        """Accept nothing more: what was written may not be what is on the disk."""
        self._poisoned = True

    def is_full(self, rotation: Rotation, size: int, length: int) -> bool:
        """Whether so many more bytes belong in a new file, as `Rotation.is_due` says.

        Never after a torn tail: it has to be ended and described in the file where it is. Only a file that accepts
        nothing more is left with one.

        Raises:
            OSError: If the end of the file cannot be read.
        """
        is_due = rotation.is_due(self, self._descriptor, size, length)
        return is_due and (self._poisoned or self._is_ended(size))

    def store(self, lines: list[bytes], size: int, stamp: bool) -> None:
        """Append lines in one write.

        Args:
            lines: Each with its newline.
            size: Of the file, looked up under the locks.
            stamp: Whether to stamp them.

        Raises:
            AuditWriteError: If they were not stored in full.
            OSError: If the end of the file cannot be read.
        """
        tip, asked = None, len(lines)
        if stamp or size != self._end or not size or self._poisoned:
            lines, tip = self._continued(lines, size, stamp=stamp)
        data = lines[0] if len(lines) == 1 else b"".join(lines)
        self._end = _UNKNOWN
        if failpoints.armed:
            failpoints.reach("append.locked")
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            if is_from_handler(error):
                raise
            raise write_error(self._path, error.errno, self._stored_after_error(size)) from error
        if written != len(data):
            self._take_back(size, written, data, len(data) - sum(map(len, lines[-asked:])))
        self._end = size + written
        self._tip = tip

    def close(self) -> None:
        """Release the file lock and let go of the file; every writer opens it again when it needs to.

        The descriptor is closed after the last sync that a thread waits for. If this is interrupted, the next writer
        does the rest.
        """
        self._descriptor = -1
        self._unlock()
        self.locks.file = CLOSED
        sync, self.sync = self.sync, Sync(CLOSED)
        self._forget_names()
        sync.finish()

    def abandon(self) -> None:
        """In a forked child: close what was inherited, which would keep a lock of the parent held, and unlock nothing.

        The parent's threads are gone, so a thread lock that one of them held is replaced.
        """
        self._descriptor = -1
        lock_file = self.locks.file
        self.locks = TwoLocks(self._path, CLOSED)
        lock_file.close()
        self.sync.abandon()
        self._forget_names()

    def _unlock(self) -> None:
        """Release the file lock now: what follows may have to wait for the disk."""
        if self.locks.file.number < 0:
            return
        try:
            fcntl.flock(self.locks.file.number, fcntl.LOCK_UN)
        except OSError as error:  # it goes with the descriptor
            if is_from_handler(error):
                raise

    def _forget_names(self) -> None:
        for name in (*self._names.values(), *([self._lock_name] if self._lock_name else [])):
            name.close()

    def _continued(self, lines: list[bytes], size: int, *, stamp: bool) -> tuple[list[bytes], Tip | None]:
        """The lines, after what belongs between them and the end of the file, stamped if asked for."""
        if self._poisoned:
            raise refusal(self._path, "poisoned", "not stored: an earlier write or sync of this file failed")
        torn = None if size == self._end else torn_tail(self._descriptor, size)
        lines = [*self._own_records(size, torn), *lines]
        tip = None
        if stamp:
            lines, tip = self._tip_at(size, torn).stamped(lines)
        return ([b"\n", *lines] if torn else lines), tip

    def _tip_at(self, size: int, torn: Recovered | None) -> Tip:
        """Where the chain continues at this size."""
        if self._tip is not None and size == self._end and size:
            return self._tip
        try:
            from auditwatch.writer.chain import read_tip  # noqa: PLC0415  a writer that stamps has already loaded it
        except ImportError as error:  # but even so it cannot be had at the very end of the interpreter
            raise unloadable(self._path, error) from error
        return read_tip(self._path, self._descriptor, size, torn)

    def _is_ended(self, size: int) -> bool:
        return size == self._end or os.pread(self._descriptor, 1, size - 1) == b"\n"

    def _own_records(self, size: int, torn: Recovered | None) -> list[bytes]:
        """Our own records before the caller's: about a torn tail, or about the segment before an empty file."""
        if torn is not None:
            return [format_own(utc_text(time.time_ns()), torn) + b"\n"]
        before = predecessors.last(self._path) if size == 0 else None
        if before is None or before.segment is None or before.last_sha256 is None:
            return []
        own = Continues(before.segment, before.last_sha256)
        return [format_own(utc_text(time.time_ns()), own) + b"\n"]

    def _stored_after_error(self, size: int) -> Stored:
        """A write that fails stores nothing; if the size changed nevertheless, that may be a part of it."""
        return "no" if self._size() == size else "unknown"

    def _take_back(self, size: int, written: int, data: bytes, ours: int) -> None:
        """Remove the piece of a line that was stored; whole lines before it stay, because a newline commits.

        Readers of the trail may have judged those lines by now, and would find its history changed.

        This happens only if the file ends exactly with our piece: what others wrote after it is never cut off. A piece
        that stays is a torn tail, which the next append ends, here or elsewhere.

        Args:
            size: Of the file before the write.
            written: How many bytes reached the file.
            data: What should have been written.
            ours: How many bytes of it come before the caller's lines.

        Raises:
            AuditWriteError: Always.
        """
        if self._size() != size + written:
            raise write_error(
                self._path, None, "unknown", what="stored in part, and another program appended after that"
            )
        number = self._error_of_next_byte(data[written : written + 1])
        whole = data.rfind(b"\n", 0, written) + 1
        try:
            os.ftruncate(self._descriptor, size + whole)
        except OSError as error:
            if is_from_handler(error):
                raise
            raise write_error(
                self._path, number, "unknown", what="stored in part, and that part cannot be removed"
            ) from error
        self._poisoned = self._size() != size + whole
        if self._poisoned:
            raise write_error(
                self._path, number, "unknown", what="stored in part, and removing that part had no effect"
            )
        raise write_error(self._path, number, "unknown" if whole > ours else "no")

    def _error_of_next_byte(self, byte: bytes) -> int | None:
        """Why the write was short: only another write can show it, and its byte is removed with the rest."""
        try:
            os.write(self._descriptor, byte.replace(b"\n", b" "))  # a newline would commit what is to be removed
        except OSError as error:
            if is_from_handler(error):
                raise
            return error.errno
        return None

    def _size(self) -> int:
        try:
            return os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            if is_from_handler(error):
                raise
            return _UNKNOWN
