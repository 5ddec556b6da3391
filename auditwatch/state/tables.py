"""What the tables of the store hold, as values; who calls begins and ends the transactions."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from auditwatch.ledger.damage import Finding
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.state.digests import save_digests, with_digests
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
    trail_row,
    trail_row_key,
)
from auditwatch.state.rows import checksum as row_checksum

_ORDER: Final = 0
"""In place of a segment's number: the row that says in which order closed segments are, unless by number."""

_SAVE_TRAIL: Final = """
INSERT INTO trails (trail, segment, judged, rules, body, checksum, closed) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trail) DO UPDATE SET segment = excluded.segment, judged = excluded.judged, rules = excluded.rules,
  body = excluded.body, checksum = excluded.checksum, closed = excluded.closed
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

    findings: Iterable[tuple[int, Finding]] = ()
    runs: Iterable[tuple[str, RunRecord]] = ()
    dropped: Iterable[tuple[int, Finding]] = ()


@dataclass(slots=True)
class Tables:
    """The tables of one open store."""

    connection: sqlite3.Connection

    def save(self, trail: str, before: TrailState | None, after: TrailState, rows: Rows) -> None:
        """Write one step of a trail.

        Raises:
            StaleStep: If the store is not at the position of `before`.
        """
        body, closed, expected = trail_row(trail, after)
        row = (trail, *_position(after), body, expected, closed)
        if self.connection.execute(_SAVE_TRAIL, (*row, *_position(before or after))).rowcount != 1:
            raise StaleStep(trail)
        self._save_closed(trail, before.closed if before else None, after)
        save_digests(self.connection, trail, before, after)
        self.connection.executemany(
            "DELETE FROM findings WHERE trail = ? AND segment = ? AND offset = ? AND sha256 = ?",
            [(trail, segment, finding.offset, finding.sha256) for segment, finding in rows.dropped],
        )
        self.connection.executemany(
            "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?, ?, ?)",
            [finding_row(trail, segment, finding) for segment, finding in rows.findings],
        )
        self.connection.executemany(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", [run_row(trail, *run) for run in rows.runs]
        )

    def _save_closed(self, trail: str, before: tuple[Segment, ...] | None, state: TrailState) -> None:
        """Write closed segments that changed: a step costs the same however many others there are."""
        after = state.closed
        if before is after:
            return
        if before is None:
            self.connection.execute("DELETE FROM segments WHERE trail = ?", (trail,))
        known = {segment.number: segment for segment in before or ()}
        changed = [segment for segment in after if _is_other(known.pop(segment.number, None), segment)]
        self.connection.executemany(
            "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)", [segment_row(trail, segment) for segment in changed]
        )
        self._forget_closed(trail, known)
        if state.active:  # a segment that is active again keeps its findings
            known.pop(state.active.number, None)
        query = "DELETE FROM findings WHERE trail = ? AND segment = ?"
        self.connection.executemany(query, [(trail, number) for number in known])
        self._save_order(trail, [segment.number for segment in after])

    def _forget_closed(self, trail: str, numbers: Iterable[int]) -> None:
        query = "DELETE FROM segments WHERE trail = ? AND number = ?"
        self.connection.executemany(query, [(trail, number) for number in numbers])

    def _save_order(self, trail: str, numbers: list[int]) -> None:
        if numbers == sorted(numbers):
            self._forget_closed(trail, [_ORDER])
            return
        body = encoded(numbers)
        row = (trail, _ORDER, body, row_checksum(segment_row_key(trail, _ORDER), body))
        self.connection.execute("INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?)", row)

    def trails(self) -> tuple[str, ...]:
        """The keys of all trails."""
        return tuple(row[0] for row in self._rows("SELECT trail FROM trails ORDER BY trail"))

    def state(self, trail: str) -> TrailState | None:
        """The state of a trail with its findings; None if it is not stored.

        Raises:
            DamagedRow: If a row does not match its checksum, or one is missing.
        """
        query = "SELECT segment, judged, rules, closed, body, checksum FROM trails WHERE trail = ?"
        row = next(self._rows(query, trail), None)
        if row is None:
            return None
        segment, judged, rules, count, *own = row
        state = decoded(TrailState, trail_row_key(trail, count), *own)
        closed = self._closed(trail)
        state = replace(state, closed=closed)
        if _position(state) != (segment, judged, rules) or len(closed) != count:
            raise DamagedRow(trail)
        return _with_findings(with_digests(self.connection, trail, state), self._findings(trail))

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
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", meta_row(key, value))

    def forget_figure(self, key: str) -> None:
        """Remove one of the agent's own figures."""
        self.connection.execute("DELETE FROM meta WHERE key = ?", (key,))

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
            self.state(trail)
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
        return iter(self.connection.execute(query, parameters))


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
