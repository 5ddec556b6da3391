"""The grid over a segment: which bytes belong to which block, and the digest that the blocks add up to.

It depends on the bytes alone, so every process finds the same one, and appending never moves a boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from auditwatch.trail.report import Report

BLOCK_BYTES: Final = 4 << 20
"""Distance of the grid's lines, in bytes."""

DIGEST_PREFIX: Final = "b3-4m:"

FindNewline = Callable[[int], int | None]
"""Gives the offset of the first newline at or behind an offset, None if there is none."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a segment, read and judged.

    Attributes:
        k: Its number, from 0.
        start: Its first byte in the segment.
        end: Just behind its last byte; for the last block, behind the last newline.
        digest: BLAKE3-256 of its bytes, 32 of them.
        report: What its lines are, with places counted from `start`.
        marks: How many lines end in each piece of a fixed size and before it, where lines are found by number.
    """

    k: int
    start: int
    end: int
    digest: bytes
    report: Report
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """Every Nth block of a segment: those whose number is `number` modulo `of`, counted from 0."""

    number: int
    of: int

    def holds(self, k: int) -> bool:
        """Whether block k belongs to it.

        >>> [k for k in range(9) if Share(1, 4).holds(k)]
        [1, 5]
        """
        return k % self.of == self.number


def block_of(offset: int) -> int:
    """The number of the block that a line starting at this offset belongs to.

    >>> block_of(0), block_of(BLOCK_BYTES - 1), block_of(BLOCK_BYTES)
    (0, 0, 1)
    """
    return offset // BLOCK_BYTES


def is_sealed(k: int, end: int) -> bool:
    """Whether block k, ending here, stays as it is: the newline that ends it lies on or behind the grid's next line.

    >>> is_sealed(0, BLOCK_BYTES - 1), is_sealed(0, BLOCK_BYTES)
    (False, True)
    """
    return end >= (k + 1) * BLOCK_BYTES


def block_ranges(end: int, find_newline: FindNewline) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each block of a segment, from left to right; the last one ends at `end`.

    Args:
        end: Just behind the last newline.
        find_newline: Over the segment.

    >>> list(block_ranges(0, lambda offset: None))
    [(0, 0, 0)]
    """
    k, start, newline = 0, 0, -1
    while True:
        line = (k + 1) * BLOCK_BYTES - 1
        if newline < line:  # one newline behind many lines of the grid is looked for once: that may take long
            found = find_newline(line)
            if found is None or found >= end:
                break
            newline = found
        yield k, start, newline + 1
        k, start = k + 1, newline + 1
    yield k, start, end


def file_digest(block_digests: Iterable[bytes]) -> str:
    """The digest of a segment from the digests of its blocks 0 to K, in order.

    >>> file_digest([blake3(b"").digest()])[:14]
    'b3-4m:82878ed8'
    """
    return DIGEST_PREFIX + blake3(b"".join(block_digests)).hexdigest()


class GridDigest:
    r"""The digest of a segment whose bytes come in a stream.

    >>> digest = GridDigest()
    >>> digest.feed(b'{"a":1}\n{"pen')
    >>> digest.digest() == file_digest([blake3(b'{"a":1}\n').digest()])
    True
    """

    def __init__(self) -> None:
        self._sealed: list[bytes] = []
        self._block = RangeDigest()
        self._offset = 0

    def feed(self, chunk: bytes) -> None:
        """Take the bytes that follow."""
        start = 0
        while (newline := chunk.find(b"\n", max(start, self._line() - self._offset))) >= 0:
            self._block.feed(chunk[start : newline + 1])
            self._seal(self._offset + newline)
            start = newline + 1
        self._block.feed(chunk[start:])
        self._offset += len(chunk)

    def digest(self) -> str:
        """The digest of everything up to the last newline."""
        return file_digest([*self._sealed, self._block.digest()])

    def _line(self) -> int:
        return (len(self._sealed) + 1) * BLOCK_BYTES - 1

    def _seal(self, newline: int) -> None:
        while self._line() <= newline:
            self._sealed.append(self._block.digest())
            self._block = RangeDigest()


class RangeDigest:
    """BLAKE3-256 of the newline-ended lines of a range: pending bytes are taken in, and out again."""

    def __init__(self) -> None:
        self._lines = self._all = blake3()

    def feed(self, chunk: bytes) -> None:
        """Take the bytes that follow."""
        behind = chunk.rfind(b"\n") + 1
        view = memoryview(chunk)
        if behind:
            self._all.update(view[:behind])
            self._lines = self._all
        if behind < len(chunk):
            self._all = self._all.copy() if self._all is self._lines else self._all
            self._all.update(view[behind:])

    def digest(self) -> bytes:
        """32 bytes over everything up to the last newline."""
        return self._lines.digest()
