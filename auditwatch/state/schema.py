"""The tables of the store and how older ones become today's."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from auditwatch.errors import StateNewer
from auditwatch.state.lock import give_to_owner_of

_VERSION_1: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE trails (
  trail TEXT PRIMARY KEY, segment INTEGER NOT NULL, judged INTEGER NOT NULL, rules TEXT NOT NULL,
  body BLOB NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE findings (
  trail TEXT NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, sha256 TEXT NOT NULL,
  body BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (trail, segment, offset, sha256)
) WITHOUT ROWID;
CREATE TABLE runs (
  trail TEXT NOT NULL, mode TEXT NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (trail, mode)
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1,)
"""Script n brings version n to n + 1; the version is SQLite's `user_version`."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the store to today's version; an older one is copied beside itself first.

    Raises:
        StateNewer: If a later auditwatch wrote it; nothing is touched.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StateNewer(
            f"{path}: written by a later auditwatch (schema {version}, this one knows {len(MIGRATIONS)}); "
            "install that version again, or give another --state-dir"
        )
    if 0 < version < len(MIGRATIONS):
        copy_store(connection, path.with_name(f"{path.stem}.v{version}.db"))
    for number in range(version, len(MIGRATIONS)):
        script = f"BEGIN IMMEDIATE; {MIGRATIONS[number]}; PRAGMA user_version = {number + 1}; COMMIT;"
        connection.executescript(script)


def make_private(path: Path) -> None:
    """Make an empty file that nobody but the owner of the state can read; SQLite would ask the umask."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner_of(str(path.parent), descriptor)
    finally:
        os.close(descriptor)


def copy_store(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole store, consistently, to another file; one that is there is replaced in one step."""
    fresh = target.with_name(target.name + ".new")
    make_private(fresh)
    copy = sqlite3.connect(fresh)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    fresh.replace(target)
