"""For the tests of programs that write audit trails: a writer that keeps its lines in memory and fails on demand.

    writer = InMemoryAuditWriter("audit_trail.jsonl")
    RiskManager(audit=writer).stop_trading("limit")
    assert writer.records[-1]["event"] == "KILL_SWITCH"

    writer.fail_with = "disk_full"      # from here on every append fails as on a full disk

It is the real writer without the file: settings, serialisation, limits, stamps, `on_failure`, `append_async` and all
refusals are the same code. With pytest it is the fixture `audit_writer` (`auditwatch.pytest_plugin`); `audit_trail`
is the path of a trail that does not exist yet, for programs that open it themselves.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from auditwatch.errors import AuditWriteError, LockTimeout
from auditwatch.trail.counters import FAILURES
from auditwatch.writer.appender import Appender
from auditwatch.writer.audit_writer import AuditWriter
from auditwatch.writer.chain import Tip
from auditwatch.writer.counting import Counting
from auditwatch.writer.durability import CLOSED, Sync
from auditwatch.writer.failures import copy_of, refusal, write_error
from auditwatch.writer.locking import TwoLocks
from auditwatch.writer.settings import Settings

__all__ = ["InMemoryAuditWriter", "failure", "read_records"]

_NUMBERS: Final = {
    "disk_full": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "io_error": errno.EIO,
    "read_only": errno.EROFS,
    "permission": errno.EACCES,
}


class InMemoryAuditWriter(AuditWriter):
    """An `AuditWriter` whose trail is a list in memory, empty at first.

    The path is neither read nor written, so settings that concern only files have no effect: `lock_path`, `file_mode`,
    `allow_network`, `durability`, `sync_interval`, `rotate_bytes`, `rotate_every`, `ballast_bytes`. An unpickled writer
    starts with an empty trail.

    Args:
        path: As for `AuditWriter`, for messages.
        fail_with: First value of the attribute.
        settings: Any setting of `AuditWriter`.

    Attributes:
        fail_with: The error that every append of a good record raises, or its reason (`auditwatch.trail.counters`);
            None lets them succeed.
        lines: What was stored, without newlines.
    """

    fail_with: AuditWriteError | str | None = None

    def __init__(
        self, path: str | os.PathLike[str], *, fail_with: AuditWriteError | str | None = None, **settings: Any
    ) -> None:
        super().__init__(path, **settings)
        self.fail_with = fail_with

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was stored, as a reader of the trail sees it."""
        return [json.loads(line) for line in self.lines]

    def _appender_of(self, settings: Settings) -> Appender:
        self.lines: list[bytes] = []
        file = _InMemoryFile(settings.path, self.lines, lambda: self.fail_with)
        without_files = settings._replace(
            durability="process", rotate_bytes=None, rotate_every=None, ballast_bytes=None
        )
        return Appender(without_files, _InMemoryCounting(settings.path), lambda _: file)


class _InMemoryFile:
    """A list in place of an open file.

    Args:
        path: The trail, for messages.
        lines: Where what is stored goes.
        fail_with: Asked first, for the error to raise or its reason.
    """

    def __init__(self, path: str, lines: list[bytes], fail_with: Callable[[], AuditWriteError | str | None]) -> None:
        self.locks = TwoLocks(path, CLOSED)
        self.sync = Sync(CLOSED)
        self.identity = (0, 0)
        self.look_for_poison_at = math.inf
        self._path = path
        self._lines = lines
        self._fail_with = fail_with
        self._tip = Tip()

    def size_if_there(self, _path: str, _now: float) -> int:
        """Never replaced."""
        return 0

    def is_full(self, _rotation: object, _size: int, _length: int) -> bool:
        """Never rotated."""
        return False

    def store(self, lines: list[bytes], _size: int, stamp: bool) -> None:
        """Keep the lines, stamped if asked for."""
        wanted = self._fail_with()
        if wanted is not None:
            raise _error(wanted, self._path)
        if stamp:
            lines, self._tip = self._tip.stamped(lines)
        self._lines.extend(line.removesuffix(b"\n") for line in lines)

    def poison(self) -> None:
        """Never poisoned."""

    def close(self) -> None:
        """Nothing is open."""

    def retire(self) -> None:
        """Nothing is open."""


class _InMemoryCounting(Counting):
    """Counts in memory only: there is no counters file."""

    def look(self, *, quietly: bool = False) -> None:
        """Leave the file system alone."""


def failure(reason: str, path: str = "audit_trail.jsonl") -> AuditWriteError:
    """The error that `AuditWriter` raises when nothing was stored for this reason.

    >>> error = failure("disk_full")
    >>> error.errno, error.stored
    (28, 'no')

    Raises:
        ValueError: If there is no such reason.
    """
    if reason not in FAILURES:
        raise ValueError(f"reason must be one of {', '.join(FAILURES)}, not {reason!r}")
    if reason in _NUMBERS:
        return write_error(path, _NUMBERS[reason], "no")
    if reason == "lock_timeout":
        return LockTimeout(f"{path}: not stored: the lock is still held by another process", stored="no", reason=reason)
    return refusal(path, reason, "not stored")


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of a trail on disk.

    Raises:
        AssertionError: If a line is not one whole JSON object, or the last one has no newline.
    """
    *lines, rest = Path(path).read_bytes().split(b"\n")
    if rest:
        raise AssertionError(f"{path}: the last line has no newline")
    records = [_record(line) for line in lines]
    if None in records:
        raise AssertionError(f"{path}: line {records.index(None) + 1} is not a JSON object")
    return [record for record in records if record is not None]


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _error(wanted: AuditWriteError | str, path: str) -> AuditWriteError:
    return failure(wanted, path) if isinstance(wanted, str) else copy_of(wanted)
