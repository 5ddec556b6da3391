"""The trail map: where in a trail's bytes the damage is, in a few hundred cells.

Cells are made of blocks, and a damaged line colours the block it starts in. Small trails have small blocks, so that
their maps show places too; blocks are never larger than those of the grid (`auditwatch.trail.grid`), by which
verification proceeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from auditwatch.ledger.damage import FindingState
from auditwatch.ledger.segment import Segment
from auditwatch.trail.grid import BLOCK_BYTES

MAX_CELLS: Final = 512

_FINEST_BLOCK_BYTES: Final = 1 << 8
"""About one line."""


class CellState(IntEnum):
    """What a cell says, from good to bad: a cell shows the worst of its blocks."""

    WHOLE = 0
    ACKNOWLEDGED = 1
    PENDING = 2
    UNVERIFIED = 3
    DAMAGED = 4

    @property
    def wording(self) -> str:
        """For people."""
        return _WORDING[self]


_WORDING: Final = {
    CellState.WHOLE: "whole",
    CellState.ACKNOWLEDGED: "damaged, acknowledged",
    CellState.PENDING: "pending: no newline yet",
    CellState.UNVERIFIED: "not yet verified",
    CellState.DAMAGED: "damaged",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """Some consecutive blocks.

    Attributes:
        first_segment, start: Name of the segment and the byte in it where the cell begins.
        last_segment, end: Name of the segment and the byte in it just after the cell.
    """

    state: CellState
    first_segment: str
    start: int
    last_segment: str
    end: int


@dataclass(frozen=True, slots=True)
class _Strip:
    """One segment's place in the sequence of all blocks, which are `unit` bytes each."""

    segment: Segment
    unit: int
    first_block: int
    blocks: int

    def block_of(self, offset: int) -> int:
        """The number, in the whole sequence, of the block with this byte of the segment."""
        return self.first_block + offset // self.unit


def cells(segments: Sequence[Segment], most: int = MAX_CELLS) -> tuple[Cell, ...]:
    """At most `most` cells over all blocks of all segments; empty segments have none.

    Args:
        segments: Oldest first.
        most: Upper bound, at least 1.
    """
    strips = _strips(segments, _block_bytes(segments, most))
    total = strips[-1].first_block + strips[-1].blocks if strips else 0
    states = [CellState.WHOLE] * min(most, total)
    for strip in strips:
        for state, start, end in _marks(strip.segment):
            _paint(states, total, strip, state, (start, end))
    return tuple(_cell(state, strips, *_blocks_of(k, len(states), total)) for k, state in enumerate(states))


def _block_bytes(segments: Sequence[Segment], most: int) -> int:
    """The finest blocks that give at most `most` cells of one block each; those of the grid if none do."""
    unit = BLOCK_BYTES
    while unit > _FINEST_BLOCK_BYTES and sum(_blocks_in(segment, unit // 2) for segment in segments) <= most:
        unit //= 2
    return unit


def _blocks_in(segment: Segment, unit: int) -> int:
    return -(-segment.size // unit)


def _strips(segments: Sequence[Segment], unit: int) -> list[_Strip]:
    strips: list[_Strip] = []
    first = 0
    for segment in segments:
        if segment.size:
            blocks = _blocks_in(segment, unit)
            strips.append(_Strip(segment, unit, first, blocks))
            first += blocks
    return strips


def _marks(segment: Segment) -> Iterator[tuple[CellState, int, int]]:
    """What is not whole: state, first byte and the byte just after the last."""
    yield CellState.PENDING, segment.judged, segment.read
    yield CellState.UNVERIFIED, segment.read, segment.size
    for start, end in segment.unlisted_ranges:
        yield CellState.DAMAGED, start, end
    for finding in segment.findings:
        if finding.state is FindingState.OPEN:
            yield CellState.DAMAGED, finding.offset, finding.offset + 1
        elif finding.state is FindingState.ACKNOWLEDGED:
            yield CellState.ACKNOWLEDGED, finding.offset, finding.offset + 1


def _paint(states: list[CellState], total: int, strip: _Strip, state: CellState, span: tuple[int, int]) -> None:
    start, end = span[0], min(span[1], strip.segment.size)
    if start >= end:
        return
    first = _cell_of(strip.block_of(start), len(states), total)
    last = _cell_of(strip.block_of(end - 1), len(states), total)
    for k in range(first, last + 1):
        states[k] = max(states[k], state)


def _cell_of(block: int, many: int, total: int) -> int:
    """The cell that a block is in: the inverse of `_blocks_of`.

    >>> [_cell_of(block, 2, 5) for block in range(5)]
    [0, 0, 1, 1, 1]
    """
    return ((block + 1) * many - 1) // total


def _blocks_of(k: int, many: int, total: int) -> tuple[int, int]:
    """First and last block of a cell.

    >>> [_blocks_of(k, 2, 5) for k in range(2)]
    [(0, 1), (2, 4)]
    """
    return k * total // many, (k + 1) * total // many - 1


def _cell(state: CellState, strips: Sequence[_Strip], first: int, last: int) -> Cell:
    begin, finish = _strip_of(strips, first), _strip_of(strips, last)
    end = (last - finish.first_block + 1) * finish.unit
    return Cell(
        state=state,
        first_segment=begin.segment.name,
        start=(first - begin.first_block) * begin.unit,
        last_segment=finish.segment.name,
        end=min(end, finish.segment.size),
    )


def _strip_of(strips: Sequence[_Strip], block: int) -> _Strip:
    return next(strip for strip in reversed(strips) if strip.first_block <= block)
