"""Kept blocks: a cache that is believed only with its checksum, and that can always be done without."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.errors import StateUnwritable
from auditwatch.state.blocks import BLOCKS_NAME, MOST_DEFECTS, BlockStore
from auditwatch.trail.grid import Block
from auditwatch.trail.kinds import Kind
from auditwatch.trail.report import Defect, Report

DEFECT = Defect(3, 30, 9, Kind.TORN, "ab" * 32, 1)
BLOCK = Block(2, 8 << 20, 12 << 20, b"\xff" * 32, Report(4 << 20, 9, 8, {Kind.TORN: 1}, (DEFECT,)))
KEY, RULES = "risk=/var/log/risk.jsonl", "0123456789abcdef"


def kept(path: Path, block: Block = BLOCK) -> None:
    with closing(BlockStore.open(path)) as blocks:
        blocks.record(KEY, 1, RULES, [block])


def found(path: Path, rules: str = RULES, segment: int = 1) -> Block | None:
    with closing(BlockStore.open(path)) as blocks:
        return blocks.block(KEY, segment, rules, BLOCK.k)


def test_a_block_comes_back_equal_to_readers_and_writers(tmp_path: Path) -> None:
    kept(tmp_path)
    assert found(tmp_path) == BLOCK
    reader = BlockStore.read_only(tmp_path)
    assert reader is not None
    with closing(reader):
        assert reader.block(KEY, 1, RULES, 2) == BLOCK
        assert (reader.count(KEY, 1, RULES), reader.count(KEY, 2, RULES)) == (1, 0)


def test_other_rules_and_other_segments_know_nothing_of_it(tmp_path: Path) -> None:
    kept(tmp_path)
    assert found(tmp_path, rules="fedcba9876543210") is None
    assert found(tmp_path, segment=2) is None


def test_it_is_replaced_and_forgotten(tmp_path: Path) -> None:
    kept(tmp_path)
    later = replace(BLOCK, digest=b"\0" * 32)
    kept(tmp_path, later)
    assert found(tmp_path) == later
    with closing(BlockStore.open(tmp_path)) as blocks:
        blocks.forget(KEY, 1, 3)
        assert blocks.block(KEY, 1, RULES, 2) == later
        blocks.forget(KEY, 1, 2)
        assert blocks.block(KEY, 1, RULES, 2) is None


def test_a_block_of_nothing_but_damage_is_not_kept(tmp_path: Path) -> None:
    kept(tmp_path, replace(BLOCK, report=replace(BLOCK.report, defects=(DEFECT,) * (MOST_DEFECTS + 1))))
    assert found(tmp_path) is None


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    kept(tmp_path)
    assert stat.S_IMODE((tmp_path / BLOCKS_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("column", ["body", "checksum", "segment", "rules"])
def test_a_row_that_does_not_bear_its_checksum_is_no_row(tmp_path: Path, column: str) -> None:
    kept(tmp_path)
    value = {"body": "x'7b7d'", "checksum": "x'00'", "segment": "7", "rules": "'fedcba9876543210'"}[column]
    with closing(sqlite3.connect(tmp_path / BLOCKS_NAME)) as connection:
        connection.execute(f"UPDATE blocks SET {column} = {value}")
        connection.commit()
    assert found(tmp_path) is None
    assert found(tmp_path, segment=7) is None
    assert found(tmp_path, rules="fedcba9876543210") is None


@pytest.mark.parametrize("damage", [b"", b"\0" * 4096, b"no database at all" * 300])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: bytes) -> None:
    kept(tmp_path)
    (tmp_path / BLOCKS_NAME).write_bytes(damage)
    assert found(tmp_path) is None
    kept(tmp_path)
    assert found(tmp_path) == BLOCK


def test_without_a_file_a_reader_has_nothing_and_creates_nothing(tmp_path: Path) -> None:
    assert BlockStore.read_only(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateUnwritable, match=r"blocks\.db"):
        BlockStore.open(tmp_path / "missing")
