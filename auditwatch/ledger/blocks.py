"""What is remembered of a segment's bytes, block by block: every byte that was judged has its part in one digest."""

from __future__ import annotations

from dataclasses import replace

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Segment
from auditwatch.trail.grid import BlockDigest


def hashed_until(segment: Segment) -> int:
    """Every byte before this offset has its part in a digest."""
    last = last_block(segment)
    return last.end if last else 0


def last_block(segment: Segment) -> BlockDigest | None:
    """The last block of which anything is remembered."""
    return segment.open_block or (segment.sealed[-1] if segment.sealed else None)


def blocks_of(segment: Segment) -> tuple[BlockDigest, ...]:
    """What can be hashed again as it lies there: pieces of a compressed segment's file, else blocks of its lines."""
    return segment.archive if segment.packed else line_blocks(segment)


def line_blocks(segment: Segment) -> tuple[BlockDigest, ...]:
    """The blocks of its lines; of a compressed segment, those of its content."""
    return (*segment.sealed, segment.open_block) if segment.open_block else segment.sealed


def remembering(segment: Segment, digests: tuple[BlockDigest, ...]) -> Segment:
    """The segment with the digests of newly judged bytes.

    They continue the last block, or begin where it ends. A digest is never replaced by one of the same bytes, and bytes
    that nobody hashed leave no gap: what follows them is learned when the segment is hashed again.
    """
    if not digests or digests[-1].end <= hashed_until(segment):
        return segment
    known = blocks_before(segment, digests[0].start)
    if (known[-1].end if known else 0) != digests[0].start:
        return segment
    *ended, last = digests
    if ended or len(known) != len(segment.sealed):
        segment = replace(segment, sealed=(*known, *ended))
    return replace(segment, open_block=last)


def blocks_before(segment: Segment, start: int) -> tuple[BlockDigest, ...]:
    """The blocks of lines that begin before an offset; those after it are at most the last two."""
    if segment.open_block and segment.open_block.start < start:
        return (*segment.sealed, segment.open_block)
    sealed = segment.sealed
    return sealed[:-1] if sealed and sealed[-1].start >= start else sealed


def closing(segment: Segment) -> Segment:
    """The segment with its last block as it is: what is judged from now on begins another digest."""
    if segment.open_block is None:
        return segment
    return replace(segment, sealed=(*segment.sealed, segment.open_block), open_block=None)


def forgetting(segment: Segment) -> Segment:
    """The segment without any digest, because other bytes are there now."""
    return replace(segment, sealed=(), open_block=None, archive=(), proved=0.0)


def same_archive(segment: Segment, sight: FileSight) -> tuple[BlockDigest, ...]:
    """What is remembered of a compressed file, if this is the same file."""
    is_same = (segment.device, segment.inode, segment.packed) == (sight.device, sight.inode, sight.packed)
    return segment.archive if is_same else ()


def with_digest(segment: Segment, old: BlockDigest, new: BlockDigest) -> Segment:
    """The segment with another digest for a block that is remembered; the same if it is not."""
    if old == segment.open_block:
        return replace(segment, open_block=new)
    if old in segment.sealed:
        return replace(segment, sealed=tuple(new if known == old else known for known in segment.sealed))
    if old in segment.archive:
        return replace(segment, archive=tuple(new if known == old else known for known in segment.archive))
    return segment
