"""A sample of numbered lines: where all sealed blocks are known, every line is as likely as any other."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.trail.grid import BLOCK_BYTES, Block
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules
from auditwatch.validation.full import validate_full
from auditwatch.validation.line_index import line_index
from auditwatch.validation.sample import Sample, draw_sample

LONG = b'{"text":"' + b"x" * 700_000 + b'"}\n'
BAD = b'{"event":"CUT\n'


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, Block]]:
    """Lines of very different lengths over two sealed blocks and a rest, and what a first look recorded of them."""
    short = b"".join(b'{"n":%d}\n' % n for n in range(60_000))
    data = short + LONG * 3 + short + LONG * 6 + short + BAD + LONG * 3 + short
    path = tmp_path_factory.mktemp("trail") / "a.jsonl"
    path.write_bytes(data + b'{"pend')
    blocks: dict[int, Block] = {}
    descriptor = os.open(path, os.O_RDONLY)
    asyncio.run(validate_full(descriptor, Rules(), None, on_block=lambda block, _: blocks.__setitem__(block.k, block)))
    os.close(descriptor)
    blocks.popitem()
    assert len(blocks) == 2
    return path, blocks


def drawn(path: Path, recorded: Callable[[int], Block | None], lines: int, seed: int = 1) -> Sample:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return draw_sample(descriptor, path.stat().st_size, Rules(), lines, seed, recorded=recorded)
    finally:
        os.close(descriptor)


def test_the_index_finds_every_line_where_it_is(trail: tuple[Path, dict[int, Block]]) -> None:
    path, blocks = trail
    data = path.read_bytes()
    descriptor = os.open(path, os.O_RDONLY)
    index = line_index(descriptor, data.rindex(b"\n") + 1, blocks.get)
    assert index is not None
    assert index.lines == data.count(b"\n")
    at = 0
    for number, line in enumerate(data.split(b"\n")[:-1]):
        if number % 97 == 0 or len(line) > 1000 or line == BAD[:-1]:
            assert index.span(number) == (at, at + len(line) + 1), number
        at += len(line) + 1
    os.close(descriptor)


def test_long_lines_are_drawn_no_more_often_than_short_ones(trail: tuple[Path, dict[int, Block]]) -> None:
    path, blocks = trail
    sizes: Counter[bool] = Counter()
    for seed in range(40):
        by_lines = drawn(path, blocks.get, 50, seed)
        assert (by_lines.by, by_lines.report.lines) == ("lines", 50)
        sizes["bytes"] += by_lines.report.bytes > 600_000
    assert sizes["bytes"] == 0  # twelve of 240,000 lines are long; drawn by bytes nearly every sample has some
    assert drawn(path, lambda _k: None, 50).report.bytes > 600_000


def test_the_seed_draws_the_same_again(trail: tuple[Path, dict[int, Block]]) -> None:
    path, blocks = trail
    assert drawn(path, blocks.get, 20, 7) == drawn(path, blocks.get, 20, 7)
    assert drawn(path, blocks.get, 20, 7) != drawn(path, blocks.get, 20, 8)


def test_a_sample_of_all_lines_is_all_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' * 30 + BAD + b'{"a":1}\n')
    sample = drawn(path, lambda _k: None, 500)
    assert (sample.by, sample.report.lines, sample.report.by_kind) == ("lines", 32, {Kind.TORN: 1})
    assert sample.report.defects[0].offset == 240


def test_an_unknown_sealed_block_means_parts_of_bytes(trail: tuple[Path, dict[int, Block]]) -> None:
    path, blocks = trail
    assert drawn(path, {0: blocks[0]}.get, 10).by == "bytes"
    assert drawn(path, {1: blocks[1]}.get, 10).by == "bytes"
    assert drawn(path, {0: blocks[0], 1: replace(blocks[1], marks=())}.get, 10).by == "bytes"


def test_lines_that_are_not_where_they_were_counted_mean_parts_of_bytes(
    trail: tuple[Path, dict[int, Block]], tmp_path: Path
) -> None:
    path, blocks = trail
    data = bytearray(path.read_bytes())
    for at in range(0, BLOCK_BYTES, 1 << 16):
        data[at] = ord("\n")
    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(data)
    sample = drawn(changed, blocks.get, 100)
    assert (sample.by, sample.report.lines) == ("bytes", 100)
