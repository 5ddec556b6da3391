"""A sketch of a file: hashes of some of its lines, spread over all of it.

It tells a copy, even an edited copy in which everything moved, from a file that is new. Lines are sampled by place: the
first that begins at or after each multiple of a stride, which doubles as the file grows, so that some 64 lines stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MOST_LINES: Final = 64
FIRST_STRIDE: Final = 32
"""Every line of a short trail is in its sketch."""

HASHED_BYTES: Final = 1 << 16
"""Of a longer line, its first bytes are hashed."""

FEWEST_LINES: Final = 16
"""A sketch of fewer different lines tells too little: two short files may well be equal and both be right."""

SEARCHED_BYTES: Final = 64 << 20
"""How much of a file is searched for known lines, from its start and from its end."""

_CHUNK_BYTES: Final = 1 << 20
_USUAL_BYTES: Final = 1 << 12

ReadAt = Callable[[int, int], bytes]
"""Reads up to so many bytes from an offset; fewer only at the end of the file."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """The sampled lines of a file.

    Attributes:
        stride: Distance of the sampled places in bytes.
        lines: Offset and 63-bit hash of each line, in order.
    """

    stride: int = FIRST_STRIDE
    lines: tuple[tuple[int, int], ...] = ()

    @property
    def hashes(self) -> frozenset[int]:
        """The different lines."""
        return frozenset(digest for _, digest in self.lines)

    @property
    def is_telling(self) -> bool:
        """Whether a file that holds these lines must be a copy: there are enough of them, and they hardly repeat."""
        return len(self.hashes) >= max(FEWEST_LINES, len(self.lines) * 3 / 4)


NO_SKETCH: Final = Sketch()
"""Of a file of which nothing was judged."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What another file has in common with a sketch.

    Attributes:
        shared: How many different lines of the sketch it holds, anywhere.
        late: How many of them are from the last half of the sketch.
        in_place: How many lines lie where the sketch has them.
        comparable: How many could: those that end before the file does.
    """

    shared: int = 0
    late: int = 0
    in_place: int = 0
    comparable: int = 0


def extended(sketch: Sketch, read: ReadAt, start: int, end: int) -> Sketch:
    """The sketch with the lines from `start` to `end`, both of which are where lines begin.

    Args:
        sketch: Of the lines before `start`.
        read: Reads the file.
        start: Where the first of them begins.
        end: Where the next line begins.
    """
    sketch = _thinned(sketch, end)
    found = list(sketch.lines)
    target = _next_target(sketch)
    while target < end:
        place = start if target <= start else _line_start(read, target, end)
        if place >= end:
            break
        found.append((place, _hash(read, place, end)))
        target = (place // sketch.stride + 1) * sketch.stride
    return sketch if len(found) == len(sketch.lines) else Sketch(sketch.stride, tuple(found))


def overlap(sketch: Sketch, read: ReadAt, size: int) -> Overlap:
    """What a file of this size has in common with the sketch of another."""
    wanted = {digest: offset for offset, digest in reversed(sketch.lines)}
    middle = sketch.lines[len(sketch.lines) // 2][0] if sketch.lines else 0
    found = {digest for digest in _hashes(read, size) if digest in wanted}
    in_place, comparable = still_in_place(sketch, read, size)
    late = sum(wanted[digest] >= middle for digest in found)
    return Overlap(shared=len(found), late=late, in_place=in_place, comparable=comparable)


def still_in_place(sketch: Sketch, read: ReadAt, size: int, dropped: int = 0) -> tuple[int, int]:
    """How many lines of a sketch a file of this size has where they should be, and how many it could have.

    Args:
        sketch: Of the file as it was.
        read: Reads the file.
        size: Up to which line ends count.
        dropped: Bytes that are missing at its start.
    """
    moved = [(offset - dropped, digest) for offset, digest in sketch.lines if offset >= dropped]
    ends = [(offset, digest) for offset, digest in moved if _has_end(read, offset, size)]
    return sum(_hash(read, offset, size) == digest for offset, digest in ends), len(ends)


def _thinned(sketch: Sketch, end: int) -> Sketch:
    """The sketch with a stride that leaves room for a file of `end` bytes."""
    stride = sketch.stride
    while end > stride * MOST_LINES:
        stride *= 2
    if stride == sketch.stride:
        return sketch
    kept, before = [], -1
    for offset, digest in sketch.lines:
        if offset // stride * stride > before:  # a sampled place lies between it and the line before
            kept.append((offset, digest))
        before = offset
    return Sketch(stride, tuple(kept))


def _next_target(sketch: Sketch) -> int:
    return (sketch.lines[-1][0] // sketch.stride + 1) * sketch.stride if sketch.lines else 0


def _line_start(read: ReadAt, target: int, end: int) -> int:
    """Where the first line at or after `target` begins; `end` if none does."""
    place = target - 1
    while place < end:
        data = read(place, min(_CHUNK_BYTES, end - place))
        if (found := data.find(b"\n")) >= 0:
            return place + found + 1
        if not data:
            break
        place += len(data)
    return end


def _hash(read: ReadAt, offset: int, end: int) -> int:
    return line_hash(_start_of_line(read, offset, end).partition(b"\n")[0])


def _start_of_line(read: ReadAt, offset: int, end: int) -> bytes:
    """The line with its newline, or its first bytes, as many as are hashed."""
    data = read(offset, min(_USUAL_BYTES, end - offset))
    return data if b"\n" in data else read(offset, min(HASHED_BYTES, end - offset))


def _has_end(read: ReadAt, offset: int, size: int) -> bool:
    if offset >= size:
        return False
    data = _start_of_line(read, offset, size)
    return b"\n" in data or len(data) == HASHED_BYTES


def line_hash(line: bytes) -> int:
    """63 bits of the BLAKE2 hash of a line, or of its first 64 KiB."""
    return int.from_bytes(hashlib.blake2b(line[:HASHED_BYTES], digest_size=8).digest(), "big") >> 1


def _hashes(read: ReadAt, size: int) -> Iterator[int]:
    """Hashes of all ended lines; of a large file, of those near its start and near its end."""
    yield from _hashes_between(read, 0, min(size, SEARCHED_BYTES))
    if size > SEARCHED_BYTES:
        yield from _hashes_between(read, max(SEARCHED_BYTES, size - SEARCHED_BYTES), size)


def _hashes_between(read: ReadAt, start: int, end: int) -> Iterator[int]:
    begun = b""
    while start < end and (data := read(start, min(_CHUNK_BYTES, end - start))):
        start += len(data)
        first, *rest = data.split(b"\n")
        begun = begun if len(begun) >= HASHED_BYTES else begun + first
        if rest:
            yield line_hash(begun)
            yield from map(line_hash, rest[:-1])
            begun = rest[-1]
