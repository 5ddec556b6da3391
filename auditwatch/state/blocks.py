"""Blocks as full runs judged them: a cache next to the store, so that unchanged history is hashed, not parsed again.

Nothing here is essential: if a row is lost or damaged, its block is parsed again; if the file is damaged, all are.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from auditwatch.errors import StateUnwritable
from auditwatch.state.rows import DamagedRow, checksum, decoded, encoded
from auditwatch.state.schema import make_private, remove_store
from auditwatch.state.store_file import connected, identity, is_from_outside, looked_at, unwritable
from auditwatch.trail.grid import Block

BLOCKS_NAME: Final = "blocks.db"
MOST_DEFECTS: Final = 256
"""A block with more damaged lines than this is parsed again: knowing all of them costs more than that."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS blocks (
  trail TEXT NOT NULL, segment INTEGER NOT NULL, k INTEGER NOT NULL, rules TEXT NOT NULL,
  body BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (trail, segment, k)
) WITHOUT ROWID
"""


class BlockStore:
    """The sealed blocks of all trails. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file = identity(path)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that these blocks are written to is still the one at its path."""
        return self._file is not None and identity(self._path) == self._file

    def begin_anew(self) -> None:
        """Open what is at the path now, created as needed, because the file was removed or replaced.

        Raises:
            StateUnwritable: If it cannot be created.
        """
        fresh = self.open(self._path.parent)
        self._connection.close()
        self._connection, self._file = fresh._connection, fresh._file  # noqa: SLF001  one of its own class

    @classmethod
    def open(cls, state_dir: str | os.PathLike[str]) -> BlockStore:
        """The blocks of a state directory, created as needed; started afresh if their file is damaged.

        Raises:
            StateUnwritable: If they cannot be created.
        """
        path = Path(state_dir) / BLOCKS_NAME
        try:
            return cls._opened(path)
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, OSError) or is_from_outside(error, path):
                raise unwritable(error, path) from error
        remove_store(path)
        return cls._opened(path)

    @classmethod
    def _opened(cls, path: Path) -> BlockStore:
        if not path.exists():
            make_private(path)
        connection = connected(path)
        try:
            connection.execute(_TABLE)
            connection.execute("SELECT count(*) FROM blocks").fetchone()
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    def in_memory(cls, state_dir: str | os.PathLike[str]) -> BlockStore:
        """Blocks that are not at their place yet, because there is no room: `begin_anew` tries again."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute(_TABLE)
        blocks = cls(connection, Path(state_dir) / BLOCKS_NAME)
        blocks._file = None
        return blocks

    @classmethod
    def read_only(cls, state_dir: str | os.PathLike[str]) -> BlockStore | None:
        """The blocks for reading only, even while an agent is running; None if there are none to read."""
        path = Path(state_dir) / BLOCKS_NAME
        return looked_at(path, lambda connection: cls._looked_at(connection, path))

    @classmethod
    def _looked_at(cls, connection: sqlite3.Connection, path: Path) -> BlockStore:
        connection.execute("SELECT count(*) FROM blocks").fetchone()
        return cls(connection, path)

    def count(self, trail: str, segment: int, rules: str) -> int:
        """How many blocks of a segment were judged by these rules."""
        query = "SELECT count(*) FROM blocks WHERE trail = ? AND segment = ? AND rules = ?"
        with suppress(sqlite3.Error):
            return int(self._connection.execute(query, (trail, segment, rules)).fetchone()[0])
        return 0

    def block(self, trail: str, segment: int, rules: str, k: int) -> Block | None:
        """Block k of a segment; None if it was not judged by these rules, or what is stored cannot be trusted."""
        query = "SELECT body, checksum FROM blocks WHERE trail = ? AND segment = ? AND k = ? AND rules = ?"
        with suppress(sqlite3.Error, DamagedRow):
            row = self._connection.execute(query, (trail, segment, k, rules)).fetchone()
            return decoded(Block, _key(trail, segment, k, rules), *row) if row else None
        return None

    def record(self, trail: str, segment: int, rules: str, blocks: Iterable[Block]) -> None:
        """Record sealed blocks.

        Raises:
            StateUnwritable: If they cannot be stored.
        """
        rows = [_row(trail, segment, rules, block) for block in blocks if len(block.report.defects) <= MOST_DEFECTS]
        self._change("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget(self, trail: str, segment: int, end: int = 0) -> None:
        """Drop the blocks of a segment from this number on.

        Raises:
            StateUnwritable: If that cannot be stored.
        """
        self._change("DELETE FROM blocks WHERE trail = ? AND segment = ? AND k >= ?", [(trail, segment, end)])

    def close(self) -> None:
        """Close the file; it cannot be used after that."""
        self._connection.close()

    def _change(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StateUnwritable(f"{self._path}: {error}; free space, make it writable, or remove it") from error


def _key(trail: str, segment: int, k: int, rules: str) -> str:
    return f"{trail}/{segment}/{k}/{rules}"


def _row(trail: str, segment: int, rules: str, block: Block) -> tuple[object, ...]:
    body = encoded(block)
    return trail, segment, block.k, rules, body, checksum(_key(trail, segment, block.k, rules), body)
