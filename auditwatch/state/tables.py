"""What the tables of the store hold, as values; who calls begins and ends the transactions."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from auditwatch.ledger.damage import Finding
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.state.digests import save_digests, with_digests
from auditwatch.state.marks import is_growth_alone
from auditwatch.state.rows import (
    DamagedRow,
    decoded,
    encoded,
    finding_row,
    finding_row_key,
    meta_row,
    run_row,
    segment_row,
    segment_row_key,
    total_of,
    total_without,
    trail_row,
    trail_row_key,
)
from auditwatch.state.rows import checksum as row_checksum

_ORDER: Final = 0
"""In place of a segment's number: the row that says in which order closed segments are, unless by number."""

_SAVE_TRAIL: Final = """
INSERT INTO trails (trail, segment, judged, rules, body, checksum, total, step) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trail) DO UPDATE SET segment = excluded.segment, judged = excluded.judged, rules = excluded.rules,
  body = excluded.body, checksum = excluded.checksum, total = excluded.total, step = excluded.step
  WHERE trails.segment = ? AND trails.judged = ? AND trails.rules = ?
"""


class StaleStep(Exception):
    """The store is not at the position where this step begins; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What changes with a step besides the state itself.

    Attributes:
        findings: New and changed ones, with the number of their segment.
        runs: Changed records, by mode.
        dropped: Findings to forget, with the number of their segment.
    """

    findings: Sequence[tuple[int, Finding]] = ()
    runs: Sequence[tuple[str, RunRecord]] = ()
    dropped: Sequence[tuple[int, Finding]] = ()


@dataclass(frozen=True, slots=True)
class TrailStep:
    """A step of one trail, which is stored as a whole or not at all.

    Attributes:
        trail: Its key.
        before: The state as last stored; None for a trail that is not stored yet.
        after: The state to store.
        rows: What else changed.
    """

    trail: str
    before: TrailState | None
    after: TrailState
    rows: Rows = Rows()

    @property
    def is_growth(self) -> bool:
        """Whether it may be lost in a power cut: what it says would be judged again."""
        return not self.rows.findings and not self.rows.dropped and is_growth_alone(self.before, self.after)


@dataclass(frozen=True, slots=True)
class _Table:
    """The statements of a table whose rows belong to a trail."""

    find: str
    put: str
    drop: str


_SEGMENTS: Final = _Table(
    "SELECT checksum FROM segments WHERE trail = ? AND number = ?",
    "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)",
    "DELETE FROM segments WHERE trail = ? AND number = ?",
)
_FINDINGS: Final = _Table(
    "SELECT checksum FROM findings WHERE trail = ? AND segment = ? AND offset = ? AND sha256 = ?",
    "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?, ?, ?)",
    "DELETE FROM findings WHERE trail = ? AND segment = ? AND offset = ? AND sha256 = ?",
)
_FINDINGS_OF_SEGMENT: Final = _Table(
    "SELECT checksum FROM findings WHERE trail = ? AND segment = ?",
    "",
    "DELETE FROM findings WHERE trail = ? AND segment = ?",
)


class Tables:
    """The tables of one open store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._totals: dict[str, bytes] = {}

    def forget_totals(self) -> None:
        """After a transaction that failed: what was known of it is not so."""
        self._totals.clear()

    def save(self, taken: TrailStep, step: int) -> None:
        """Write one step of a trail, in the transaction with this number.

        Raises:
            StaleStep: If the store is not at the position from which it was taken.
        """
        trail, before, after, rows = taken.trail, taken.before, taken.after, taken.rows
        self._save_closed(trail, before.closed if before else None, after)
        save_digests(self._connection, trail, before, after)
        self._drop(_FINDINGS, trail, ((segment, finding.offset, finding.sha256) for segment, finding in rows.dropped))
        self._put(_FINDINGS, trail, 4, (finding_row(trail, segment, finding) for segment, finding in rows.findings))
        self._connection.executemany(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", [run_row(trail, *run) for run in rows.runs]
        )
        total = self._total(trail)
        body, expected = trail_row(trail, after, total, step)
        row = (trail, *_position(after), body, expected, total, step)
        if self._connection.execute(_SAVE_TRAIL, (*row, *_position(before or after))).rowcount != 1:
            raise StaleStep(trail)

    def _total(self, trail: str) -> bytes:
        if trail not in self._totals:
            row = next(self._rows("SELECT total FROM trails WHERE trail = ?", trail), None)
            self._totals[trail] = row[0] if row else total_of(())
        return self._totals[trail]

    def _put(self, table: _Table, trail: str, keys: int, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write rows, of which the first columns are the key and the last one is the checksum."""
        for row in rows:
            left = total_without(self._total(trail), [old for (old,) in self._rows(table.find, *row[:keys])])
            self._totals[trail] = total_of((left, row[-1]))
            self._connection.execute(table.put, row)

    def _drop(self, table: _Table, trail: str, keys: Iterable[tuple[Any, ...]]) -> None:
        for key in keys:
            old = [row[0] for row in self._rows(table.find, trail, *key)]
            self._totals[trail] = total_without(self._total(trail), old)
            self._connection.execute(table.drop, (trail, *key))

    def _save_closed(self, trail: str, before: tuple[Segment, ...] | None, state: TrailState) -> None:
        """Write closed segments that changed: a step costs the same however many others there are."""
        after = state.closed
        if before is after:
            return
        if before is None:
            stored = self._rows("SELECT number FROM segments WHERE trail = ?", trail)
            self._drop(_SEGMENTS, trail, list(stored))
        known = {segment.number: segment for segment in before or ()}
        changed = [segment for segment in after if _is_other(known.pop(segment.number, None), segment)]
        self._put(_SEGMENTS, trail, 2, (segment_row(trail, segment) for segment in changed))
        self._drop(_SEGMENTS, trail, [(number,) for number in known])
        if state.active:  # a segment that is active again keeps its findings
            known.pop(state.active.number, None)
        self._drop(_FINDINGS_OF_SEGMENT, trail, [(number,) for number in known])
        self._save_order(trail, [segment.number for segment in after])

    def _save_order(self, trail: str, numbers: list[int]) -> None:
        if numbers == sorted(numbers):
            self._drop(_SEGMENTS, trail, [(_ORDER,)])
            return
        body = encoded(numbers)
        row = (trail, _ORDER, body, row_checksum(segment_row_key(trail, _ORDER), body))
        self._put(_SEGMENTS, trail, 2, [row])

    def trails(self) -> tuple[str, ...]:
        """The keys of all trails."""
        return tuple(row[0] for row in self._rows("SELECT trail FROM trails ORDER BY trail"))

    def steps(self) -> dict[str, int]:
        """The transaction that last wrote each trail."""
        return dict(self._rows("SELECT trail, step FROM trails"))

    def state(self, trail: str) -> TrailState | None:
        """The state of a trail with its findings; None if it is not stored.

        Raises:
            DamagedRow: If a row does not match its checksum, or one is missing.
        """
        query = "SELECT segment, judged, rules, total, step, body, checksum FROM trails WHERE trail = ?"
        row = next(self._rows(query, trail), None)
        if row is None:
            return None
        segment, judged, rules, total, step, *own = row
        if not isinstance(total, bytes) or total != self._total_of_rows(trail):
            raise DamagedRow(trail)
        state = replace(decoded(TrailState, trail_row_key(trail, total, step), *own), closed=self._closed(trail))
        if _position(state) != (segment, judged, rules):
            raise DamagedRow(trail)
        return _with_findings(with_digests(self._connection, trail, state), self._findings(trail))

    def _total_of_rows(self, trail: str) -> bytes:
        query = "SELECT checksum FROM segments WHERE trail = ? UNION ALL SELECT checksum FROM findings WHERE trail = ?"
        found = [row[0] for row in self._rows(query, trail, trail)]
        if not all(isinstance(one, bytes) for one in found):
            raise DamagedRow(trail)
        return total_of(found)

    def _closed(self, trail: str) -> tuple[Segment, ...]:
        query = "SELECT number, body, checksum FROM segments WHERE trail = ? ORDER BY number"
        found, order = {}, None
        for number, *row in self._rows(query, trail):
            key = segment_row_key(trail, number)
            if number == _ORDER:
                order = decoded(list[int], key, *row)
            else:
                found[number] = decoded(Segment, key, *row)
        if any(segment.number != number for number, segment in found.items()):
            raise DamagedRow(trail)
        if order is not None and sorted(order) != list(found):
            raise DamagedRow(trail)
        return tuple(found[number] for number in order or found)

    def _findings(self, trail: str) -> dict[int, list[Finding]]:
        rows = self._rows("SELECT segment, offset, sha256, body, checksum FROM findings WHERE trail = ?", trail)
        findings: dict[int, list[Finding]] = defaultdict(list)
        for segment, offset, sha256, *row in rows:
            findings[segment].append(decoded(Finding, finding_row_key(trail, segment, offset, sha256), *row))
        return findings

    def run(self, trail: str, mode: str) -> RunRecord | None:
        """What is remembered of a trail's runs of one mode."""
        row = next(self._rows("SELECT body, checksum FROM runs WHERE trail = ? AND mode = ?", trail, mode), None)
        return decoded(RunRecord, f"{trail}/{mode}", *row) if row else None

    def figure(self, key: str) -> str | None:
        """One of the agent's own figures."""
        row = next(self._rows("SELECT body, checksum FROM meta WHERE key = ?", key), None)
        return decoded(str, f"meta/{key}", *row) if row else None

    def put_figure(self, key: str, value: str) -> None:
        """Write one of the agent's own figures."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", meta_row(key, value))

    def forget_figure(self, key: str) -> None:
        """Remove one of the agent's own figures."""
        self._connection.execute("DELETE FROM meta WHERE key = ?", (key,))

    def verify(self) -> None:
        """Check every row against its checksum, even rows that no key leads to any more.

        Raises:
            DamagedRow: At the first that does not match.
            sqlite3.Error: The file has no such tables, or they are inconsistent.
        """
        (verdict,) = next(self._rows("PRAGMA integrity_check(1)"))
        if verdict != "ok":
            raise DamagedRow(str(verdict))
        trails = set(self.trails())
        for trail in trails:
            try:
                self.state(trail)
            except UnicodeEncodeError as error:  # a flipped bit in the key itself
                raise DamagedRow(trail) from error
        for query in (
            "SELECT DISTINCT trail FROM segments",
            "SELECT DISTINCT trail FROM findings",
            "SELECT DISTINCT trail FROM digests",
        ):
            if not {row[0] for row in self._rows(query)} <= trails:
                raise DamagedRow(query)
        for trail, mode, *row in self._rows("SELECT trail, mode, body, checksum FROM runs"):
            decoded(RunRecord, f"{trail}/{mode}", *row)
        for key, *row in self._rows("SELECT key, body, checksum FROM meta"):
            decoded(str, f"meta/{key}", *row)

    def _rows(self, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
        return iter(self._connection.execute(query, parameters))


def _is_other(old: Segment | None, new: Segment) -> bool:
    """Whether a segment has to be written; most are the very same object, which costs nothing to see."""
    return old is not new and old != new


def _position(state: TrailState) -> tuple[int, int, str]:
    segment = state.active or (state.closed[-1] if state.closed else None)
    return (segment.number, segment.judged, state.rules_id) if segment else (0, 0, state.rules_id)


def _with_findings(state: TrailState, findings: Mapping[int, list[Finding]]) -> TrailState:
    def filled(segment: Segment) -> Segment:
        found = findings.get(segment.number)
        return replace(segment, findings=tuple(sorted(found, key=lambda f: f.offset))) if found else segment

    closed = tuple(filled(segment) for segment in state.closed)
    return replace(state, closed=closed, active=filled(state.active) if state.active else None)
