"""The grid: boundaries that depend on the bytes alone."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail import grid


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "BLOCK_BYTES", 16)


def ranges(data: bytes) -> list[tuple[int, int, int]]:
    calls = []

    def find_newline(offset: int) -> int | None:
        calls.append(offset)
        index = data.find(b"\n", offset)
        return None if index < 0 else index

    found = list(grid.block_ranges(len(data), find_newline))
    assert len(calls) <= data.count(b"\n") + 1, "one newline was looked for more than once"
    return found


LINES = st.lists(st.integers(0, 50).map(lambda size: b"x" * size + b"\n")).map(b"".join)


@given(LINES)
def test_a_line_lies_in_the_block_of_its_first_byte(data: bytes) -> None:
    starts = [0, *(index + 1 for index, byte in enumerate(data) if byte == 0x0A)][:-1] if data else []
    for k, start, end in ranges(data):
        assert [line for line in starts if start <= line < end] == [line for line in starts if line // 16 == k]


@given(LINES, st.binary(max_size=20).map(lambda tail: tail.replace(b"\n", b"")))
def test_blocks_tile_the_file_and_appending_moves_no_boundary(data: bytes, tail: bytes) -> None:
    before, after = ranges(data), ranges(data + tail + b"\n")
    assert [start for _, start, _ in before] == [0, *(end for _, _, end in before[:-1])]
    assert before[-1][2] == len(data)
    assert [block[:2] for block in after[: len(before)]] == [block[:2] for block in before]


@given(LINES, st.binary(max_size=40).map(lambda tail: tail.replace(b"\n", b"")), st.data())
def test_the_digest_of_a_stream_is_that_of_its_blocks(data: bytes, tail: bytes, draw: st.DataObject) -> None:
    whole = data + tail
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    digest = grid.GridDigest()
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        digest.feed(whole[start:end])
    blocks = [blake3(data[start:end]).digest() for _, start, end in ranges(data)]
    assert digest.digest() == grid.file_digest(blocks)


def test_an_empty_segment_has_one_empty_block() -> None:
    assert ranges(b"") == [(0, 0, 0)]
    assert grid.GridDigest().digest() == grid.file_digest([blake3(b"").digest()])


def test_a_line_that_ends_on_the_grid_begins_the_next_block_behind_it() -> None:
    assert ranges(b"x" * 15 + b"\n" + b"y\n") == [(0, 0, 16), (1, 16, 18)]
    assert ranges(b"x" * 16 + b"\n" + b"y\n") == [(0, 0, 17), (1, 17, 19)]
