"""The stamp at the end of a line: its number in the trail and the hash of the line before it.

A stamped line ends in `"_seq":N,"_prev":"<64 hex>"}`, as the last two members and without blanks. The number
is 1 for the first stamped line of a trail. The hash is SHA-256 over the bytes between the two newlines before
the line, or 64 zeros if there is no line before it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

NOTHING_BEFORE: Final = "0" * 64
"""`_prev` of a line that has no line before it."""

STAMP: Final = rb'[{,]"_seq":([1-9][0-9]{0,18}),"_prev":"([0-9a-f]{64})"\}\r?'
"""The end of a stamped line, as a regular expression; its groups are the number and the hash."""

LONGEST_STAMP: Final = len('{"_seq":') + 19 + len(',"_prev":"') + 64 + len('"}\r')
"""The most bytes that `STAMP` can match."""

_AT_END: Final = re.compile(STAMP + rb"\Z")


class Stamp(NamedTuple):
    """What a stamped line says about its place in the trail.

    Attributes:
        seq: Number of the line, from 1.
        prev: 64 hex digits over the line before it.
    """

    seq: int
    prev: str


def parse_stamp(line: bytes) -> Stamp | None:
    """The stamp of a line given without its newline, or None if it has none.

    Only the end of the line is looked at, so the cost does not grow with its length. Whether the line is whole is for
    the judge to say. In a whole line these bytes can only be its last members, because a string cannot contain
    unescaped quotes.

    >>> parse_stamp(b'{"event":"X","_seq":7,"_prev":"' + b"0" * 64 + b'"}').seq
    7
    >>> parse_stamp(b'{"event":"X"}') is None
    True
    """
    match = _AT_END.search(line, max(0, len(line) - LONGEST_STAMP))
    return Stamp(int(match[1]), match[2].decode()) if match else None


def format_stamp(stamp: Stamp) -> bytes:
    """The members and the brace that end a stamped line.

    >>> format_stamp(Stamp(1, "ab" * 32))[:18]
    b'"_seq":1,"_prev":"'
    """
    return b'"_seq":%d,"_prev":"%b"}' % (stamp.seq, stamp.prev.encode())
