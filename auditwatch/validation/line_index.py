"""Finds lines by their number: counts are known for sealed blocks that were judged before, and made after them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from auditwatch.files.reading import CHUNK_BYTES, find_newline, find_newline_before, read_chunks
from auditwatch.trail.grid import BLOCK_BYTES, Block


class StaleIndex(Exception):
    """The file no longer contains the lines that were counted."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Lines from `start` to `end`; `marks` are running counts of them at the end of each piece of `CHUNK_BYTES`."""

    start: int
    end: int
    marks: tuple[int, ...]


class LineIndex:
    """Finds lines of an open file by their number."""

    def __init__(self, descriptor: int, stretches: Sequence[_Stretch]) -> None:
        self._descriptor = descriptor
        self._stretches = stretches
        self._lines = list(accumulate(stretch.marks[-1] for stretch in stretches))

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return self._lines[-1] if self._lines else 0

    def span(self, number: int) -> tuple[int, int]:
        """Start and end of a line, its newline included; lines are numbered from 0.

        Raises:
            StaleIndex: Other lines are at the place where it should be.
            Unreadable: io_error, with the offset.
        """
        at = bisect_right(self._lines, number)
        stretch = self._stretches[at]
        number -= self._lines[at - 1] if at else 0
        piece = bisect_right(stretch.marks, number)
        before = stretch.marks[piece - 1] if piece else 0
        start = stretch.start + piece * CHUNK_BYTES
        return self._found(stretch, start, number - before, stretch.marks[piece] - before)

    def _found(self, stretch: _Stretch, start: int, number: int, expected: int) -> tuple[int, int]:
        """The line that ends in the piece that begins at `start`, after `number` other newlines of that piece."""
        end = min(start + CHUNK_BYTES, stretch.end)
        piece = b"".join(read_chunks(self._descriptor, start, end))
        if piece.count(b"\n") != expected:
            raise StaleIndex
        lines = piece.split(b"\n", number + 1)
        stop = start + len(piece) - len(lines[-1])
        if number:
            return stop - len(lines[number]) - 1, stop
        newline = find_newline_before(self._descriptor, start, stretch.start)
        return (stretch.start if newline is None else newline + 1), stop


def line_index(descriptor: int, end: int, recorded: Callable[[int], Block | None]) -> LineIndex | None:
    """The index of a file; None unless all of its sealed blocks are known.

    Args:
        descriptor: A descriptor open for reading.
        end: Offset just after the last newline.
        recorded: Returns a sealed block as it was judged before.

    Raises:
        Unreadable: io_error, with the offset.
    """
    stretches: list[_Stretch] = []
    start = 0
    while (block := recorded(len(stretches))) is not None and block.start == start and block.end <= end and block.marks:
        stretches.append(_Stretch(start, block.end, block.marks))
        start = block.end
    newline = find_newline(descriptor, max(start, (len(stretches) + 1) * BLOCK_BYTES - 1), end)
    if newline is not None and newline + 1 < end:
        return None
    if start < end:
        counts = (chunk.count(b"\n") for chunk in read_chunks(descriptor, start, end))
        stretches.append(_Stretch(start, end, tuple(accumulate(counts))))
    return LineIndex(descriptor, stretches)
