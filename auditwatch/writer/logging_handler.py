"""A logging handler in front of the writer: each log record becomes one JSON object in a trail."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final

from auditwatch.errors import AuditWriteError
from auditwatch.writer.audit_writer import AuditWriter
from auditwatch.writer.failures import refusal
from auditwatch.writer.lenient import LenientWriter
from auditwatch.writer.log_members import members_of

_ESSENTIAL: Final = ("logger", "message")


class AuditHandler(logging.Handler):
    """Appends log records to a trail with all the guarantees of `AuditWriter`.

    A line holds the time of the log call under the writer's `timestamp_field`, `level`, `logger`, `message`, then the
    members of a mapping that was logged in place of a message, and of `extra=`, then `exception` (type, message,
    traceback, notes, cause or context, exceptions of a group) and `stack` if there are any. Members of the program that
    have one of these names, or one that is reserved for the writer, go into an object `extra`. No formatter is used:
    what it would put into the text is in separate members.

    No line is lost for what is in it. A value that JSON cannot hold, or that cannot even be printed, becomes text. A
    line that is longer than `max_line_bytes` is shortened, and ends in `truncated`, the number of bytes left out. What
    cannot be stored for any other reason is counted like every failed append and goes to `handleError`, as logging
    expects; nothing is raised into the program. Threads and forks wait for each other only at the trail. A record that
    is logged while the same thread is storing another one, by a signal handler for example, is stored right after it.
    One that is logged while those are being stored is dropped and counted, because otherwise this might never end.

    Args:
        path: The trail.
        level: As for every handler.
        default: Called with a value that JSON does not know; by default its text is stored. If it raises, that as well.
        settings: Any setting of `AuditWriter`. A line that `dumps=` cannot make is made without it.

    Raises:
        AuditWriteError: If the trail cannot be opened and `on_failure` is "raise".
        ValueError: If a setting is not valid.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        level: int | str = logging.NOTSET,
        default: Callable[[Any], Any] | None = str,
        **settings: Any,
    ) -> None:
        super().__init__(level)
        default = None if settings.get("dumps") else default
        self._writer = LenientWriter(path, default=default, **{"reentrant": "after", **settings})
        self._field: str | None = settings.get("timestamp_field", "timestamp")
        self._uncut = ("level",) if self._field is None else (self._field, "level")
        self._here = _Here()

    @property
    def writer(self) -> AuditWriter:
        """What stores the lines; use it to append records that are not log records."""
        return self._writer

    def handle(self, record: logging.LogRecord) -> Any:
        """Store the record if the filters let it pass; no lock is held around it, so that threads can share syncs."""
        passed: object = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Store the record, and then what this thread logged in the meantime."""
        here = self._here
        if here.meanwhile is not None:
            here.meanwhile.append(record)
            return
        first: list[logging.LogRecord] = []
        endless: list[logging.LogRecord] = []
        here.meanwhile = first
        try:
            self._emit(record)
            here.meanwhile = endless
            for later in first:
                self._emit(later)
        finally:
            here.meanwhile = None
        if endless:
            self._drop(endless)

    def close(self) -> None:
        """Close the trail; what is logged afterwards goes to `handleError`."""
        self._writer.close()
        super().close()

    def _emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.append_leniently(self._members(record), self._uncut, _ESSENTIAL)
        except Exception:  # noqa: BLE001  this is what handleError is for
            self.handleError(record)

    def _drop(self, records: list[logging.LogRecord]) -> None:
        """Count what was logged while records from the middle of an `emit` were stored: storing it might never end.

        A callable in `on_failure` that logs ends up here, so it is not called again.
        """
        self._writer.count_dropped(len(records))
        try:
            raise refusal(self._writer.path, "other", "not stored: storing a log record keeps logging further records")
        except AuditWriteError:
            self.handleError(records[0])

    def _members(self, record: logging.LogRecord) -> dict[str, object]:
        """The members of the line for a record. It is counted if there are none: out of stack, for example."""
        try:
            return members_of(record, self._field)
        except Exception as error:
            self._writer.refuse(f"looking at the log record raised {type(error).__name__}")
            raise


class _Here(threading.local):
    """What one thread is doing with a handler.

    Attributes:
        meanwhile: What it logged while storing a record; None when it is not storing one.
    """

    meanwhile: list[logging.LogRecord] | None = None
