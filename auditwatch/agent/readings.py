"""What a prober reads of a trail: the answers to reads that the ledger asks for."""

from __future__ import annotations

import os
from typing import Final

from auditwatch.agent.held import Held
from auditwatch.agent.place import Place, open_known, print_of
from auditwatch.errors import Unreadable
from auditwatch.files.reading import find_newline, read_chunks, reader
from auditwatch.host.clock import Clock
from auditwatch.ledger.blocks import hashed_until
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Judged
from auditwatch.ledger.identity import FINGERPRINT_BYTES
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.trail.grid import BlockDigest, BlockHasher
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import scan_all
from auditwatch.trail.sketch import extended
from auditwatch.validation.ranges import JudgedArchive, JudgedRange, Span, rebuilt

SMALL_READ_BYTES: Final = 1 << 20
"""Reads up to this size are judged where they are read; larger ones go to a worker process."""


def archive_spans(judged: int) -> tuple[Span, Span]:
    """Where head and marker of a compressed segment are when this much of its content is judged."""
    length = min(FINGERPRINT_BYTES, judged)
    return (0, length), (judged - length, length)


def archive_verdict(segment: Segment, read: Read, found: JudgedArchive, rules: Rules, clock: Clock) -> Judged:
    """The answer to a read of a compressed segment.

    A read that stops before the anchor stops where lines were judged before, by other rules: the anchor holds for it.

    The prints are those of the spans of what is judged now, if that is more than the anchor covers.

    Raises:
        Unreadable: changed, if the file does not hold what it held when it was looked at.
    """
    if (found.size, found.is_cut) != (segment.size, segment.is_cut):
        raise Unreadable("changed", f"{segment.name}: the compressed file was changed while it was read")
    judged = read.start + found.report.bytes
    head, marker = segment.anchor.head, segment.anchor.marker
    if judged == segment.size or judged > segment.anchor.position:
        length = min(FINGERPRINT_BYTES, judged)
        head, marker = (Fingerprint(length, digest.hex()) for digest in found.prints)
    return Judged(
        at=clock(),
        segment=read.segment,
        start=read.start,
        read=judged + found.report.pending_bytes,
        rules_id=rules.reports_id,
        report=found.report,
        head=head,
        marker=marker,
        digests=found.blocks,
    )


def read_small(
    place: Place, segment: Segment, read: Read, rules: Rules, clock: Clock, held: Held, hasher: BlockHasher | None
) -> tuple[Judged, BlockHasher | None]:
    """Judge a few bytes on the spot; what is remembered of them is taken from the very bytes that were judged.

    Args:
        place: Of the trail.
        segment: Whose bytes to judge.
        read: Which of them.
        rules: What the lines are judged by.
        clock: Seconds since 1970.
        held: The descriptor that is held open.
        hasher: What hashed the bytes before them, if it is still known; it becomes the callee's.

    Returns:
        The verdict, and what hashes the bytes after them; None if earlier bytes were not hashed.

    Raises:
        Unreadable: If the file cannot be read, has been replaced, or what lies before these bytes has changed.
    """
    descriptor = open_known(place, segment, held)
    try:
        before = max(0, read.start - FINGERPRINT_BYTES)
        seen = b"".join(read_chunks(descriptor, before, read.end))
        file = OnceRead(descriptor, (before, seen))
        _check_before(segment, read, file)
        data = seen[read.start - before :]
        report = scan_all([data], rules, final=read.final)
        hasher = hasher or rebuilt(descriptor, hashed_until(segment), segment.open_block)
        digests = _digests(hasher, read.start, data[: report.bytes])
        return conclude(file, segment, read, report, rules, clock, digests), hasher if digests else None
    finally:
        os.close(descriptor)


def check_large(descriptor: int, segment: Segment, read: Read) -> None:
    """Before a worker judges bytes: what was judged before them still lies there.

    Raises:
        Unreadable: changed.
    """
    _check_before(segment, read, OnceRead(descriptor))


def conclude_large(
    descriptor: int, segment: Segment, read: Read, found: JudgedRange, rules: Rules, clock: Clock
) -> Judged:
    """The answer to a read that a worker judged; head and marker are of the very bytes that it saw."""
    first, last = found.edges
    end = read.start + found.report.bytes
    file = OnceRead(descriptor, (read.start, first), (end - len(last), last))
    return conclude(file, segment, read, found.report, rules, clock, found.blocks)


class OnceRead:
    """An open file, with some of its bytes as they were read once; others are read when they are asked for.

    Attributes:
        descriptor: Of the file; stays the caller's.
    """

    def __init__(self, descriptor: int, *pieces: tuple[int, bytes]) -> None:
        self.descriptor = descriptor
        self._pieces = pieces
        self._elsewhere = reader(descriptor)

    def __call__(self, offset: int, length: int) -> bytes:
        """Up to so many bytes from an offset; fewer at the end of the file."""
        for start, data in self._pieces:
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        return self._elsewhere(offset, length)


def _check_before(segment: Segment, read: Read, file: OnceRead) -> None:
    """What was judged lies where it was judged, or the file was changed since the look.

    Raises:
        Unreadable: changed.
    """
    marker, position = segment.anchor.marker, segment.anchor.position
    if not marker.length or read.start != position:
        return
    if print_of(file, position - marker.length, marker.length) != marker:
        raise Unreadable("changed", f"{segment.name}: changed since it was looked at")


def _digests(hasher: BlockHasher, start: int, judged: bytes) -> tuple[BlockDigest, ...]:
    """Of the blocks that these bytes belong to; none if bytes before them were not hashed."""
    if start > hasher.position:
        return ()
    hasher.feed(judged[hasher.position - start :])
    return hasher.taken()


def conclude(
    file: OnceRead,
    segment: Segment,
    read: Read,
    report: Report,
    rules: Rules,
    clock: Clock,
    digests: tuple[BlockDigest, ...] = (),
) -> Judged:
    """The answer to a read, with the fingerprints of the new position."""
    judged = read.start + report.bytes
    length = min(FINGERPRINT_BYTES, judged)
    head, known = segment.anchor.head, segment.anchor.position
    return Judged(
        at=clock(),
        segment=read.segment,
        start=read.start,
        read=judged + report.pending_bytes,
        rules_id=rules.reports_id,
        report=report,
        head=head if head.length == length <= read.start else print_of(file, 0, length),
        marker=print_of(file, judged - length, length),
        sketch=extended(segment.sketch, file, known, judged) if judged > known else None,
        digests=digests,
        size=os.fstat(file.descriptor).st_size,
    )


def ends_no_line(descriptor: int, read: Read) -> bool:
    """Whether nothing since the last read ends the line that is pending."""
    return not read.final and find_newline(descriptor, read.resume, read.end) is None
