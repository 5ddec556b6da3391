"""The torn tail of somebody else: bytes behind the last newline of a file that nobody else is writing now."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from auditwatch.trail.own import Recovered

_CHUNK_BYTES: Final = 64 * 1024


def torn_tail(descriptor: int, size: int) -> Recovered | None:
    """The bytes behind the last newline of the first `size` bytes; None where there are none.

    Memory stays constant whatever the length of the tail.

    Raises:
        OSError: If the file cannot be read.
    """
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return None
    start = _start(descriptor, size)
    return Recovered(start, size - start, _sha256(descriptor, start, size))


def _start(descriptor: int, size: int) -> int:
    end = size
    while end > 0:
        begin = max(0, end - _CHUNK_BYTES)
        newline = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _sha256(descriptor: int, start: int, end: int) -> str:
    digest = hashlib.sha256()
    for offset in range(start, end, _CHUNK_BYTES):
        digest.update(os.pread(descriptor, min(_CHUNK_BYTES, end - offset), offset))
    return digest.hexdigest()
