"""Judge a range of an open file: the one place where bytes of a file are fed to the scan."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from blake3 import blake3

from auditwatch.errors import CutOff
from auditwatch.files.archives import unpacked
from auditwatch.files.reading import (
    CHUNK_BYTES,
    find_newline_before,
    fingerprint,
    page_cache_as_found,
    read_chunks,
)
from auditwatch.trail.grid import BlockDigest, BlockHasher, RangeDigest, is_sealed
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan

_READ_BYTES: Final = 1 << 17
"""Bytes per read; after a range in larger pieces the allocator hands the memory back, and gets it anew page by page."""

EDGE_BYTES: Final = 4096
"""Of the judged bytes, so many first and last ones are what a file is known by later."""


@dataclass(frozen=True, slots=True)
class JudgedRange:
    """The verdict on a range of bytes.

    Attributes:
        report: The report, with places counted from the start of the range.
        digest: BLAKE3-256 of the range up to its last newline; empty if not asked for.
        marks: Running count of lines at the end of each piece of `CHUNK_BYTES`; empty if no digest was asked for.
        blocks: Digests of the blocks that the judged bytes belong to; empty if they were not asked for.
        edges: The first and the last of the judged bytes, up to `EDGE_BYTES` each; empty if no blocks were asked for.
    """

    report: Report
    digest: bytes
    marks: tuple[int, ...] = ()
    blocks: tuple[BlockDigest, ...] = ()
    edges: tuple[bytes, bytes] = (b"", b"")


@dataclass(frozen=True, slots=True)
class Hashed:
    """What is remembered of the bytes before a range: its blocks are to be hashed from there on.

    Attributes:
        until: Bytes before this offset are part of a digest.
        open_block: The last block, if it goes on; it does if its bytes are still there.
    """

    until: int
    open_block: BlockDigest | None = None


@dataclass(frozen=True, slots=True)
class JudgedArchive:
    """What a compressed file holds.

    Attributes:
        size: Bytes of its content, as far as it could be read.
        prints: BLAKE3-256 of each span that was asked for; empty if the content ends before it.
        report: On the bytes that were to be judged, with places counted from their start.
        is_cut: Whether it could not be read to its end: its compressed data is damaged or cut off.
        digest: BLAKE3-256 of its content, as far as it could be read.
        distinct: How many different lines end in its first bytes.
        blocks: Digests of the blocks that the judged bytes belong to; empty if they were not asked for.
    """

    size: int
    prints: tuple[bytes, ...]
    report: Report
    is_cut: bool = False
    digest: bytes = b""
    distinct: int = 0
    blocks: tuple[BlockDigest, ...] = ()


Span = tuple[int, int]
"""Offset and length."""


def judge_archive(
    descriptor: int,
    start: int,
    end: int,
    rules: Rules,
    spans: Sequence[Span],
    *,
    final: bool = False,
    before: Hashed | None = None,
) -> JudgedArchive:
    """Read a compressed file once: judge its content from `start` to `end`, and take prints of spans.

    Args:
        descriptor: Stays the caller's; its position moves.
        start: First byte of a line of the content.
        end: Of what is judged; at or before `start`, nothing is.
        rules: What the lines are judged by.
        spans: Of the content.
        final: Whether bytes after the last newline are a torn line; where the data is cut off, they are unread.
        before: What is remembered of the bytes before `start`, if digests of blocks are wanted.

    Raises:
        Unreadable: io_error or unsupported.
    """
    blocks = _ContentBlocks(before, end) if before else None
    scan, content, whole, distinct = Scan(rules), _Content(descriptor), blake3(), 0
    digests = [blake3() for _ in spans]
    for position, chunk in content.pieces():
        whole.update(chunk)
        if blocks:
            blocks.feed(position, chunk)
        distinct = distinct or len(set(chunk.split(b"\n")[:-1]))
        for (offset, length), digest in zip(spans, digests, strict=True):
            if offset < position + len(chunk) and position < offset + length:
                digest.update(chunk[max(0, offset - position) : offset + length - position])
        if start < min(end, position + len(chunk)):
            scan.feed(chunk[max(0, start - position) : max(0, end - position)])
    prints = (d.digest() if sum(span) <= content.size else b"" for span, d in zip(spans, digests, strict=True))
    report = scan.finish(final and not content.is_cut)
    taken = blocks.taken(start + report.bytes) if blocks else ()
    return JudgedArchive(content.size, tuple(prints), report, content.is_cut, whole.digest(), distinct, taken)


class _ContentBlocks:
    """Hashes the content of a compressed file as it passes, up to where it will turn out to be judged."""

    def __init__(self, before: Hashed, end: int) -> None:
        self._before = before
        self._end = end
        self._ended = BlockHasher(before.open_block.start if before.open_block else before.until)
        self._ahead = self._ended

    def feed(self, position: int, chunk: bytes) -> None:
        """Add a piece of the content, given from its first byte on."""
        last = self._before.open_block
        if last is not None and position < last.end <= position + len(chunk):
            self._feed(position, chunk[: last.end - position])
            if not self._ahead.continues(last, self._before.until):
                self._ended = self._ahead = BlockHasher(self._before.until)
            position, chunk = last.end, chunk[last.end - position :]
        self._feed(position, chunk[: max(0, self._end - position)])

    def _feed(self, position: int, chunk: bytes) -> None:
        piece = chunk[max(0, self._ahead.position - position) :]
        lines = piece.rfind(b"\n") + 1
        if lines:
            self._ahead.feed(piece[:lines])
            self._ended = self._ahead
        if lines < len(piece):
            self._ahead = self._ahead.copy() if self._ahead is self._ended else self._ahead
            self._ahead.feed(piece[lines:])

    def taken(self, judged: int) -> tuple[BlockDigest, ...]:
        """The digests, if what was fed up to the last newline, or to the end, is what was judged."""
        hasher = self._ended if self._ended.position == judged else self._ahead
        return hasher.taken() if hasher.position == judged else ()


class _Content:
    """What a compressed file holds, as far as it can be read.

    Attributes:
        size: Bytes that were read so far.
        is_cut: Whether it ended before its end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0
        self.is_cut = False

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """Each piece with its offset."""
        try:
            for piece in unpacked(self._descriptor):
                yield self.size, piece
                self.size += len(piece)
        except CutOff:
            self.is_cut = True


def judge_range(  # noqa: PLR0913  every optional argument has a sensible default
    descriptor: int,
    start: int,
    end: int,
    rules: Rules,
    *,
    final: bool = False,
    hashed: bool = True,
    recorded: bytes = b"",
    before: Hashed | None = None,
) -> JudgedRange:
    """Judge the bytes from `start` to `end`, and drop those from the page cache that were not in it before.

    Pending bytes are counted but not looked at.

    Args:
        descriptor: A descriptor open for reading; its position is not used.
        start: First byte of a line.
        end: End of the range; may be beyond the end of the file.
        rules: What the lines are judged by.
        final: Whether bytes after the last newline are a torn line.
        hashed: Whether to compute the digest.
        recorded: If all bytes together have this digest, the answer is only that: their report is already known.
        before: What is remembered of the bytes before them, if digests of blocks are wanted.

    Raises:
        Unreadable: io_error, with the offset.
    """
    with page_cache_as_found(descriptor, start, end):
        if recorded and fingerprint(descriptor, start, end - start) == recorded:
            return JudgedRange(Report(), recorded)
        blocks = _Blocks(start, rebuilt(descriptor, before.until, before.open_block) if before else None)
        return _judged(descriptor, start, end, rules, blocks, final=final, hashed=hashed or bool(recorded))


def rebuilt(descriptor: int, until: int, open_block: BlockDigest | None) -> BlockHasher:
    """A hasher that goes on with the block that is open, if its bytes are still there; else one that begins after it.

    Raises:
        Unreadable: io_error, with the offset.
    """
    if open_block is not None and not is_sealed(open_block.k, open_block.end):
        hasher = BlockHasher(open_block.start)
        for chunk in read_chunks(descriptor, open_block.start, open_block.end):
            hasher.feed(chunk)
        if hasher.continues(open_block, until):
            return hasher
    return BlockHasher(until)


class _Blocks:
    """Hashes what is judged, from where the bytes before it were hashed, and keeps its edges.

    Attributes:
        edges: The first and the last bytes that passed.
    """

    def __init__(self, start: int, hasher: BlockHasher | None) -> None:
        self._position = start
        self._is_asked = hasher is not None
        self._hasher = hasher if hasher and start <= hasher.position else None
        self.edges = (b"", b"")

    def feed(self, chunk: bytes) -> None:
        if self._is_asked:
            first, last = self.edges
            last = chunk[-EDGE_BYTES:] if len(chunk) >= EDGE_BYTES else (last + chunk)[-EDGE_BYTES:]
            self.edges = (first + chunk[: EDGE_BYTES - len(first)], last)
        if self._hasher is not None:
            self._hasher.feed(chunk[max(0, self._hasher.position - self._position) :])
            self._position += len(chunk)

    def taken(self) -> tuple[BlockDigest, ...]:
        return self._hasher.taken() if self._hasher else ()


def count_lines(descriptor: int, start: int, end: int) -> int:
    """How many lines end in a range; pages that were not in the page cache before are dropped from it.

    Raises:
        Unreadable: io_error, with the offset.
    """
    with page_cache_as_found(descriptor, start, end):
        return sum(chunk.count(b"\n") for chunk in read_chunks(descriptor, start, end))


def _judged(
    descriptor: int, start: int, end: int, rules: Rules, blocks: _Blocks, *, final: bool, hashed: bool
) -> JudgedRange:
    scan, digest = Scan(rules), RangeDigest()
    lines_end, pending = (end, 0) if final else _lines_end(descriptor, start, end)
    marks: list[int] = []
    done = 0
    for chunk in read_chunks(descriptor, start, lines_end, _READ_BYTES):
        scan.feed(chunk)
        blocks.feed(chunk)
        if hashed:
            digest.feed(chunk)
            marks[done // CHUNK_BYTES :] = [scan.lines]
        done += len(chunk)
    report = scan.finish(final)
    edges = blocks.edges if report.bytes == done else (b"", b"")  # otherwise the file was cut meanwhile
    report = replace(report, pending_bytes=report.pending_bytes + pending)
    return JudgedRange(report, digest.digest() if hashed else b"", tuple(marks), blocks.taken(), edges)


def _lines_end(descriptor: int, start: int, end: int) -> tuple[int, int]:
    """The offset just after the last newline of a range, and how many bytes of the range follow it."""
    end = max(start, min(end, os.fstat(descriptor).st_size))
    newline = find_newline_before(descriptor, end, start)
    lines_end = start if newline is None else newline + 1
    return lines_end, end - lines_end
