"""Writers whose faults are known: what each suite must catch before its silence about `AuditWriter` means anything.

`Homemade` with all its guards is the control: it has to pass, so what a suite catches is the guard that is missing.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import threading
import time
from typing import Any, Final

from auditwatch.errors import AuditWriteError
from auditwatch.trail.names import segment_name
from auditwatch.trail.own import Recovered, format_own
from auditwatch.writer.rotation import closing_time

WITHOUT: Final[dict[str, dict[str, bool]]] = {
    "no lock": {"locks": False},
    "no count check": {"counts": False},
    "no tail repair": {"repairs": False},
    "acknowledges before fsync": {"syncs_first": False},
    "no safe unlock": {"forgetful": True},
}
"""The known-bad writers, as arguments of `Homemade`; for the last one see `Forgetful`."""


class Homemade:
    """Opens, locks, writes and closes for each record, as many have written it.

    Args:
        path: The trail.
        locks: Whether to take the lock.
        counts: Whether to look how much a write took.
        repairs: Whether to end a torn tail.
        syncs_first: Whether to sync before, not after, the acknowledgement.
        power: Whether records are to survive a power cut.
        rotate_bytes: Size beyond which the file is renamed.
    """

    def __init__(
        self,
        path: str,
        *,
        locks: bool = True,
        counts: bool = True,
        repairs: bool = True,
        syncs_first: bool = True,
        power: bool = False,
        rotate_bytes: int | None = None,
    ) -> None:
        self._path = path
        self._locks, self._counts, self._repairs, self._syncs_first = locks, counts, repairs, syncs_first
        self._power = power
        self._rotate_bytes = rotate_bytes
        self._refused = False
        self._late: int | None = None

    def append(self, record: dict[str, Any]) -> None:
        """Append one record.

        Raises:
            AuditWriteError: If it was not acknowledged.
        """
        if self._refused:
            raise AuditWriteError("an earlier sync failed", stored="no", reason="poisoned")
        self._sync_late()
        stored = "unknown"
        try:
            descriptor = self._opened()
            try:
                self._store(descriptor, json.dumps(record).encode())
                self._sync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise AuditWriteError(str(error), stored=stored, reason="other", errno=error.errno) from error  # type: ignore[arg-type]

    def close(self) -> None:
        """Do what was postponed."""
        self._sync_late()

    def _opened(self) -> int:
        """The file that has the trail's name, locked; a full one is renamed first."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            if self._power:
                self._sync_directory()
            if self._locks:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self._is_there(descriptor) and not self._rotated(descriptor):
                return descriptor
            os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _rotated(self, descriptor: int) -> bool:
        size = os.fstat(descriptor).st_size
        if self._rotate_bytes is None or size < self._rotate_bytes:
            return False
        if self._repairs and os.pread(descriptor, 1, size - 1) != b"\n":
            return False  # a renamed torn tail is never repaired
        directory, name = os.path.split(self._path)
        number = 1 + len([other for other in os.listdir(directory) if "Z-" in other and other.endswith(".jsonl")])
        os.rename(self._path, os.path.join(directory, segment_name(name, closing_time(time.time_ns()), number)))
        self._sync_directory()
        return True

    def _store(self, descriptor: int, line: bytes) -> None:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        tail = self._tail(descriptor, end)
        # The line and its newline: two writes, and only the lock keeps them together.
        try:
            for piece in (tail + line, b"\n"):
                self._write(descriptor, piece)
        except OSError:
            if self._counts:  # of the line too, where there was no room for its newline alone
                os.ftruncate(descriptor, end)
            raise

    def _write(self, descriptor: int, piece: bytes) -> None:
        if os.write(descriptor, piece) != len(piece) and self._counts:
            raise OSError(errno.ENOSPC, "not stored: short write")

    def _tail(self, descriptor: int, end: int) -> bytes:
        """What ends a torn tail."""
        if not self._repairs or end == 0 or os.pread(descriptor, 1, end - 1) == b"\n":
            return b""
        start = os.pread(descriptor, end, 0).rfind(b"\n") + 1
        digest = hashlib.sha256(os.pread(descriptor, end - start, start)).hexdigest()
        return b"\n" + format_own("T", Recovered(start, end - start, digest)) + b"\n"

    def _sync(self, descriptor: int) -> None:
        if not self._power:
            return
        if not self._syncs_first:
            self._late = os.dup(descriptor)
            return
        try:
            os.fdatasync(descriptor)
        except OSError:
            self._refused = True
            raise

    def _sync_late(self) -> None:
        """What is done too late: the record was acknowledged by the call before."""
        descriptor, self._late = self._late, None
        if descriptor is None:
            return
        try:
            os.fdatasync(descriptor)
        except OSError:
            return
        finally:
            os.close(descriptor)

    def _sync_directory(self) -> None:
        descriptor = os.open(os.path.dirname(self._path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Forgetful:
    """Takes the lock of threads and that of processes, as `AuditWriter` did, and can be interrupted on the way back.

    Between `finally:` and the first line of the function that gives the locks back, a signal handler may raise.

    Args:
        path: The trail.
    """

    def __init__(self, path: str) -> None:
        self._between_threads = threading.RLock()
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  it stays open

    def append(self, record: dict[str, Any]) -> None:
        """Append one record.

        Raises:
            AuditWriteError: If another one holds a lock for too long.
        """
        line = json.dumps(record).encode() + b"\n"
        try:
            self._acquire(time.monotonic() + 0.1)
            self._file.write(line)
        finally:
            self._release()

    def close(self) -> None:
        """Leave the file open for who is still there."""

    def _acquire(self, deadline: float) -> None:
        if not self._between_threads.acquire(timeout=0.1):
            raise AuditWriteError("another thread holds the lock", stored="no", reason="lock_timeout")
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise AuditWriteError(
                        "another process holds the lock", stored="no", reason="lock_timeout"
                    ) from None
            else:
                return

    def _release(self) -> None:
        if self._between_threads._is_owned():  # type: ignore[attr-defined]
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._between_threads.release()
