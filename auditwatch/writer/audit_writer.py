"""The front that producers hold: settings, serialisation, and one append after another into the right file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from auditwatch.errors import AuditWriteError, LockTimeout
from auditwatch.trail.counters import TIMED_OUT, wait_bucket
from auditwatch.trail.rules import MAX_LINE_BYTES
from auditwatch.writer import forks
from auditwatch.writer.counting import counting_of
from auditwatch.writer.failures import refusal, write_error
from auditwatch.writer.opening import open_trail
from auditwatch.writer.serialise import Serialiser, UnserialisableError, checked_line
from auditwatch.writer.settings import OnFailure, Settings, absolute
from auditwatch.writer.trail_file import TrailFile


class AuditWriter:
    """Appends records to a JSONL trail so that no line is ever lost, torn or mixed with another.

    Safe from any number of threads and processes at once, over forks, and beside every producer that takes
    `flock(LOCK_EX)` on the trail. A pickled writer opens the same path with the same settings.

    Args:
        path: The trail; created where it is missing, its directory is not.
        lock_path: A file to lock instead of the trail, for trails that untrusted users can open. All producers
            must name the same.
        lock_timeout: Longest wait in seconds for both locks together.
        max_line_bytes: Longest line before its newline; longer records are refused, never cut.
        timestamp_field: Member with the time in UTC that is put first where a record has none; None: no such member.
        default: Called with a value that JSON does not know; returns one that it knows.
        dumps: Replaces the serialiser; returns one JSON object without newlines, which is checked.
        on_failure: "raise", or what is called with the error instead; `append` then returns.
        file_mode: Permissions of a new trail, less the umask.
        allow_network: Whether to write on NFS, CIFS, FUSE and the like, where the guarantees do not hold.

    Raises:
        AuditWriteError: If the trail cannot be opened and failures are raised.
        ValueError: If a parameter cannot be.
    """

    def __init__(  # noqa: PLR0913  the parameters of the contract, by name only
        self,
        path: str | os.PathLike[str],
        *,
        lock_path: str | os.PathLike[str] | None = None,
        lock_timeout: float = 5.0,
        max_line_bytes: int = MAX_LINE_BYTES,
        timestamp_field: str | None = "timestamp",
        default: Callable[[Any], Any] | None = None,
        dumps: Callable[[Any], bytes | str] | None = None,
        on_failure: OnFailure = "raise",
        file_mode: int = 0o640,
        allow_network: bool = False,
    ) -> None:
        self._begin(
            Settings(
                path=absolute(path),
                lock_path=None if lock_path is None else absolute(lock_path),
                lock_timeout=lock_timeout,
                max_line_bytes=max_line_bytes,
                timestamp_field=timestamp_field,
                default=default,
                dumps=dumps,
                on_failure=on_failure,
                file_mode=file_mode,
                allow_network=allow_network,
            )
        )

    def _begin(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.path
        self._closed = False
        self._trail: TrailFile | None = None
        self._serialise = Serialiser(settings.timestamp_field, settings.default, settings.dumps).line
        self._counting = counting_of(settings.path)
        try:
            self._trail = open_trail(settings)
        except AuditWriteError as error:
            if not self._answered(error, None):
                raise
        else:
            self._counting.look()

    def __getstate__(self) -> Settings:
        return self._settings

    def __setstate__(self, settings: Settings) -> None:
        self._begin(settings)

    def __repr__(self) -> str:
        return f"AuditWriter({self._path!r}{', closed' if self._closed else ''})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """Where the trail lies."""
        return self._path

    def append(self, record: Mapping[str, Any] | object) -> None:
        """Append one record; when this returns, it is acknowledged.

        Args:
            record: A mapping with string keys, or an instance of a dataclass.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be there all the same.
        """
        try:
            line = self._serialise(record)
        except UnserialisableError as error:
            message = str(error)
        except Exception as error:  # noqa: BLE001  hooks and records run the caller's code: no crash of ours
            message = f"the record, default= or dumps= raised {type(error).__name__}"
        else:
            self._append(line)
            return
        self._refuse("unserialisable", message)

    def append_line(self, line: bytes) -> None:
        """Append one record that is JSON already; its bytes are kept, no timestamp is added.

        Args:
            line: One JSON object in UTF-8, without a newline.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be there all the same.
        """
        try:
            whole = checked_line(line) + b"\n"
        except UnserialisableError as error:
            message = str(error)
        else:
            self._append(whole)
            return
        self._refuse("unserialisable", message)

    def close(self) -> None:
        """Close the trail; appending afterwards is an error. Closing twice is none."""
        self._closed = True
        trail, self._trail = self._trail, None
        if trail is not None:
            trail.retire()

    def _append(self, line: bytes) -> None:
        began = time.monotonic()
        try:
            free = self._stored(line, began)
        except AuditWriteError as error:
            if not self._answered(error, _bucket_of(error)):
                raise
        else:
            bucket = 0 if free else wait_bucket(time.monotonic() - began)
            self._counting.stored(len(line), bucket, began)

    def _stored(self, line: bytes, now: float) -> bool:
        """Store the line in the file that bears the name now; says whether the locks were free at once."""
        if len(line) > self._settings.max_line_bytes + 1:
            limit = self._settings.max_line_bytes
            raise refusal(self._path, "too_long", f"not stored: {len(line) - 1} bytes, the limit is {limit}")
        forks.notice()
        while (free := self._stored_in(self._trail or self._opened(), line, now)) is None:
            self._trail = None
            if time.monotonic() > now + self._settings.lock_timeout:
                raise refusal(self._path, "other", "not stored: the file was replaced again and again meanwhile")
        return free

    def _stored_in(self, trail: TrailFile, line: bytes, now: float) -> bool | None:
        """As `_stored`, or None where the file no longer bears the name: it is closed for all writers then."""
        locks = trail.locks
        locks.refuse_reentry()
        try:
            free = locks.acquire(now + self._settings.lock_timeout)
            size = trail.size_if_there(self._path, now)
            if size is None:
                trail.close()
                return None
            trail.store(line, size)
        except OSError as error:
            raise write_error(self._path, error.errno, "no") from error
        finally:
            locks.release()
        return free

    def _opened(self) -> TrailFile:
        if self._closed:
            raise refusal(self._path, "other", "not stored: the writer is closed")
        self._trail = open_trail(self._settings)
        return self._trail

    def _refuse(self, reason: str, message: str) -> None:
        error = refusal(self._path, reason, f"not stored: {message}")
        if not self._answered(error, None):
            raise error

    def _answered(self, error: AuditWriteError, bucket: int | None) -> bool:
        """Count a failure and tell who wants to be told; False where it has to be raised."""
        self._counting.failed(error.reason, bucket)
        if self._settings.on_failure == "raise":
            return False
        self._settings.on_failure(error)
        return True


def _bucket_of(error: AuditWriteError) -> int | None:
    return TIMED_OUT if isinstance(error, LockTimeout) else None
