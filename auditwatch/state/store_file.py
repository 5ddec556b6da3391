"""The file of the store: how it is opened, what caused an error, where a damaged file goes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

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


def set_aside(path: Path, now: float) -> None:
    """Keep a damaged store for people to look at, under a name that says when."""
    names = (f"{path.stem}.damaged-{int(now) + number}.db" for number in count())
    target = next(name for name in names if not path.with_name(name).exists())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(target + suffix))
