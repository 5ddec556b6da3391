"""The lines of a stream of bytes with their places, in memory bounded by `max_line_bytes` and one chunk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_MOST_LINES: Final = 8192
"""Most lines in a batch: a chunk of empty lines must not become a million objects at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Adjacent lines.

    Attributes:
        number: Number of the first line, from 1.
        offset: Offset of the first line.
        lines: The lines without their newlines; empty if the batch is a single line that is too long to be held.
        size: Bytes of all lines, newlines included.
    """

    number: int
    offset: int
    lines: list[bytes]
    size: int


class LineReader:
    r"""Cuts chunks into lines.

    >>> reader = LineReader(8)
    >>> [(batch.number, batch.offset, batch.lines) for batch in reader.feed(b'{}\n{"too":"long"}\n{"a"')]
    [(1, 0, [b'{}']), (2, 3, [])]
    >>> reader.rest()
    Batch(number=3, offset=18, lines=[b'{"a"'], size=4)
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._most = max_line_bytes
        self._number = 1
        self._offset = 0
        self._held = bytearray()
        self._length = 0

    def feed(self, chunk: bytes) -> Iterator[Batch]:
        """The lines that this chunk ends."""
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines:
            yield from self._end_held(lines.pop(0))
            yield from self._short_and_long(lines)
        self._hold(rest)

    def rest(self) -> Batch:
        """The bytes after the last newline; a batch of size 0 if there are none."""
        held = [bytes(self._held)] if 0 < self._length <= self._most else []
        return Batch(self._number, self._offset, held, self._length)

    def _hold(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= self._most:
            self._held += piece
        else:
            self._held.clear()

    def _end_held(self, piece: bytes) -> Iterator[Batch]:
        self._hold(piece)
        yield self._passed(self.rest().lines or ([] if self._length else [b""]), self._length + 1)
        self._held.clear()
        self._length = 0

    def _short_and_long(self, lines: list[bytes]) -> Iterator[Batch]:
        for start in range(0, len(lines), _MOST_LINES):
            batch = lines[start : start + _MOST_LINES]
            if max(map(len, batch)) <= self._most:
                yield self._passed(batch, sum(map(len, batch)) + len(batch))
            else:
                yield from (self._passed([line] if len(line) <= self._most else [], len(line) + 1) for line in batch)

    def _passed(self, lines: list[bytes], size: int) -> Batch:
        batch = Batch(self._number, self._offset, lines, size)
        self._number += len(lines) or 1
        self._offset += size
        return batch
