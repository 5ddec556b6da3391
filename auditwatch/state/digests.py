"""Digests of sealed blocks, a row each: a block is written once, however often its segment is stored."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.state.rows import DamagedRow, checksum, decoded, encoded
from auditwatch.trail.grid import BlockDigest

Sealed = tuple[BlockDigest, ...]


def save_digests(connection: sqlite3.Connection, trail: str, before: TrailState | None, after: TrailState) -> None:
    """Write the digests that changed with a step; the work is that of what changed."""
    if before is None:
        connection.execute("DELETE FROM digests WHERE trail = ?", (trail,))
    for number, old, new in _changed(before, after):
        same = _same(old, new)
        if same < len(old):
            query = "DELETE FROM digests WHERE trail = ? AND segment = ? AND start >= ?"
            connection.execute(query, (trail, number, old[same].start))
        connection.executemany(
            "INSERT INTO digests VALUES (?, ?, ?, ?, ?)", [_digest_row(trail, number, block) for block in new[same:]]
        )


def _same(old: Sealed, new: Sealed) -> int:
    """How many digests at the beginning are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((k for k, (one, other) in pairs if one != other), min(len(old), len(new)))


def _changed(before: TrailState | None, after: TrailState) -> Iterator[tuple[int, Sealed, Sealed]]:
    """Segment, and its digests before and after, where they are not the same."""
    known = {segment.number: segment.sealed for segment in _touched(before, after)} if before else {}
    for segment in _touched(after, before):
        old = known.pop(segment.number, ())
        if old is not segment.sealed:
            yield segment.number, old, segment.sealed
    yield from ((number, old, ()) for number, old in known.items())


def _touched(state: TrailState, other: TrailState | None) -> tuple[Segment, ...]:
    """The segments of a state that may differ from those of another; if no closed one changed, the active one."""
    active = (state.active,) if state.active else ()
    return active if other is not None and state.closed is other.closed else (*state.closed, *active)


def with_digests(connection: sqlite3.Connection, trail: str, state: TrailState) -> TrailState:
    """A stored state with the digests of its segments.

    Raises:
        DamagedRow: If a row does not match its checksum, or one is missing.
    """
    query = "SELECT segment, start, body, checksum FROM digests WHERE trail = ? ORDER BY segment, start"
    found: dict[int, list[BlockDigest]] = defaultdict(list)
    for number, start, *row in connection.execute(query, (trail,)):
        found[number].append(decoded(BlockDigest, _digest_key(trail, number, start), *row))
    closed = tuple(_filled(trail, segment, found) for segment in state.closed)
    active = _filled(trail, state.active, found) if state.active else None
    if found:
        raise DamagedRow(trail)
    return replace(state, closed=closed, active=active)


def _filled(trail: str, segment: Segment, found: dict[int, list[BlockDigest]]) -> Segment:
    sealed = tuple(found.pop(segment.number, ()))
    ends = [0, *(block.end for block in sealed)]
    starts = [block.start for block in (*sealed, segment.open_block) if block]
    if any(start != end for start, end in zip(starts, ends, strict=False)):
        raise DamagedRow(trail)
    return replace(segment, sealed=sealed) if sealed else segment


def _digest_key(trail: str, segment: int, start: int) -> str:
    return f"{trail}/digest/{segment}/{start}"


def _digest_row(trail: str, segment: int, block: BlockDigest) -> tuple[str, int, int, bytes, bytes]:
    body = encoded(block)
    return trail, segment, block.start, body, checksum(_digest_key(trail, segment, block.start), body)
