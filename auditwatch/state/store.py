"""The store of all trails: SQLite, one writer, one transaction per step."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from auditwatch.errors import StateUnwritable
from auditwatch.ledger.damage import Finding
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.state import TrailState
from auditwatch.state.rows import DamagedRow, checksum, decoded, encoded, with_findings, without_findings
from auditwatch.state.schema import copy_store, make_private, migrate, migrated_copy
from auditwatch.state.store_file import connected, identity, is_from_outside, looked_at, set_aside

STORE_NAME: Final = "state.db"
PREVIOUS_NAME: Final = "state.previous.db"

_SMALLEST_BYTES: Final = 512
"""The smallest page size of SQLite; a store is never smaller than one page."""

_SAVE_TRAIL: Final = """
INSERT INTO trails (trail, segment, judged, rules, body, checksum) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (trail) DO UPDATE SET segment = excluded.segment, judged = excluded.judged, rules = excluded.rules,
  body = excluded.body, checksum = excluded.checksum
  WHERE trails.segment = ? AND trails.judged = ? AND trails.rules = ?
"""


def trail_key(name: str, path: str) -> str:
    r"""How the store knows a trail: the same name at another path is another trail.

    >>> trail_key("risk", "/var/log/risk.jsonl"), trail_key("odd", "/a/\udcff.jsonl")
    ('risk=/var/log/risk.jsonl', 'odd=/a/\\xff.jsonl')
    """
    return f"{name}={os.fsencode(path).decode(errors='backslashreplace')}"  # neither SQLite nor JSON accepts other text


class StaleStep(Exception):
    """The store is not at the position where this step begins; nothing was stored."""


class Store:
    """The states of all trails, each under its key `NAME=PATH`. Not thread-safe: the agent's loop owns it.

    Another file under the same name is another trail; a trail that is watched again is found again.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._file = identity(path)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that this store writes is still the one at its path."""
        return self._file is not None and identity(self._path) == self._file

    def begin_anew(self, now: float) -> None:
        """Become an empty store at the path, because the file was removed or replaced; `resets` counts it.

        What is at the path now is set aside. The states of all trails have to be stored again.

        Raises:
            StateUnwritable: If it cannot be created or written; this store stays as it was.
        """
        try:
            resets = self.resets
            set_aside(self._path, now)
            _create(self._path, now)
            fresh = self._opened(self._path)
            fresh.put("resets", str(resets + 1))
        except (sqlite3.Error, OSError) as error:
            raise StateUnwritable(f"{self._path}: {error}; make it writable, or choose another --state-dir") from error
        self._connection.close()
        self._connection, self._file = fresh._connection, fresh._file  # noqa: SLF001  one of its own class

    @classmethod
    def open(cls, state_dir: str | os.PathLike[str], now: float) -> Store:
        """The store of a state directory, created or migrated as needed.

        A damaged store is set aside and replaced by the previous generation or by a new store; `resets` counts that.

        Raises:
            StateNewer: If a later auditwatch wrote it.
            StateUnwritable: If it cannot be created or written.
        """
        path = Path(state_dir) / STORE_NAME
        try:
            if not path.exists() and not path.with_name(PREVIOUS_NAME).exists():
                _create(path, now)
            return cls._whole(path) or cls._after_damage(path, now)
        except (sqlite3.Error, OSError) as error:
            raise StateUnwritable(f"{path}: {error}; make it writable, or choose another --state-dir") from error

    @classmethod
    def _whole(cls, path: Path) -> Store | None:
        """The store, if it exists and none of it is damaged."""
        if not path.exists() or path.stat().st_size < _SMALLEST_BYTES:  # SQLite takes it for a new store
            return None
        try:
            return cls._opened(path)
        except (
            DamagedRow,
            sqlite3.Error,
            UnicodeDecodeError,
        ) as error:  # the last: in SQLite's messages about its schema
            if isinstance(error, sqlite3.Error) and is_from_outside(error, path):
                raise
            return None

    @classmethod
    def _opened(cls, path: Path) -> Store:
        connection = connected(path)
        try:
            migrate(connection, path)
            store = cls(connection, path)
            store.verify()
            connection.execute("DELETE FROM meta WHERE key = ''")  # fails now if the store cannot be written
        except BaseException:
            connection.close()
            raise
        return store

    @classmethod
    def _after_damage(cls, path: Path, now: float) -> Store:
        """The previous generation if that is intact, else a new store; what is damaged is kept."""
        set_aside(path, now)
        previous = path.with_name(PREVIOUS_NAME)
        if previous.exists():
            previous.replace(path)
        store = cls._whole(path)
        if store is None:
            set_aside(path, now)
            _create(path, now)
            store = cls._opened(path)
        store.put("resets", str(store.resets + 1))
        return store

    @classmethod
    def read_only(cls, state_dir: str | os.PathLike[str]) -> Store:
        """The store for reading only, even while an agent is running; nothing is created.

        Raises:
            StateNewer: If a later auditwatch wrote it.
            StateUnwritable: If there is no store, or it cannot be read, or it is damaged.
        """
        path = Path(state_dir) / STORE_NAME
        store = looked_at(path, lambda connection: cls._looked_at(connection, path))
        if store is None:
            raise StateUnwritable(f"{path}: no intact state to read here; is this the agent's state directory?")
        return store

    @classmethod
    def _looked_at(cls, connection: sqlite3.Connection, path: Path) -> Store:
        store = cls(migrated_copy(connection, path), path)
        store.verify()
        return store

    def verify(self) -> None:
        """Check every row against its checksum, even rows that no key leads to any more.

        Raises:
            DamagedRow: At the first that does not match.
            sqlite3.Error: The file has no such tables, or they are inconsistent.
        """
        (verdict,) = next(self._rows("PRAGMA integrity_check(1)"))
        if verdict != "ok":
            raise DamagedRow(str(verdict))
        for trail, *row in self._rows("SELECT trail, segment, judged, rules, body, checksum FROM trails"):
            _decoded_trail(trail, *row)
        for trail, segment, offset, sha256, *row in self._rows(
            "SELECT trail, segment, offset, sha256, body, checksum FROM findings"
        ):
            decoded(Finding, _finding_key(trail, segment, offset, sha256), *row)
        for trail, mode, *row in self._rows("SELECT trail, mode, body, checksum FROM runs"):
            decoded(RunRecord, f"{trail}/{mode}", *row)
        for key, *row in self._rows("SELECT key, body, checksum FROM meta"):
            decoded(str, f"meta/{key}", *row)

    def _rows(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        return iter(self._connection.execute(query, parameters))

    def keep_generation(self) -> None:
        """Copy the store while it is known to be good, in case it is damaged later.

        Raises:
            StateUnwritable: If there is no room for it.
        """
        try:
            copy_store(self._connection, self._path.with_name(PREVIOUS_NAME))
        except (sqlite3.Error, OSError) as error:
            raise StateUnwritable(f"{self._path}: cannot be copied: {error}; free space or make it writable") from error

    def keys(self) -> tuple[str, ...]:
        """The trails that are stored, whether or not they are still watched."""
        return tuple(row[0] for row in self._connection.execute("SELECT trail FROM trails ORDER BY trail"))

    def load(self, trail: str) -> TrailState | None:
        """The state of a trail with its findings; None if it is not stored."""
        query = "SELECT segment, judged, rules, body, checksum FROM trails WHERE trail = ?"
        row = next(self._rows(query, trail), None)
        return with_findings(_decoded_trail(trail, *row), self._findings(trail)) if row else None

    def _findings(self, trail: str) -> dict[int, list[Finding]]:
        rows = self._rows("SELECT segment, offset, sha256, body, checksum FROM findings WHERE trail = ?", trail)
        findings: dict[int, list[Finding]] = defaultdict(list)
        for segment, offset, sha256, body, expected in rows:
            findings[segment].append(decoded(Finding, _finding_key(trail, segment, offset, sha256), body, expected))
        return findings

    def run(self, trail: str, mode: str) -> RunRecord:
        """What is remembered of a trail's runs of one mode."""
        row = next(self._rows("SELECT body, checksum FROM runs WHERE trail = ? AND mode = ?", trail, mode), None)
        return decoded(RunRecord, f"{trail}/{mode}", *row) if row else RunRecord()

    def commit(
        self,
        trail: str,
        before: TrailState | None,
        after: TrailState,
        findings: Iterable[tuple[int, Finding]] = (),
        runs: Iterable[tuple[str, RunRecord]] = (),
        dropped: Iterable[tuple[int, Finding]] = (),
    ) -> None:
        """Store one step of a trail: position, counters, findings and runs together or not at all.

        Args:
            trail: Its key.
            before: The state as last stored; None for a trail that is not stored yet.
            after: The state to store.
            findings: New and changed ones, with the number of their segment.
            runs: Changed records, by mode.
            dropped: Findings to forget, with the number of their segment.

        Raises:
            StaleStep: If the store is not at the position of `before`.
            StateUnwritable: If it cannot be written; nothing was stored.
        """
        with self._transaction():
            self._save_trail(trail, before or after, after)
            self._connection.executemany(
                "DELETE FROM findings WHERE trail = ? AND segment = ? AND offset = ? AND sha256 = ?",
                [(trail, segment, finding.offset, finding.sha256) for segment, finding in dropped],
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?, ?, ?)",
                [_finding_row(trail, segment, finding) for segment, finding in findings],
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", [_run_row(trail, *run) for run in runs]
            )

    def _save_trail(self, trail: str, before: TrailState, after: TrailState) -> None:
        body = encoded(without_findings(after))
        row = (trail, *_position(after), body, checksum(trail, body))
        if self._connection.execute(_SAVE_TRAIL, (*row, *_position(before))).rowcount != 1:
            raise StaleStep(trail)

    def put(self, key: str, value: str) -> None:
        """Store one of the agent's own figures.

        Raises:
            StateUnwritable: If it cannot be written.
        """
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", _meta_row(key, value))

    def get(self, key: str) -> str | None:
        """One of the agent's own figures."""
        row = next(self._rows("SELECT body, checksum FROM meta WHERE key = ?", key), None)
        return decoded(str, f"meta/{key}", *row) if row else None

    @property
    def resets(self) -> int:
        """How often a damaged store was set aside."""
        return int(self.get("resets") or 0)

    @property
    def created(self) -> float:
        """When this store was created."""
        return float(self.get("created") or 0)

    def close(self) -> None:
        """Close the store; it cannot be used after that."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite may have rolled back itself, for example on a full disk
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StateUnwritable(f"{self._path}: {error}; free space or make it writable") from error


def _position(state: TrailState) -> tuple[int, int, str]:
    segment = state.active or (state.closed[-1] if state.closed else None)
    return (segment.number, segment.judged, state.rules_id) if segment else (0, 0, state.rules_id)


def _finding_key(trail: str, segment: int, offset: int, sha256: str) -> str:
    return f"{trail}/{segment}/{offset}/{sha256}"


def _finding_row(trail: str, segment: int, finding: Finding) -> tuple[str, int, int, str, bytes, bytes]:
    body = encoded(finding)
    key = _finding_key(trail, segment, finding.offset, finding.sha256)
    return trail, segment, finding.offset, finding.sha256, body, checksum(key, body)


def _run_row(trail: str, mode: str, record: RunRecord) -> tuple[str, str, bytes, bytes]:
    body = encoded(record)
    return trail, mode, body, checksum(f"{trail}/{mode}", body)


def _meta_row(key: str, value: str) -> tuple[str, bytes, bytes]:
    body = encoded(value)
    return key, body, checksum(f"meta/{key}", body)


def _decoded_trail(trail: str, segment: object, judged: object, rules: object, *row: object) -> TrailState:
    """A state; the columns that decide whether a step is stale must agree with it."""
    state = decoded(TrailState, trail, *row)
    if _position(state) != (segment, judged, rules):
        raise DamagedRow(trail)
    return state


def _create(path: Path, now: float) -> None:
    """A new store appears whole: an empty file is always a damaged one."""
    fresh = path.with_name(path.name + ".new")
    make_private(fresh)
    with closing(connected(fresh)) as connection:
        migrate(connection, fresh)
        connection.execute("INSERT INTO meta VALUES (?, ?, ?)", _meta_row("created", str(now)))
    fresh.replace(path)
