"""What a pool and its workers say to each other over a socket pair.

A message is its length in four bytes, little endian, and MessagePack. The descriptor to read travels with the length
of the request.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.verdict import Trouble

LENGTH: Final = struct.Struct("<I")


class RangeRequest(msgspec.Struct, frozen=True):
    """Judge these bytes of the descriptor that comes along.

    Attributes:
        recorded: Their digest when they were judged before; empty if they were not.
    """

    start: int
    end: int
    rules: Rules
    final: bool
    hashed: bool
    recorded: bytes = b""


class RangeAnswer(msgspec.Struct, frozen=True):
    """What the worker found, or why it could not look.

    Attributes:
        report: With places counted from the start of the range.
        digest: BLAKE3-256 of the range up to its last newline; empty if not asked for.
        cpu_seconds: Spent since the last answer, or since the process began.
        max_resident_bytes: The most memory the process ever held.
        trouble: Why it could not look, if it could not.
        marks: How many lines end in each piece of the range and before it; empty where nobody hashed.
    """

    report: Report
    digest: bytes
    cpu_seconds: float
    max_resident_bytes: int
    trouble: Trouble | None = None
    marks: tuple[int, ...] = ()


encode_request = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(RangeRequest).decode
encode_answer = msgspec.msgpack.Encoder().encode
decode_answer = msgspec.msgpack.Decoder(RangeAnswer).decode


def framed(body: bytes) -> bytes:
    """The message with its length before it."""
    return LENGTH.pack(len(body)) + body
