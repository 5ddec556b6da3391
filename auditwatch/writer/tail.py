"""What is at the end of a file while no other process writes it: a torn tail, or the last line.

Memory stays constant, however long lines and tails are.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from auditwatch.trail.own import Recovered

LONGEST_READ_BYTES: Final = 64 * 1024
FIRST_READ_BYTES: Final = 4096
"""Where to look first: most lines end in it, and reading it takes a tenth of the time of a whole chunk."""


def torn_tail(descriptor: int, size: int) -> Recovered | None:
    """The bytes after the last newline of the first `size` bytes; None if there are none.

    Raises:
        OSError: If the file cannot be read.
    """
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return None
    start = line_start(descriptor, size)
    return Recovered(start, size - start, _sha256(descriptor, start, size))


def last_line_sha256(descriptor: int, end: int) -> str | None:
    """Hash, as 64 hex digits, of the line that the last newline before `end` ends; None if there is none.

    Raises:
        OSError: If the file cannot be read.
    """
    after = line_start(descriptor, end)
    if after == 0:
        return None
    return _sha256(descriptor, line_start(descriptor, after - 1), after - 1)


def line_start(descriptor: int, end: int) -> int:
    """The offset after the last newline of the first `end` bytes; 0 if there is none."""
    size = FIRST_READ_BYTES
    while end > 0:
        begin = max(0, end - size)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end, size = begin, LONGEST_READ_BYTES
    return 0


def _sha256(descriptor: int, start: int, end: int) -> str:
    digest = hashlib.sha256()
    for offset in range(start, end, LONGEST_READ_BYTES):
        digest.update(os.pread(descriptor, min(LONGEST_READ_BYTES, end - offset), offset))
    return digest.hexdigest()
