"""What stands at the end of a file that nobody else is writing now: a torn tail, the last line, the last stamp.

Memory stays constant whatever the length of lines and tails.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Final

from auditwatch.trail.own import Recovered

_CHUNK_BYTES: Final = 64 * 1024
# Where several stamp, each append looks here first, and most lines end in it: a tenth of the time of a whole chunk.
_FIRST_BYTES: Final = 4096

# The end of a stamped line with its newline (auditwatch.trail.stamp), and the most bytes that it can have.
_STAMPED: Final = re.compile(rb'[{,]"_seq":([1-9][0-9]{0,18}),"_prev":"[0-9a-f]{64}"\}\r?\n')
_LONGEST_STAMP: Final = 128


def torn_tail(descriptor: int, size: int) -> Recovered | None:
    """The bytes behind the last newline of the first `size` bytes; None where there are none.

    Raises:
        OSError: If the file cannot be read.
    """
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return None
    start = line_start(descriptor, size)
    return Recovered(start, size - start, _sha256(descriptor, start, size))


def last_line_sha256(descriptor: int, end: int) -> str | None:
    """64 hex digits over the line whose newline is the last before `end`, without it; None where there is none.

    Raises:
        OSError: If the file cannot be read.
    """
    behind = line_start(descriptor, end)
    if behind == 0:
        return None
    return _sha256(descriptor, line_start(descriptor, behind - 1), behind - 1)


def last_seq(descriptor: int, end: int, start: int = 0) -> int | None:
    """The number in the last stamped line that ends in `[start, end)`; None where there is none.

    Raises:
        OSError: If the file cannot be read.
    """
    size = _FIRST_BYTES
    while end > start:
        begin = max(start, end - size)
        chunk = os.pread(descriptor, end - begin, begin)
        found = _STAMPED.findall(chunk)
        if found:
            return int(found[-1])
        # The next piece overlaps, for a stamp may lie across the cut.
        end = begin + _LONGEST_STAMP if begin > start and len(chunk) > _LONGEST_STAMP else start
        size = _CHUNK_BYTES
    return None


def line_start(descriptor: int, end: int) -> int:
    """Just behind the last newline of the first `end` bytes; 0 where there is none."""
    size = _FIRST_BYTES
    while end > 0:
        begin = max(0, end - size)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end, size = begin, _CHUNK_BYTES
    return 0


def _sha256(descriptor: int, start: int, end: int) -> str:
    digest = hashlib.sha256()
    for offset in range(start, end, _CHUNK_BYTES):
        digest.update(os.pread(descriptor, min(_CHUNK_BYTES, end - offset), offset))
    return digest.hexdigest()
