"""Bounded reads of an open trail. Nothing is mapped: truncating a mapped file kills the process.

Callers see holes as ordinary NUL bytes, but holes are not read: the kernel would fill the page cache with zeros at
0.4 GB/s. Finding them moves the descriptor's position, which is not used.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from blake3 import blake3

from auditwatch.errors import Unreadable

CHUNK_BYTES: Final = 1 << 18
"""Bytes per read: larger reads are not faster, and a million empty lines in one of them would cost 100 MB."""

Progress = Callable[[int, int], None]
"""Called with the number of bytes that are done, and the number of all bytes."""

_PROBE_BYTES: Final = 1 << 18
"""Distance between probes of the page cache; longer than the usual read-ahead (128 KiB)."""

_MOST_PROBES: Final = 256

_FIRST_LOOK_BYTES: Final = 1 << 14
"""A newline is usually no further away than this."""

_STAT_BLOCK_BYTES: Final = 512
_ZEROS: Final = bytes(CHUNK_BYTES)


def read_chunks(descriptor: int, start: int, end: int, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The bytes from `start` to `end`, piece by piece; fewer if the file now ends before that.

    Raises:
        Unreadable: io_error, with the offset.
    """
    read = _read_around_holes if _is_sparse(descriptor) else _read
    while start < end and (chunk := read(descriptor, min(size, end - start), start)):
        yield chunk
        start += len(chunk)


def reader(descriptor: int) -> Callable[[int, int], bytes]:
    """A function that reads up to so many bytes from an offset; it raises Unreadable (io_error) like the others."""
    return lambda offset, length: b"".join(read_chunks(descriptor, offset, offset + length))


def find_newline(descriptor: int, offset: int, end: int | None = None) -> int | None:
    """The offset of the first newline at or after `offset` and before `end` (by default, the end of the file).

    Raises:
        Unreadable: io_error, with the offset.
    """
    end = os.fstat(descriptor).st_size if end is None else end
    sparse, size = _is_sparse(descriptor), _FIRST_LOOK_BYTES
    while offset < end:
        offset = _next_data(descriptor, offset, end) if sparse else offset
        chunk = _read(descriptor, min(size, end - offset), offset)
        index = chunk.find(b"\n")
        if index >= 0:
            return offset + index
        if not chunk:
            return None
        offset, size = offset + len(chunk), CHUNK_BYTES
    return None


def find_newline_before(descriptor: int, offset: int, begin: int = 0) -> int | None:
    """The offset of the last newline before `offset`, at or after `begin`.

    Raises:
        Unreadable: io_error, with the offset.
    """
    sparse, size = _is_sparse(descriptor), _FIRST_LOOK_BYTES
    while offset > begin:
        start = max(begin, offset - size)
        if sparse and _next_data(descriptor, start, offset) == offset:
            offset, size = start, 2 * size  # a hole: look further back in the next step
        elif size > CHUNK_BYTES:
            size = CHUNK_BYTES
        else:
            index = _read_whole(descriptor, start, offset).rfind(b"\n")
            if index >= 0:
                return start + index
            offset, size = start, CHUNK_BYTES
    return None


def fingerprint(descriptor: int, offset: int, length: int) -> bytes:
    """BLAKE3-256 of these bytes, or of those that the file still has.

    Raises:
        Unreadable: io_error, with the offset.
    """
    hasher = blake3()
    for chunk in read_chunks(descriptor, offset, offset + length):
        hasher.update(chunk)
    return hasher.digest()


@contextmanager
def page_cache_as_found(descriptor: int, start: int, end: int) -> Iterator[None]:
    """Within this context, read these bytes; parts that seem not to have been in the page cache are dropped from it.

    Other programs use the same file: what they have just written or read stays in the cache.
    """
    absent = _not_cached(descriptor, start, end)
    try:
        yield
    finally:
        for part_start, part_end in absent:
            _drop_cached(descriptor, part_start, part_end)


def _not_cached(descriptor: int, start: int, end: int) -> list[tuple[int, int]]:
    """Start and end of the parts whose first page is not in the page cache; adjacent parts are joined."""
    step = max(_PROBE_BYTES, (end - start) // _MOST_PROBES)
    parts: list[tuple[int, int]] = []
    for offset in range(start, end, step):
        if _is_page_cached(descriptor, offset):
            continue
        begun = parts.pop()[0] if parts and parts[-1][1] == offset else offset
        parts.append((begun, min(offset + step, end)))
    return parts


def _drop_cached(descriptor: int, start: int, end: int) -> None:
    try:
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
    except OSError:
        return  # only advice: no harm is done if it is not taken


def _is_page_cached(descriptor: int, offset: int) -> bool:
    try:
        return os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT) >= 0
    except OSError:  # EAGAIN: it would have to be read; EOPNOTSUPP: it is unknown
        return False


def _read_whole(descriptor: int, start: int, end: int) -> bytes:
    return b"".join(read_chunks(descriptor, start, end))


def _is_sparse(descriptor: int) -> bool:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False  # the read will say what is wrong
    return status.st_blocks * _STAT_BLOCK_BYTES < status.st_size


def _next_data(descriptor: int, offset: int, end: int) -> int:
    """The offset of the first byte at or after `offset` that is not in a hole; `end` if there is none before it."""
    try:
        return min(end, os.lseek(descriptor, offset, os.SEEK_DATA))
    except OSError as error:
        return end if error.errno == errno.ENXIO else offset  # a hole up to the end; or it is unknown


def _read_around_holes(descriptor: int, size: int, offset: int) -> bytes:
    end = offset + size
    if _next_data(descriptor, offset, end) < end or end > os.fstat(descriptor).st_size:
        return _read(descriptor, size, offset)
    return _ZEROS if size == CHUNK_BYTES else bytes(size)


def _read(descriptor: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        raise Unreadable("io_error", f"reading {size} bytes at offset {offset}: {error.strerror}") from error
