"""Compressed segments as streams of bytes, in bounded memory; a cut one ends in an error, never in silence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import BinaryIO, Final, Protocol, cast

from auditwatch.errors import CutOff, Unreadable
from auditwatch.files.reading import CHUNK_BYTES
from auditwatch.trail.names import COMPRESSED

_DAMAGED: Final = "the compressed data is damaged or cut off; use another copy"

_XZ_MEMORY_BYTES: Final = 256 << 20
"""Most memory that reading an .xz file may take; `xz -9` asks for 65 MiB (xz(1))."""

_MAGIC: Final = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\x00": "xz", b"BZh": "bz2"}
"""How compressed files begin: RFC 1952, RFC 8878, the .xz format and bzip2. No JSON text begins so."""


_TEXT_BEGINS: Final = (b"{", b"[", b" ", b"\t", b"\r", b"\n", b"\xef\xbb\xbf")
"""What begins so is text, whatever its name says."""


class _Readable(Protocol):
    def read1(self, size: int, /) -> bytes: ...


def is_compressed(path: str) -> bool:
    """Whether the file is compressed, going by its name.

    >>> is_compressed("a.jsonl.1.gz"), is_compressed("a.jsonl")
    (True, False)
    """
    return path.endswith(COMPRESSED)


def compression_of(descriptor: int) -> str | None:
    """How an open file is compressed, by its first bytes; None if it is not."""
    begin = os.pread(descriptor, max(map(len, _MAGIC)), 0)
    return next((name for magic, name in _MAGIC.items() if begin.startswith(magic)), None)


def is_archive(descriptor: int, name: str) -> bool:
    """Whether an open file is to be unpacked: by its first bytes; if they say nothing, by its name.

    An empty `.gz` is one that was cut off before its first byte.
    """
    if compression_of(descriptor) is not None:
        return True
    return is_compressed(name) and not os.pread(descriptor, 3, 0).startswith(_TEXT_BEGINS)


def unpacked(descriptor: int) -> Iterator[bytes]:
    """The content of an open compressed file from its start, piece by piece.

    Args:
        descriptor: Stays the caller's; its position moves.

    Raises:
        CutOff: It is not compressed, or its data is damaged or cut off; what could be read was given before.
        Unreadable: io_error if the system cannot read it; unsupported without the library.
    """
    compression = compression_of(descriptor)
    if compression is None:
        raise CutOff("io_error", "not a compressed file, or cut off at its start; use another copy")
    pieces_of, failures = _reader(compression)
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as raw:
        pieces = pieces_of(raw)
        while chunk := _next(pieces, failures):
            yield chunk


def _reader(compression: str) -> tuple[Callable[[BinaryIO], Iterator[bytes]], tuple[type[Exception], ...]]:
    """What reads it piece by piece, and what that raises for data that cannot be read.

    Libraries are loaded when they are needed: most trails, and most workers, never meet a compressed file.
    """
    match compression:
        case "gz":
            import gzip
            import zlib

            return lambda raw: _pieces(gzip.GzipFile(fileobj=raw)), (OSError, EOFError, zlib.error)
        case "bz2":
            import bz2

            return lambda raw: _pieces(bz2.BZ2File(raw)), (OSError, EOFError)
        case "xz":
            import lzma

            return partial(_xz_pieces, lzma), (OSError, EOFError, lzma.LZMAError)
    zstd = _zstd()
    return lambda raw: _pieces(zstd.ZstdFile(raw)), (OSError, EOFError, zstd.ZstdError)


def _pieces(file: _Readable) -> Iterator[bytes]:
    """Not by `read`: where the data is cut off, that would lose the bytes that it had collected before."""
    while piece := file.read1(CHUNK_BYTES):
        yield piece


def _xz_pieces(lzma: ModuleType, raw: BinaryIO) -> Iterator[bytes]:
    """Not `lzma.LZMAFile`: that takes as much memory as the file asks for, which may be 4 GiB."""
    stream, data = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES), b""
    while True:
        if stream.eof:  # the file may hold several streams, with padding between them
            data = stream.unused_data.lstrip(b"\0") or raw.read(CHUNK_BYTES).lstrip(b"\0")
            if not data:
                return
            stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)
        elif stream.needs_input and not data:
            data = raw.read(CHUNK_BYTES)
            if not data:
                raise EOFError
        piece, data = stream.decompress(data, CHUNK_BYTES), b""
        if piece:
            yield piece


def _next(pieces: Iterator[bytes], failures: tuple[type[Exception], ...]) -> bytes:
    try:
        return next(pieces, b"")
    except failures as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the data
            raise Unreadable("io_error", f"reading compressed data: {error.strerror}") from error
        raise CutOff("io_error", _DAMAGED) from error


def _zstd() -> ModuleType:
    """A library that raises an error if data is cut off; the best-known one silently returns what there is."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14
    except ImportError:
        try:
            from backports import zstd  # an extra
        except ImportError:
            wanted = "pip install 'auditwatch[zstd]'"
            raise Unreadable("unsupported", f"reading .zst needs an extra: {wanted}") from None
    return cast("ModuleType", zstd)
