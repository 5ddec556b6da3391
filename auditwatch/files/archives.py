"""Compressed segments as streams of bytes, in bounded memory; a cut one is an error, never a shorter trail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import BinaryIO, Final, Protocol, cast

from auditwatch.errors import Unreadable
from auditwatch.files.opening import opened
from auditwatch.files.reading import CHUNK_BYTES
from auditwatch.trail.names import COMPRESSED

_DAMAGED: Final = "the compressed data is damaged or cut off; use another copy"

_XZ_MEMORY_BYTES: Final = 256 << 20
"""Most memory that reading an .xz file may take; `xz -9` asks for 65 MiB (xz(1))."""

_MAGIC: Final = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\x00": "xz", b"BZh": "bz2"}
"""How compressed files begin: RFC 1952, RFC 8878, the .xz format and bzip2. No JSON text begins so."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


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


def read_archive(path: str) -> Iterator[bytes]:
    """The contents of a compressed file, piece by piece.

    Raises:
        Unreadable: As `opened`; io_error if its data is damaged or cut off; unsupported without the library.
    """
    with opened(path) as descriptor:
        yield from unpacked(descriptor)


def unpacked(descriptor: int) -> Iterator[bytes]:
    """The content of an open compressed file from its start, piece by piece.

    Args:
        descriptor: Stays the caller's; its position moves.

    Raises:
        Unreadable: io_error if it is not compressed, or its data is damaged or cut off; unsupported without
            the library.
    """
    compression = compression_of(descriptor)
    if compression is None:
        raise Unreadable("io_error", "not a compressed file, or cut off at its start; use another copy")
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
    while piece := file.read(CHUNK_BYTES):
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
        raise Unreadable("io_error", _DAMAGED) from error


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
