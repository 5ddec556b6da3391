"""When a file was born: it tells a file from a later one that was given the same inode number."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from functools import cache
from typing import Final

_AT_EMPTY_PATH: Final = 0x1000
_STATX_BTIME: Final = 0x800
_STATX_BYTES: Final = 256
_MASK: Final = struct.Struct("=I")
_BTIME: Final = struct.Struct("=80xqI")
"""Where `struct statx` has the time of birth: statx(2)."""


FileId = tuple[int, int, int]
"""Device, inode and birth in nanoseconds, 0 if it is not known: a later file may be given the first two again."""


def file_id(descriptor: int) -> FileId:
    """Which file is open."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, born_ns(descriptor)


def is_one_file(one: FileId, other: FileId) -> bool:
    """Whether two are the same; if a birth is not known, device and inode have to do.

    >>> is_one_file((1, 2, 30), (1, 2, 40)), is_one_file((1, 2, 30), (1, 2, 0))
    (False, True)
    """
    return one[:2] == other[:2] and (one[2] == other[2] or not (one[2] and other[2]))


def born_ns(descriptor: int) -> int:
    """When the open file was born, in nanoseconds since 1970; 0 if the file system or the system does not know.

    Python has no call for it before 3.15.
    """
    call = _statx()
    if call is None:
        return 0
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if call(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
        return 0
    if not _MASK.unpack_from(buffer)[0] & _STATX_BTIME:
        return 0
    seconds, nanoseconds = _BTIME.unpack_from(buffer)
    return int(seconds * 10**9 + nanoseconds)


@cache
def _statx() -> Callable[..., int] | None:
    """The call of the C library; None where it has none."""
    if os.name != "posix":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), "statx", None)
    return found
