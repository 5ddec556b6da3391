"""The closed segments of a trail, as far as a writer needs them: the last one, and where its chain ended.

If the newest segment cannot be read (compressed with zstd, no permission), there is nothing to continue from: a new
chain begins, which the agent reports as `chain_restarted`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from auditwatch.trail.names import segment_order
from auditwatch.writer.durability import Descriptor
from auditwatch.writer.failures import is_from_handler
from auditwatch.writer.tail import last_line_sha256

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CHUNK_BYTES: Final = 1 << 20
_SHORTAGES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}

_SeqIn = Callable[[int, int], int | None]


class Before(NamedTuple):
    """What comes before the active file.

    Attributes:
        segment: Name of the last closed segment that has a line; None if there is none.
        last_sha256: Hash of its last line, as 64 hex digits.
        seq: The last number in this or an older segment.
    """

    segment: str | None = None
    last_sha256: str | None = None
    seq: int | None = None


def last(path: str) -> Before:
    """The segment before the active file, without looking for numbers.

    Raises:
        OSError: If this process has no descriptors or memory left to look; the other functions here raise it too.
    """
    return next(_found(path), Before())


def tip(path: str, seq_in: _SeqIn) -> Before:
    """The segment before the active file, and the last number that was given out in any of them.

    Args:
        path: The trail.
        seq_in: Finds the last number in a file, from its descriptor and its size.
    """
    found = list(_found_to_a_number(path, seq_in))
    if not found:
        return Before()
    return Before(found[0].segment, found[0].last_sha256, found[-1].seq)


def names(path: str) -> list[str]:
    """The names of the closed segments of a trail, newest first."""
    directory, active = os.path.split(os.path.realpath(path))
    ordered = {name: order for name in _listed(directory) if (order := segment_order(active, name)) is not None}
    ordered.pop(active, None)
    return sorted(ordered, key=ordered.__getitem__, reverse=True)


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError as error:
        _raise_if_short(error)
        return []


def _raise_if_short(error: OSError) -> None:
    """A process that is short of something does not know that the segment is bad: no reason to begin a new chain.

    Nor does one that a signal handler interrupted.
    """
    if is_from_handler(error) or error.errno in _SHORTAGES:
        raise error


def _found_to_a_number(path: str, seq_in: _SeqIn) -> Iterator[Before]:
    for before in _found(path, seq_in):
        yield before
        if before.seq is not None:
            return


def _found(path: str, seq_in: _SeqIn = lambda _descriptor, _size: None) -> Iterator[Before]:
    """The readable closed segments that have a line, newest first."""
    directory = os.path.dirname(os.path.realpath(path))
    for name in names(path):
        try:
            file = _opened(directory, name)
            size = os.fstat(file.number).st_size
            sha256 = last_line_sha256(file.number, size)
            seq = seq_in(file.number, size)
        except ImportError as error:
            raise OSError(errno.EMFILE, "what unpacks the previous segment cannot be loaded") from error
        except OSError as error:
            _raise_if_short(error)
            return  # an older segment must not be taken for the last one
        if sha256 is not None:
            yield Before(name, sha256, seq)


def _opened(directory: str, name: str) -> Descriptor:
    file = Descriptor(os.open(os.path.join(directory, name), _FLAGS))
    if not stat.S_ISREG(os.fstat(file.number).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if name.endswith(".zst"):
        raise OSError(errno.ENOTSUP, "the writer cannot read zstd")
    return _unpacked(directory, file) if name.endswith(".gz") else file


def _unpacked(directory: str, packed: Descriptor) -> Descriptor:
    """The plain bytes, in a file without a name that vanishes with its descriptor."""
    import gzip  # noqa: PLC0415  only if the previous segment is compressed
    import zlib  # noqa: PLC0415  as above

    plain = Descriptor(os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        with os.fdopen(os.dup(packed.number), "rb") as file, gzip.open(file) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                while chunk:
                    chunk = chunk[os.write(plain.number, chunk) :]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(errno.EINVAL, "the segment is damaged") from error
    return plain
