"""The file of the store: how it is opened, what caused an error, where a damaged file goes."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

from auditwatch.errors import StateFull, StateUnwritable
from auditwatch.state.rows import DamagedRow

_T = TypeVar("_T")

_OUTSIDE: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
)


_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_ROOM_BYTES: Final = 64 << 10
"""What SQLite needs to open a store with a write-ahead log, and a little more."""


def connected(path: Path) -> sqlite3.Connection:
    """A connection with the settings that the store needs."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    connection.text_factory = text
    return connection


def looked_at(path: Path, take: Callable[[sqlite3.Connection], _T]) -> _T | None:
    """What `take` makes of a read-only connection, even while another process writes; None if no intact store is there.

    Args:
        path: Path of the store; nothing is created.
        take: Owns the connection if it returns.
    """
    for how in (
        "mode=ro",
        "mode=ro&immutable=1",
    ):  # a WAL store that is not open anywhere cannot be read without writing
        with ExitStack() as stack, suppress(sqlite3.Error, DamagedRow, UnicodeDecodeError):
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)
            stack.callback(connection.close)
            connection.text_factory = text
            taken = take(connection)
            stack.pop_all()
            return taken
    return None


def identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Device and inode of what is at a path; None if nothing is."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def text(raw: bytes) -> str:
    """Text that a flipped bit has damaged must not fail here: its checksum finds that."""
    return raw.decode(errors="surrogateescape")


def is_from_outside(error: sqlite3.Error, path: Path) -> bool:
    """Whether the disk, permissions or another process are to blame, rather than the bytes of the store."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the low byte of an extended code
    if code == sqlite3.SQLITE_READONLY:  # one flipped bit in the file causes this, too
        return not os.access(path, os.W_OK, effective_ids=True)
    return code in _OUTSIDE


def unwritable(error: Exception, path: Path) -> StateUnwritable:
    """Why a file of the state cannot be created or written, as an error of ours."""
    if _is_full(error, path):
        return StateFull(f"{path}: no room: {error}; free space, or choose another --state-dir")
    return StateUnwritable(f"{path}: {error}; make it writable, or choose another --state-dir")


def _is_full(error: Exception, path: Path) -> bool:
    """Whether room is missing: SQLite has many words for that, so a few pages are tried out."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    if isinstance(error, sqlite3.Error) and is_from_outside(error, path):
        try:
            with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
                for _ in range(_ROOM_BYTES >> 12):
                    file.write(bytes(1 << 12))
        except OSError as outside:
            return outside.errno in _FULL
    return False


def copied_to_memory(path: Path) -> sqlite3.Connection:
    """A copy of a store, its write-ahead log included, made without needing room: an exclusive lock needs no index.

    Raises:
        sqlite3.Error: It cannot be read, or is damaged.
    """
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.text_factory = text
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as source:
            source.execute("PRAGMA locking_mode = EXCLUSIVE")
            source.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def set_aside(path: Path, now: float) -> None:
    """Keep a damaged store for people to look at, under a name that says when."""
    names = (f"{path.stem}.damaged-{int(now) + number}.db" for number in count())
    target = next(name for name in names if not path.with_name(name).exists())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(target + suffix))
