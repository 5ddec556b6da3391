"""Blocks that were judged before: hashed where nothing changed, parsed where anything did, the same verdict always."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.trail.grid import BLOCK_BYTES, Block
from auditwatch.trail.rules import Rules
from auditwatch.validation.full import Full, validate_full
from auditwatch.validation.workers.pool import WorkerPool

LINE = b'{"event":"TRADE_APPROVED","n":"%07d"}\n'
DAMAGED = b'{"event":"TRADE_A{"event":"KILL_SWITCH","n":1}\n'
BLOCKS = 3


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """Three sealed blocks with damage in the second, and pending bytes after the beginning of a fourth."""
    lines = [LINE % n for n in range(BLOCKS * BLOCK_BYTES // len(LINE % 0) + 9)]
    lines[len(lines) // 2] = DAMAGED
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(lines) + b'{"event":')
    return path


def validated(path: Path, known: dict[int, Block], workers: int = 0) -> tuple[Full, dict[int, Block], list[int]]:
    """A validation, the blocks that it saw, and the numbers of those that it did not parse."""
    seen: dict[int, Block] = {}
    unchanged: list[int] = []

    def note(block: Block, is_unchanged: bool) -> None:
        seen[block.k] = block
        unchanged.extend([block.k] * is_unchanged)

    async def run() -> Full:
        descriptor = os.open(path, os.O_RDONLY)
        pool = WorkerPool(workers) if workers else None
        try:
            return await validate_full(descriptor, Rules(), pool, recorded=known.get, on_block=note)
        finally:
            os.close(descriptor)
            if pool:
                await pool.close()

    return asyncio.run(run()), seen, unchanged


def sealed(path: Path) -> tuple[Full, dict[int, Block]]:
    full, seen, unchanged = validated(path, {})
    assert not unchanged
    seen.popitem()
    assert len(seen) == BLOCKS
    return full, seen


@pytest.mark.parametrize("workers", [0, 1])
def test_unchanged_history_gets_its_verdict_without_a_look_at_its_lines(trail: Path, workers: int) -> None:
    first, known = sealed(trail)
    full, _, unchanged = validated(trail, known, workers)
    assert (full.report, full.digest) == (first.report, first.digest)
    assert first.report.corrupt_lines == 1
    assert unchanged == [0, 1, 2]
    assert (full.unchanged, full.unchanged_bytes, full.changed) == (3, known[2].end, [])
    forged = {k: replace(block, report=replace(block.report, records=0)) for k, block in known.items()}
    assert validated(trail, forged, workers)[0].report.records < 100  # what is recorded is believed: it was not parsed


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("place", [5, BLOCK_BYTES + 50, 2 * BLOCK_BYTES + 200])
def test_a_block_with_one_other_byte_is_parsed_again_and_alone(trail: Path, workers: int, place: int) -> None:
    _, known = sealed(trail)
    with trail.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    full, _, unchanged = validated(trail, known, workers)
    assert full.report == validated(trail, {})[0].report
    assert full.changed == [place // BLOCK_BYTES]
    assert sorted([*unchanged, *full.changed]) == [0, 1, 2]


def test_a_line_that_grew_moves_every_block_behind_it(trail: Path) -> None:
    _, known = sealed(trail)
    trail.write_bytes(b" " * 10 + trail.read_bytes())
    full, _, unchanged = validated(trail, known)
    assert full.report == validated(trail, {})[0].report
    assert not unchanged
    assert full.changed == [0, 1, 2]


def test_a_trail_that_was_cut_inside_a_recorded_block(trail: Path) -> None:
    _, known = sealed(trail)
    os.truncate(trail, BLOCK_BYTES + 100)
    full, _, unchanged = validated(trail, known)
    assert full.report == validated(trail, {})[0].report
    assert (unchanged, full.changed) == ([0], [1])
