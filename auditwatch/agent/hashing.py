"""What a prober hashes again: blocks of a segment as they are now. Plain calls; values in, values out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from auditwatch.agent.place import Place, open_segment
from auditwatch.agent.probes import Glance, glance
from auditwatch.files.reading import (
    find_newline,
    find_newline_before,
    fingerprint,
    page_cache_as_found,
    read_chunks,
)
from auditwatch.ledger.segment import Segment
from auditwatch.trail.grid import BLOCK_BYTES, BlockDigest, BlockHasher

CALL_BYTES: Final = 2 * BLOCK_BYTES
"""About as much as one call hashes: looks at other trails of the volume wait as long as that takes, some 5 ms."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """What a call found.

    Attributes:
        digests: As asked for, as far as the file still is as long as that.
        cpu_seconds: What it took.
    """

    digests: tuple[BlockDigest, ...]
    cpu_seconds: float


def hash_blocks(place: Place, segment: Segment, blocks: Sequence[BlockDigest]) -> Hashes:
    """The digests that blocks have now; none of those that the file does not hold any more.

    Raises:
        Unreadable: The file cannot be read, or another one is there now.
    """
    begun = time.thread_time()
    descriptor = open_segment(place, segment)
    try:
        size = os.fstat(descriptor).st_size
        found = tuple(_rehashed(descriptor, block) for block in blocks if block.end <= size)
    finally:
        os.close(descriptor)
    return Hashes(found, time.thread_time() - begun)


def _rehashed(descriptor: int, block: BlockDigest) -> BlockDigest:
    length = block.end - block.start
    with page_cache_as_found(descriptor, block.start, block.end):
        return BlockDigest(block.start, block.end, fingerprint(descriptor, block.start, length).hex())


def hash_lines(place: Place, segment: Segment, start: int, end: int) -> Hashes:
    """Digests of bytes that were judged, and never hashed: the blocks that end within the next `CALL_BYTES`.

    Raises:
        Unreadable: The file cannot be read, or another one is there now.
    """
    begun = time.thread_time()
    descriptor = open_segment(place, segment)
    hasher = BlockHasher(start)
    digests: tuple[BlockDigest, ...] = ()
    try:
        with page_cache_as_found(descriptor, start, min(end, start + CALL_BYTES)):
            for chunk in read_chunks(descriptor, start, end):
                hasher.feed(chunk)
                if hasher.position - start >= CALL_BYTES and len(digests := hasher.taken()) > 1:
                    return Hashes(digests[:-1], time.thread_time() - begun)
    finally:
        os.close(descriptor)
    return Hashes(hasher.taken() if hasher.position == end else (), time.thread_time() - begun)


def glances_at(paths: Sequence[str]) -> list[Glance]:
    """What `stat` says of each file."""
    return [glance(Place(path)) for path in paths]


def lines_around(descriptor: int, start: int, end: int, judged: int) -> tuple[int, int]:
    """The range extended to whole lines: where it begins and ends may not be the ends of lines any more.

    Raises:
        Unreadable: io_error, with the offset.
    """
    before = find_newline_before(descriptor, start) if start else None
    after = find_newline(descriptor, max(0, end - 1), judged)
    return 0 if before is None else before + 1, judged if after is None else after + 1
