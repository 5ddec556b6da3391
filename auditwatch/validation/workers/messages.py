"""The messages that a pool and its workers exchange over a socket pair.

A message is its length in four bytes, little endian, followed by MessagePack. The descriptor to read is sent along with
the length of the request.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.ranges import Hashed

LENGTH: Final = struct.Struct("<I")


class RangeRequest(msgspec.Struct, frozen=True, tag=True):
    """Judge these bytes of the descriptor that is sent along.

    Attributes:
        recorded: Digest of these bytes when they were judged before; empty if they were not.
        before: What is remembered of the bytes before them, if digests of blocks are wanted.
    """

    start: int
    end: int
    rules: Rules
    final: bool
    hashed: bool
    recorded: bytes = b""
    before: Hashed | None = None


class ArchiveRequest(msgspec.Struct, frozen=True, tag=True):
    """Read the compressed file whose descriptor is sent along: `auditwatch.validation.ranges.judge_archive`."""

    start: int
    end: int
    rules: Rules
    spans: tuple[tuple[int, int], ...]
    final: bool
    before: Hashed | None = None


class PrintRequest(msgspec.Struct, frozen=True, tag=True):
    """Hash these bytes of the descriptor that is sent along."""

    offset: int
    length: int


class RangeAnswer(msgspec.Struct, frozen=True):
    """What the worker found, or why it could not read the range.

    Attributes:
        report: The report, with places counted from the start of the range.
        digest: BLAKE3-256 of the range up to its last newline, or of all that was to be hashed; empty if not asked for.
        cpu_seconds: CPU time since the last answer, or since the process began.
        max_resident_bytes: The most memory that the process ever held.
        trouble: Why the range could not be read; None if it was.
        marks: Running count of lines at the end of each piece of the range; empty if no digest was asked for.
        size: Bytes of the content of a compressed file.
        prints: Of the spans of that content.
        is_cut: Whether that content could not be read to its end.
        blocks: Digests of the blocks that the judged bytes belong to.
        distinct: How many different lines end in its first bytes.
        edges: The first and the last of the judged bytes.
    """

    report: Report
    digest: bytes
    cpu_seconds: float
    max_resident_bytes: int
    trouble: Trouble | None = None
    marks: tuple[int, ...] = ()
    size: int = 0
    prints: tuple[bytes, ...] = ()
    is_cut: bool = False
    blocks: tuple[BlockDigest, ...] = ()
    distinct: int = 0
    edges: tuple[bytes, bytes] = (b"", b"")


AnyRequest = RangeRequest | ArchiveRequest | PrintRequest

encode_request = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(AnyRequest).decode
encode_answer = msgspec.msgpack.Encoder().encode
decode_answer = msgspec.msgpack.Decoder(RangeAnswer).decode


def framed(body: bytes) -> bytes:
    """The message with its length in front."""
    return LENGTH.pack(len(body)) + body
