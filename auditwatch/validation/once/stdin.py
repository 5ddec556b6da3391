"""Judge a stream that ends, such as standard input: whoever ends it ends its last line."""

from __future__ import annotations

import os
from dataclasses import dataclass

from auditwatch.errors import Unreadable
from auditwatch.files.reading import CHUNK_BYTES
from auditwatch.trail.grid import GridDigest
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream held.

    Attributes:
        report: Over all of it.
        digest: As of a file with these bytes, if asked for.
    """

    report: Report
    digest: str | None


def validate_stream(descriptor: int, rules: Rules, *, hashed: bool = False) -> Stream:
    """Judge everything until the end of the stream; bytes behind the last newline are a torn line.

    Raises:
        Unreadable: If it cannot be read.
    """
    scan, digest = Scan(rules), GridDigest()
    while chunk := _read(descriptor):
        scan.feed(chunk)
        if hashed:
            digest.feed(chunk)
    return Stream(scan.finish(final=True), digest.digest() if hashed else None)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except OSError as error:
        raise Unreadable("io_error", f"standard input: {error.strerror}") from error
