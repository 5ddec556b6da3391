"""The grid over a segment: which bytes belong to which block, and how the blocks' digests make the segment's digest.

The grid depends on the bytes alone, so every process finds the same one, and appending never moves a boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditwatch.trail.report import Report

if TYPE_CHECKING:
    from blake3 import blake3

BLOCK_BYTES: Final = 4 << 20
"""Distance between two lines of the grid, in bytes."""

DIGEST_PREFIX: Final = "b3-4m:"

FindNewline = Callable[[int], int | None]
"""Returns the offset of the first newline at or after a given offset, None if there is none."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a segment, read and judged.

    Attributes:
        k: Number of the block, from 0.
        start: Offset of its first byte in the segment.
        end: Offset just after its last byte; for the last block, just after the last newline.
        digest: BLAKE3-256 of its bytes; 32 bytes.
        report: The verdict on its lines, with places counted from `start`.
        marks: Running count of lines at the end of each piece of a fixed size, to find lines by number; may be empty.
    """

    k: int
    start: int
    end: int
    digest: bytes
    report: Report
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockDigest:
    """What is remembered of a block's bytes, no matter how its lines are judged; the last block still grows.

    A block whose bytes were in doubt is remembered in parts: what is judged later begins another digest.

    Attributes:
        start: Offset of its first byte in the segment.
        end: Offset just after its last byte.
        digest: BLAKE3-256 of its bytes, 64 hex digits.
    """

    start: int
    end: int
    digest: str

    @property
    def k(self) -> int:
        """Number of the block, from 0."""
        return block_of(self.start)


@dataclass(frozen=True, slots=True)
class Share:
    """Every Nth block of a segment: those whose number, counted from 0, is `number` modulo `of`."""

    number: int
    of: int

    def holds(self, k: int) -> bool:
        """Whether block k belongs to this share.

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
    """Whether block k, which ends here, can no longer grow: its last newline is on or after the next line of the grid.

    >>> is_sealed(0, BLOCK_BYTES - 1), is_sealed(0, BLOCK_BYTES)
    (False, True)
    """
    return end >= (k + 1) * BLOCK_BYTES


def block_ranges(end: int, find_newline: FindNewline) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each block of a segment, in order; the last block ends at `end`.

    Args:
        end: Offset just after the last newline.
        find_newline: Searches the segment.

    >>> list(block_ranges(0, lambda offset: None))
    [(0, 0, 0)]
    """
    k, start, newline = 0, 0, -1
    while True:
        line = (k + 1) * BLOCK_BYTES - 1
        if newline < line:  # a newline that comes after several lines of the grid is searched for once: it takes long
            found = find_newline(line)
            if found is None or found >= end:
                break
            newline = found
        yield k, start, newline + 1
        k, start = k + 1, newline + 1
    yield k, start, end


def file_digest(block_digests: Iterable[bytes]) -> str:
    """The digest of a segment from the digests of its blocks 0 to K, in order.

    >>> from blake3 import blake3
    >>> file_digest([blake3(b"").digest()])[:14]
    'b3-4m:82878ed8'
    """
    whole = _hasher()
    whole.update(b"".join(block_digests))
    return DIGEST_PREFIX + whole.hexdigest()


def _hasher() -> blake3:
    """Loaded when something is hashed: commands that only show what is known hash nothing."""
    from blake3 import blake3  # noqa: PLC0415  see above

    return blake3()


class GridDigest:
    r"""The digest of a segment whose bytes arrive as a stream.

    >>> digest = GridDigest()
    >>> digest.feed(b'{"a":1}\n{"pen')
    >>> from blake3 import blake3
    >>> digest.digest() == file_digest([blake3(b'{"a":1}\n').digest()])
    True
    """

    def __init__(self) -> None:
        self._sealed: list[bytes] = []
        self._block = RangeDigest()
        self._offset = 0

    def feed(self, chunk: bytes) -> None:
        """Add the bytes that come next."""
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
    """BLAKE3-256 of the newline-ended lines of a range; pending bytes may be fed, but do not count."""

    def __init__(self) -> None:
        self._lines = self._all = _hasher()

    def feed(self, chunk: bytes) -> None:
        """Add the bytes that come next."""
        end = chunk.rfind(b"\n") + 1
        view = memoryview(chunk)
        if end:
            self._all.update(view[:end])
            self._lines = self._all
        if end < len(chunk):
            self._all = self._all.copy() if self._all is self._lines else self._all
            self._all.update(view[end:])

    def digest(self) -> bytes:
        """32 bytes over everything up to the last newline."""
        return self._lines.digest()


class BlockHasher:
    r"""Digests of blocks whose bytes arrive as a stream, from any place on: the judged bytes of a segment.

    >>> hasher = BlockHasher(0)
    >>> hasher.feed(b'{"a":1}\n')
    >>> [(block.start, block.end) for block in hasher.taken()]
    [(0, 8)]
    >>> hasher.feed(b'{"a":2}\n')
    >>> [(block.start, block.end) for block in hasher.taken()]
    [(0, 16)]
    """

    def __init__(self, start: int) -> None:
        self._start = self.position = start
        self._sealed: list[BlockDigest] = []
        self._hasher = _hasher()

    def copy(self) -> BlockHasher:
        """Another one that has been fed the same."""
        twin = BlockHasher(self._start)
        twin.position, twin._sealed, twin._hasher = self.position, list(self._sealed), self._hasher.copy()
        return twin

    def feed(self, chunk: bytes) -> None:
        """Add the bytes that come next."""
        done = 0
        while (newline := chunk.find(b"\n", max(done, self._line() - self.position + done))) >= 0:
            self._add(memoryview(chunk)[done : newline + 1])
            self._sealed.append(self._open())
            self._start, self._hasher, done = self.position, _hasher(), newline + 1
        self._add(memoryview(chunk)[done:])

    def taken(self) -> tuple[BlockDigest, ...]:
        """The blocks that ended since the last call, and the one that is open if it has any bytes."""
        sealed, self._sealed = self._sealed, []
        return (*sealed, self._open()) if self.position > self._start else tuple(sealed)

    def continues(self, open_block: BlockDigest | None, until: int) -> bool:
        """Whether it has been fed exactly the bytes of the block that is open, or none, and what follows comes next.

        Args:
            open_block: What is remembered of that block; None if none is open.
            until: How far digests are remembered.
        """
        return self.position == until and (self._start == until or open_block == self._open())

    def _add(self, piece: memoryview) -> None:
        self._hasher.update(piece)
        self.position += len(piece)

    def _open(self) -> BlockDigest:
        return BlockDigest(self._start, self.position, self._hasher.hexdigest())

    def _line(self) -> int:
        return (block_of(self._start) + 1) * BLOCK_BYTES - 1
