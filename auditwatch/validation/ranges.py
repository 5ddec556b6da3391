"""Judge a range of an open file: the one place where bytes from a file meet the scan."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Final

from auditwatch.files.reading import (
    CHUNK_BYTES,
    find_newline_before,
    fingerprint,
    page_cache_as_found,
    read_chunks,
)
from auditwatch.trail.grid import RangeDigest
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan

_READ_BYTES: Final = 1 << 16
"""Bytes of a read: as many as are judged at once, and few enough that memory need not be asked for again each time."""


@dataclass(frozen=True, slots=True)
class JudgedRange:
    """What a range of bytes is.

    Attributes:
        report: With places counted from the start of the range.
        digest: BLAKE3-256 of the range up to its last newline; empty if not asked for.
        marks: How many lines end in each piece of `CHUNK_BYTES` and before it; empty where nobody hashed.
    """

    report: Report
    digest: bytes
    marks: tuple[int, ...] = ()


def judge_range(
    descriptor: int,
    start: int,
    end: int,
    rules: Rules,
    *,
    final: bool = False,
    hashed: bool = True,
    recorded: bytes = b"",
) -> JudgedRange:
    """Judge the bytes from `start` to `end`, and let the page cache forget those that were not in it before.

    Pending bytes are counted and not looked at.

    Args:
        descriptor: Open for reading; its position is not used.
        start: First byte of a line.
        end: May lie beyond the end of the file.
        rules: What decides.
        final: Whether bytes behind the last newline are a torn line.
        hashed: Whether the digest is asked for.
        recorded: Where all bytes have this digest, that is all the answer says: their report is known.

    Raises:
        Unreadable: io_error, with the offset.
    """
    with page_cache_as_found(descriptor, start, end):
        if recorded and fingerprint(descriptor, start, end - start) == recorded:
            return JudgedRange(Report(), recorded)
        return _judged(descriptor, start, end, rules, final=final, hashed=hashed or bool(recorded))


def count_lines(descriptor: int, start: int, end: int) -> int:
    """How many lines end in a range; the page cache forgets what was not in it before.

    Raises:
        Unreadable: io_error, with the offset.
    """
    with page_cache_as_found(descriptor, start, end):
        return sum(chunk.count(b"\n") for chunk in read_chunks(descriptor, start, end))


def _judged(descriptor: int, start: int, end: int, rules: Rules, *, final: bool, hashed: bool) -> JudgedRange:
    scan, digest = Scan(rules), RangeDigest()
    lines_end, pending = (end, 0) if final else _lines_end(descriptor, start, end)
    marks: list[int] = []
    done = 0
    for chunk in read_chunks(descriptor, start, lines_end, _READ_BYTES):
        scan.feed(chunk)
        if hashed:
            digest.feed(chunk)
            marks[done // CHUNK_BYTES :] = [scan.lines]
        done += len(chunk)
    report = scan.finish(final)
    report = replace(report, pending_bytes=report.pending_bytes + pending)
    return JudgedRange(report, digest.digest() if hashed else b"", tuple(marks))


def _lines_end(descriptor: int, start: int, end: int) -> tuple[int, int]:
    """Just behind the last newline of a range, and how many bytes it has behind that."""
    end = max(start, min(end, os.fstat(descriptor).st_size))
    newline = find_newline_before(descriptor, end, start)
    lines_end = start if newline is None else newline + 1
    return lines_end, end - lines_end
