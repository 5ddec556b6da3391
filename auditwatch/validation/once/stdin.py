"""Judge a stream such as standard input: bytes after its last newline are pending, as they are in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from auditwatch.errors import Unreadable
from auditwatch.files.reading import CHUNK_BYTES
from auditwatch.trail.grid import GridDigest
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import scan_all


@dataclass(frozen=True, slots=True)
class Stream:
    """The verdict on a stream.

    Attributes:
        report: Report on all of it.
        digest: The digest that a file with these bytes would have, if asked for.
    """

    report: Report
    digest: str | None


def validate_stream(descriptor: int, rules: Rules, *, final: bool = False, hashed: bool = False) -> Stream:
    """Judge everything until the end of the stream; if it is `final`, bytes after the last newline are a torn line.

    Raises:
        Unreadable: The stream cannot be read.
    """
    digest = GridDigest() if hashed else None
    report = scan_all(_chunks(descriptor, digest), rules, final=final)
    return Stream(report, digest.digest() if digest else None)


def _chunks(descriptor: int, digest: GridDigest | None) -> Iterator[bytes]:
    while chunk := _read(descriptor):
        if digest is not None:
            digest.feed(chunk)
        yield chunk


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except OSError as error:
        raise Unreadable("io_error", f"standard input: {error.strerror}") from error
