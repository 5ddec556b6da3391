"""Digests of sealed blocks have rows of their own, which are written once and missed when they are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, TrailState, begin
from auditwatch.state.rows import DamagedRow
from auditwatch.state.schema import migrate
from auditwatch.state.tables import Tables, TrailStep
from auditwatch.trail.grid import BlockDigest

KEY = "risk=/var/log/risk.jsonl"


def segment(number: int, blocks: int) -> Segment:
    sealed = tuple(BlockDigest(10 * k, 10 * k + 10, f"{number}/{k}") for k in range(blocks))
    last = BlockDigest(10 * blocks, 10 * blocks + 3, f"{number}/open")
    return Segment(
        number, f"a.jsonl.{number}", 1, number, last.end, 1.0, judged=last.end, sealed=sealed, open_block=last
    )


def known(blocks: int = 4) -> TrailState:
    closed = (replace(segment(1, 2), closed=True), replace(segment(2, 0), closed=True))
    return replace(begin("risk", Policy("rules")), active=segment(3, blocks), closed=closed, next_number=4)


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, tmp_path / "state.db")
        yield Tables(connection)


def written(tables: Tables, before: TrailState | None, after: TrailState) -> list[str]:
    """What a step did to digests."""
    said: list[str] = []
    tables._connection.set_trace_callback(said.append)
    tables.save(TrailStep(KEY, before, after), 1)
    tables._connection.set_trace_callback(None)
    assert tables.state(KEY) == after
    return [statement.split(" VALUES")[0] for statement in said if "digests" in statement]


def test_they_come_back_as_they_were(tables: Tables) -> None:
    tables.save(TrailStep(KEY, None, known()), 1)
    assert tables.state(KEY) == known()
    assert tables._connection.execute("SELECT count(*) FROM digests").fetchone() == (6,)
    tables.verify()


def test_a_step_writes_only_what_was_sealed_by_it(tables: Tables) -> None:
    before = known()
    tables.save(TrailStep(KEY, None, before), 1)
    assert before.active is not None
    grown = replace(before.active, judged=48, open_block=BlockDigest(40, 48, "grown"))
    after = replace(before, active=grown)
    assert written(tables, before, after) == []
    sealed = replace(grown, sealed=(*grown.sealed, BlockDigest(40, 50, "s")), open_block=None, judged=50)
    assert written(tables, after, replace(after, active=sealed)) == ["INSERT INTO digests"]


def test_an_accepted_digest_replaces_the_one_that_was_recorded(tables: Tables) -> None:
    before = known()
    tables.save(TrailStep(KEY, None, before), 1)
    assert before.active is not None
    accepted = tuple(replace(block, digest="new") if block.start == 20 else block for block in before.active.sealed)
    written(tables, before, replace(before, active=replace(before.active, sealed=accepted)))


def test_a_rotation_writes_none_and_a_segment_that_is_gone_takes_its_own_along(tables: Tables) -> None:
    before = known()
    tables.save(TrailStep(KEY, None, before), 1)
    assert before.active is not None
    left = replace(before.active, closed=True)
    rotated = replace(before, closed=(*before.closed, left), active=segment(4, 0), next_number=5)
    assert written(tables, before, rotated) == []
    gone = replace(rotated, closed=rotated.closed[1:])
    assert len(written(tables, rotated, gone)) == 1
    assert tables._connection.execute("SELECT count(*) FROM digests").fetchone() == (4,)


@pytest.mark.parametrize("start", [0, 20, 30])
def test_a_row_that_is_missing_is_damage(tables: Tables, start: int) -> None:
    tables.save(TrailStep(KEY, None, known()), 1)
    tables._connection.execute("DELETE FROM digests WHERE segment = 3 AND start = ?", (start,))
    with pytest.raises(DamagedRow):
        tables.state(KEY)


def test_a_row_of_another_block_is_damage(tables: Tables) -> None:
    tables.save(TrailStep(KEY, None, known()), 1)
    tables._connection.execute("UPDATE digests SET start = 21 WHERE segment = 3 AND start = 20")
    with pytest.raises(DamagedRow):
        tables.verify()
