"""Bounded reads of an open trail. Nothing is mapped: a file truncated underneath a mapping kills the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from blake3 import blake3

from auditwatch.errors import Unreadable

CHUNK_BYTES: Final = 1 << 18
"""Bytes a read asks for: larger ones are no faster, and a million empty lines in one would cost 100 MB."""

_PROBE_BYTES: Final = 1 << 18
"""Distance at which the page cache is probed; longer than a usual read-ahead (128 KiB)."""

_FIRST_LOOK_BYTES: Final = 1 << 14
"""A newline is usually this near."""


def read_chunks(descriptor: int, start: int, end: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The bytes from `start` to `end`, piece by piece; fewer if the file ends earlier by now.

    Raises:
        Unreadable: io_error, with the offset.
    """
    while start < end and (chunk := _read(descriptor, min(size, end - start), start)):
        yield chunk
        start += len(chunk)


def find_newline(descriptor: int, offset: int, end: int | None = None) -> int | None:
    """The offset of the first newline at or behind `offset`, before `end` (the file's, if not given).

    Raises:
        Unreadable: io_error, with the offset.
    """
    end = os.fstat(descriptor).st_size if end is None else end
    near = min(end, offset + _FIRST_LOOK_BYTES)
    for start, stop in ((offset, near), (near, end)):
        at = start
        for chunk in read_chunks(descriptor, start, stop):
            index = chunk.find(b"\n")
            if index >= 0:
                return at + index
            at += len(chunk)
    return None


def find_newline_before(descriptor: int, offset: int) -> int | None:
    """The offset of the last newline before `offset`.

    Raises:
        Unreadable: io_error, with the offset.
    """
    size = _FIRST_LOOK_BYTES
    while offset > 0:
        start = max(0, offset - size)
        index = b"".join(read_chunks(descriptor, start, offset)).rfind(b"\n")
        if index >= 0:
            return start + index
        offset, size = start, CHUNK_BYTES
    return None


def fingerprint(descriptor: int, offset: int, length: int) -> bytes:
    """BLAKE3-256 of these bytes, or of those of them that the file still has.

    Raises:
        Unreadable: io_error, with the offset.
    """
    hasher = blake3()
    for chunk in read_chunks(descriptor, offset, offset + length):
        hasher.update(chunk)
    return hasher.digest()


def is_cached(descriptor: int, start: int, end: int) -> bool:
    """Whether these bytes seem to lie in the page cache already: whoever drops pages later drops only its own."""
    return all(_is_page_cached(descriptor, offset) for offset in range(start, end, _PROBE_BYTES))


def drop_cached(descriptor: int, start: int, end: int) -> None:
    """Let the page cache forget these bytes, where the file system takes such advice."""
    try:
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
    except OSError:
        return  # advice only: nothing is wrong if it is not taken


def _is_page_cached(descriptor: int, offset: int) -> bool:
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) >= 0
    except OSError:  # EAGAIN: it would have to be read; EOPNOTSUPP: nobody knows
        return False


def _read(descriptor: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        raise Unreadable("io_error", f"reading {size} bytes at offset {offset}: {error.strerror}") from error
