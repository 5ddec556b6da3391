"""How a store is found at a start: whole, in its previous generation, or not at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from auditwatch.host.durable import sync_directory
from auditwatch.state.loss import FoundStore, author, fault_of_store
from auditwatch.state.rows import DamagedRow
from auditwatch.state.schema import STEP, STORE_ID, SUPERSEDES, make_private, migrate, migrated_copy, remove_store
from auditwatch.state.step import Steps
from auditwatch.state.store_file import connected, copied_to_memory, is_from_outside, looked_at, set_aside
from auditwatch.state.tables import Tables

STORE_NAME: Final = "state.db"
PREVIOUS_NAME: Final = "state.previous.db"

CREATED: Final = "created"
"""Where a store says when it was created."""

_SMALLEST_BYTES: Final = 512
"""The smallest page size of SQLite; a store is never smaller than one page."""


def newest(path: Path, now: float, steps: Steps | None, boot: str) -> tuple[sqlite3.Connection, str]:
    """The best store that there is, and why it is not the newest there was; empty if it is.

    A damaged store is set aside and replaced by the previous generation or by a new store.

    Args:
        path: Of the store.
        now: Seconds since 1970.
        steps: What `state.step` says; None if there is no such file.
        boot: Which boot this is.

    Raises:
        StateNewer: If a later auditwatch wrote it.
        sqlite3.Error, OSError: If it cannot be created or written.
    """
    if steps is None and not _is_anything_left(path):
        create_store(path, now, {})
    fault = f"{STORE_NAME} was {'damaged' if path.exists() else 'missing'}"
    connection = _whole(path)
    if connection is None:
        return _after_damage(path, now), fault
    found = found_store(connection)
    fault = fault_of_store(found, steps, boot) or ""
    if fault and _is_generation_better(path, found, steps):
        connection.close()
        return _after_damage(path, now), fault
    return connection, fault


def _is_anything_left(path: Path) -> bool:
    names = (STORE_NAME, PREVIOUS_NAME, f"{STORE_NAME}-wal", f"{path.stem}.damaged-*.db")
    return any(True for name in names for _ in path.parent.glob(name))


def _whole(path: Path) -> sqlite3.Connection | None:
    """The store, if it exists and none of it is damaged."""
    if not path.exists() or path.stat().st_size < _SMALLEST_BYTES:  # SQLite takes it for a new store
        return None
    try:
        return opened_store(path)
    except (DamagedRow, sqlite3.Error, UnicodeDecodeError) as error:  # the last: in SQLite's messages about its schema
        if isinstance(error, sqlite3.Error) and is_from_outside(error, path):
            raise
        return None


def opened_store(path: Path) -> sqlite3.Connection:
    """The store at a path, in the current version, every row of it checked.

    Raises:
        DamagedRow: At the first that does not match.
        sqlite3.Error: If it cannot be opened, or is damaged.
    """
    connection = connected(path)
    try:
        migrate(connection, path)
        Tables(connection).verify()
        found_store(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def copied_store(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The store in the current version, for reading, every row of it checked."""
    connection = migrated_copy(connection, path)
    Tables(connection).verify()
    return connection


def newest_in_memory(path: Path, now: float, steps: Steps | None, boot: str) -> tuple[sqlite3.Connection, str]:
    """The same as `newest`, as a copy in memory: there is no room to open the store itself.

    Raises:
        StateNewer: If a later auditwatch wrote it.
    """
    own, previous = _copy(path, path), _copy(path.with_name(PREVIOUS_NAME), path)
    if own is None:
        fault = f"{STORE_NAME} was {'damaged' if path.exists() else 'missing'}"
        is_new = steps is None and not _is_anything_left(path)
        return previous or _empty(now), "" if is_new else fault
    found = found_store(own)
    fault = fault_of_store(found, steps, boot) or ""
    if fault and previous and _is_better(found_store(previous), found, steps):
        return previous, fault
    return own, fault


def _copy(path: Path, store: Path) -> sqlite3.Connection | None:
    if not path.exists() or path.stat().st_size < _SMALLEST_BYTES:
        return None
    try:
        return copied_store(copied_to_memory(path), store)
    except (DamagedRow, sqlite3.Error, UnicodeDecodeError):
        return None


def _empty(now: float) -> sqlite3.Connection:
    connection = migrated_copy(sqlite3.connect(":memory:", isolation_level=None), Path(STORE_NAME))
    Tables(connection).put_figure(CREATED, str(now))
    return connection


def _after_damage(path: Path, now: float) -> sqlite3.Connection:
    """The previous generation if that is intact, else a new store; what is damaged is kept."""
    set_aside(path, now)
    previous = path.with_name(PREVIOUS_NAME)
    if previous.exists():
        previous.replace(path)
    connection = _whole(path)
    if connection is None:
        set_aside(path, now)
        create_store(path, now, {})
        connection = opened_store(path)
    return connection


def _is_generation_better(path: Path, known: FoundStore, steps: Steps | None) -> bool:
    """Whether the previous generation is nearer to the newest store than an intact one that fell behind."""
    previous = path.with_name(PREVIOUS_NAME)
    found = looked_at(previous, lambda connection: _found_in_copy(connection, previous))
    return found is not None and _is_better(found, known, steps)


def _is_better(found: FoundStore, known: FoundStore, steps: Steps | None) -> bool:
    return found.id == author(steps) and (known.id != found.id or known.step < found.step)


def _found_in_copy(connection: sqlite3.Connection, path: Path) -> FoundStore:
    with closing(copied_store(connection, path)) as copy:
        return found_store(copy)


def found_store(connection: sqlite3.Connection) -> FoundStore:
    """What a store says of itself.

    Raises:
        DamagedRow: If it does not.
    """
    tables = Tables(connection)
    found, step = tables.figure(STORE_ID), tables.figure(STEP)
    if found is None or step is None or not step.isdecimal():
        raise DamagedRow(STORE_ID)
    return FoundStore(found, int(step), tables.figure(SUPERSEDES))


def create_store(path: Path, now: float, figures: Mapping[str, str]) -> None:
    """A new store appears whole, and durably: an empty file is always a damaged one.

    Args:
        path: Where.
        now: Seconds since 1970.
        figures: What it says of itself; by default it has an id of its own, and no `state.step` yet.
    """
    fresh = path.with_name(path.name + ".new")
    make_private(fresh)
    try:
        with closing(connected(fresh)) as connection:
            migrate(connection, fresh)
            tables = Tables(connection)
            for key, value in {CREATED: str(now), **figures}.items():
                tables.put_figure(key, value)
            if figures:
                tables.forget_figure(SUPERSEDES)
    except BaseException:
        remove_store(fresh)
        raise
    fresh.replace(path)
    sync_directory(os.fspath(path.parent))
