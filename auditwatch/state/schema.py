"""The tables of the store, and how older ones are migrated."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from auditwatch.errors import StateNewer
from auditwatch.state.lock import give_to_owner_of
from auditwatch.state.rows import DamagedRow, checksum, meta_row, segment_row_key, total_of, trail_row_key

STORE_ID: Final = "id"
"""Where the store keeps its id: random, and another one after each loss."""

STEP: Final = "step"
"""Where it keeps the number of its last transaction."""

SUPERSEDES: Final = "supersedes"
"""Where it says, until `state.step` bears its id, which store that file still speaks of; empty if there is none."""

_TABLES: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, body BLOB NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE trails (
  trail TEXT PRIMARY KEY, segment INTEGER NOT NULL, judged INTEGER NOT NULL, rules TEXT NOT NULL,
  body BLOB NOT NULL, checksum BLOB NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE findings (
  trail TEXT NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, sha256 TEXT NOT NULL,
  body BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (trail, segment, offset, sha256)
) WITHOUT ROWID""",
    """CREATE TABLE runs (
  trail TEXT NOT NULL, mode TEXT NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (trail, mode)
) WITHOUT ROWID""",
)


def new_id() -> str:
    """The id of a store that there was not before."""
    return secrets.token_hex(16)


def _create_tables(connection: sqlite3.Connection) -> None:
    for table in _TABLES:
        connection.execute(table)


def _to_version_2(connection: sqlite3.Connection) -> None:
    """Version 1 knew that a segment had a torn tail, not where; its anchor was its judged position and two prints."""
    for trail, body, expected in connection.execute("SELECT trail, body, checksum FROM trails").fetchall():
        if checksum(trail, body) != expected:
            raise DamagedRow(trail)
        fresh = json.dumps(_as_version_2(connection, trail, json.loads(body))).encode()
        connection.execute(
            "UPDATE trails SET body = ?, checksum = ? WHERE trail = ?", (fresh, checksum(trail, fresh), trail)
        )


def _as_version_2(connection: sqlite3.Connection, trail: str, state: dict[str, Any]) -> dict[str, Any]:
    for segment in filter(None, (*state["closed"], state["active"])):
        segment["unlisted"], segment["unlisted_ranges"] = segment.pop("beyond"), segment.pop("crowded")
        prints = {name: segment.pop(name) for name in ("head", "marker")}
        segment["anchor"] = {"position": segment["judged"], **prints}
        query = "SELECT max(offset) FROM findings WHERE trail = ? AND segment = ?"
        (offset,) = connection.execute(query, (trail, segment["number"])).fetchone()
        is_known = segment["torn_tail"] and offset is not None
        segment["torn_tail"] = {"offset": offset, "is_listed": True} if is_known else None
    return state


def _to_version_3(connection: sqlite3.Connection) -> None:
    """Version 2 held all closed segments in the row of their trail, and no one could tell how far a store had come."""
    connection.execute("""CREATE TABLE segments (
  trail TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (trail, number)
) WITHOUT ROWID""")
    connection.execute("ALTER TABLE trails ADD COLUMN total BLOB NOT NULL DEFAULT x''")
    connection.execute("ALTER TABLE trails ADD COLUMN step INTEGER NOT NULL DEFAULT 0")
    for trail, body, expected in connection.execute("SELECT trail, body, checksum FROM trails").fetchall():
        if checksum(trail, body) != expected:
            raise DamagedRow(trail)
        _split_version_3(connection, trail, json.loads(body))
    figures = ((STORE_ID, new_id()), (STEP, "0"), (SUPERSEDES, ""))
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", [meta_row(*figure) for figure in figures])


def _split_version_3(connection: sqlite3.Connection, trail: str, state: dict[str, Any]) -> None:
    closed, state["closed"] = state["closed"], []
    for segment in closed:
        body = json.dumps(segment).encode()
        row = (trail, segment["number"], body, checksum(segment_row_key(trail, segment["number"]), body))
        connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", row)
    body = json.dumps(state).encode()
    query = "SELECT checksum FROM segments WHERE trail = ? UNION ALL SELECT checksum FROM findings WHERE trail = ?"
    total = total_of(row[0] for row in connection.execute(query, (trail, trail)))
    connection.execute(
        "UPDATE trails SET body = ?, checksum = ?, total = ? WHERE trail = ?",
        (body, checksum(trail_row_key(trail, total, 0), body), total, trail),
    )


def _to_version_4(connection: sqlite3.Connection) -> None:
    """Version 3 remembered no bytes but the first and the last of a segment."""
    connection.execute("""CREATE TABLE digests (
  trail TEXT NOT NULL, segment INTEGER NOT NULL, start INTEGER NOT NULL, body BLOB NOT NULL, checksum BLOB NOT NULL,
  PRIMARY KEY (trail, segment, start)
) WITHOUT ROWID""")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _create_tables,
    _to_version_2,
    _to_version_3,
    _to_version_4,
)
"""Step n migrates version n to n + 1, in one transaction; the version is SQLite's `user_version`."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate the store to the current version; an older one is first copied next to itself.

    Raises:
        StateNewer: If a later auditwatch wrote it; nothing is touched.
    """
    version = _version_of(connection, path)
    if 0 < version < len(MIGRATIONS):
        copy_store(connection, path.with_name(f"{path.stem}.v{version}.db"))
    _bring_up(connection, version)


def migrated_copy(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The store in the current version, for reading: itself, or a copy in memory if it is older.

    Raises:
        StateNewer: If a later auditwatch wrote it.
    """
    version = _version_of(connection, path)
    if version == len(MIGRATIONS):
        return connection
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with closing(connection):
        connection.backup(copy)
    copy.text_factory = connection.text_factory
    _bring_up(copy, version)
    return copy


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a store.

    Raises:
        StateNewer: If it is later than the current one.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StateNewer(
            f"{path}: written by a later version of auditwatch (schema {version}, this one knows {len(MIGRATIONS)}); "
            "install that version again, or choose another --state-dir"
        )
    return version


def _bring_up(connection: sqlite3.Connection, version: int) -> None:
    if version == len(MIGRATIONS):
        return
    connection.execute("PRAGMA synchronous = FULL")  # what follows in another file counts on it
    for number in range(version, len(MIGRATIONS)):
        connection.execute("BEGIN IMMEDIATE")
        MIGRATIONS[number](connection)
        connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    connection.execute("PRAGMA synchronous = NORMAL")


def make_private(path: Path) -> None:
    """Create an empty file that only the owner of the state can read; SQLite would use the umask."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner_of(str(path.parent), descriptor)
    finally:
        os.close(descriptor)


def remove_store(path: Path) -> None:
    """Remove a store that was not finished, so that it takes no room."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def copy_store(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole store, consistently, to another file; an existing file is replaced in one step."""
    fresh = target.with_name(target.name + ".new")
    make_private(fresh)
    try:
        with closing(sqlite3.connect(fresh)) as copy:
            connection.backup(copy)
    except BaseException:
        remove_store(fresh)
        raise
    fresh.replace(target)
