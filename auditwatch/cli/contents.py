"""The bytes of damaged lines, on request: read from the trail, and shown only if they are still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from auditwatch.errors import Unreadable
from auditwatch.files.archives import compression_of, unpacked
from auditwatch.files.opening import opened
from auditwatch.ledger.damage import Finding
from auditwatch.ledger.segment import Segment
from auditwatch.trail.names import printable
from auditwatch.web.snapshot import Snapshot
from auditwatch.web.wording import visible

_LONGEST_SHOWN: Final = 64 << 10
"""Longer lines are not printed: they would flood the terminal."""


def with_contents(snapshot: Snapshot, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows, each with `content`: the line with control characters escaped, or why it cannot be shown."""
    places = {(visible(segment.name), found.id): (path, found) for path, segment, found in _findings(snapshot)}
    for row in rows:
        yield {**row, "content": _content(*places[row["segment"], row["id"]])}


def _findings(snapshot: Snapshot) -> Iterator[tuple[str, Segment, Finding]]:
    for trail in snapshot.trails:
        for segment in trail.state.segments:
            path = os.path.join(segment.directory or os.path.dirname(trail.path), segment.name)
            yield from ((path, segment, finding) for finding in segment.findings)


def _content(path: str, finding: Finding) -> str:
    if finding.length > _LONGEST_SHOWN:
        return f"({finding.length:,} bytes: too long to show)"
    try:
        line = _line(path, finding.offset, finding.length)
    except (OSError, Unreadable) as error:
        return f"({error})"
    if hashlib.sha256(line).hexdigest() != finding.sha256:
        return "(different bytes are there now)"
    return shown(line)


def _line(path: str, offset: int, length: int) -> bytes:
    with opened(path, follow_symlink=True) as descriptor:  # the hash decides what is shown
        if compression_of(descriptor) is None:
            return os.pread(descriptor, length, offset)
        return _unpacked_line(descriptor, offset, length)


def _unpacked_line(descriptor: int, offset: int, length: int) -> bytes:
    """As much as possible of it from a compressed file."""
    line, position = b"", 0
    for chunk in unpacked(descriptor):
        line += chunk[max(0, offset - position) : max(0, offset + length - position)]
        position += len(chunk)
        if len(line) == length:
            break
    return line


def shown(line: bytes) -> str:
    r"""A line made safe for a terminal.

    >>> print(shown(b'{"a": "\x1b[2J\xff\0'))
    {"a": "\x1b[2J\xff\x00
    """
    return printable(line.decode("utf-8", "surrogateescape"))
