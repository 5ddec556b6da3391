"""The trail map: cells, and the worst of their blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auditwatch.web.trailmap import MAX_CELLS, CellState, _blocks_of, _cell_of, cells

BLOCK = 4 << 20
WHOLE, DAMAGED = CellState.WHOLE, CellState.DAMAGED


def states(drawn: Any) -> list[CellState]:
    return [cell.state for cell in drawn]


def test_a_trail_without_bytes_has_no_cells(build: Any) -> None:
    assert cells(()) == ()
    assert cells((build.segment(0),)) == ()


def test_cells_are_as_fine_as_their_number_allows(build: Any) -> None:
    assert [(cell.start, cell.end) for cell in cells((build.segment(513),))] == [(0, 256), (256, 512), (512, 513)]
    drawn = cells((build.segment(2 * BLOCK + 1),), most=3)
    assert [(cell.start, cell.end) for cell in drawn] == [(0, BLOCK), (BLOCK, 2 * BLOCK), (2 * BLOCK, 2 * BLOCK + 1)]


@given(sizes=st.lists(st.integers(0, 20 * BLOCK), max_size=4), most=st.integers(1, MAX_CELLS))
def test_all_bytes_are_in_cells_and_damage_is_in_the_cell_of_its_first_byte(
    build: Any, sizes: list[int], most: int
) -> None:
    segments = [
        build.segment(size, name=f"{k}", findings=(build.finding(1, size // 3),)) for k, size in enumerate(sizes)
    ]
    drawn = cells(segments, most)
    assert len(drawn) <= most
    assert sum(cell.end - cell.start for cell in drawn if cell.first_segment == cell.last_segment) <= sum(sizes)
    for cell in drawn:
        if cell.first_segment == cell.last_segment:
            is_damaged = cell.start <= sizes[int(cell.first_segment)] // 3 < cell.end
            assert cell.state is (DAMAGED if is_damaged else WHOLE)


def test_a_damaged_line_is_in_the_block_where_it_starts(build: Any) -> None:
    for offset, block in ((0, 0), (BLOCK - 1, 0), (BLOCK, 1)):
        found = build.finding(1, offset, length=BLOCK)
        drawn = states(cells((build.segment(3 * BLOCK, findings=(found,)),), most=3))
        assert [k for k, state in enumerate(drawn) if state is DAMAGED] == [block]


def test_the_second_segment_begins_its_own_blocks(build: Any) -> None:
    second = build.segment(2 * BLOCK, name="b.jsonl", findings=(build.finding(1, BLOCK),))
    drawn = cells((build.segment(10), second), most=3)
    assert states(drawn) == [WHOLE, WHOLE, DAMAGED]
    assert (drawn[2].first_segment, drawn[2].start, drawn[2].end) == ("b.jsonl", BLOCK, 2 * BLOCK)


def test_pending_unverified_acknowledged_and_unlisted_bytes_are_told_apart(build: Any) -> None:
    noted = build.finding(1, 0, acknowledgement=build.note)
    segment = build.segment(
        5 * BLOCK, judged=3 * BLOCK, read=4 * BLOCK, findings=(noted,), unlisted_ranges=((2 * BLOCK, 2 * BLOCK + 5),)
    )
    expected = [CellState.ACKNOWLEDGED, WHOLE, DAMAGED, CellState.PENDING, CellState.UNVERIFIED]
    assert states(cells((segment,), most=5)) == expected


def test_a_cell_takes_the_worst_of_its_blocks(build: Any) -> None:
    findings = (build.finding(1, 0, acknowledgement=build.note), build.finding(2, BLOCK))
    assert states(cells((build.segment(2 * BLOCK, findings=findings),), most=1)) == [DAMAGED]


@given(blocks=st.integers(1, 5000), most=st.integers(1, MAX_CELLS))
def test_every_block_is_in_exactly_one_cell(blocks: int, most: int) -> None:
    many = min(blocks, most)
    spans = [_blocks_of(k, many, blocks) for k in range(many)]
    assert [block for first, last in spans for block in range(first, last + 1)] == list(range(blocks))
    assert all(_cell_of(block, many, blocks) == k for k, (a, b) in enumerate(spans) for block in range(a, b + 1))


def test_a_huge_trail_has_512_cells_that_join_without_a_gap(build: Any) -> None:
    drawn = cells((build.segment(9 << 40, findings=(build.finding(1, (9 << 40) - 1),)),))
    assert len(drawn) == MAX_CELLS
    assert all(left.end == right.start for left, right in pairwise(drawn))
    assert [k for k, cell in enumerate(drawn) if cell.state is DAMAGED] == [MAX_CELLS - 1]
