"""Compressed segments as streams of bytes, in bounded memory; what is cut off is an error, never a shorter trail."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import BinaryIO, Final, Protocol, cast

from auditwatch.errors import Unreadable
from auditwatch.files.opening import opened
from auditwatch.files.reading import CHUNK_BYTES
from auditwatch.trail.names import COMPRESSED

_DAMAGED: Final = "the compressed data are damaged or cut off; take another copy"

_XZ_MEMORY_BYTES: Final = 256 << 20
"""Most memory that reading an .xz file may take; `xz -9` asks for 65 MiB (xz(1))."""

_MAGIC: Final = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\x00": "xz", b"BZh": "bz2"}
"""How compressed files begin: RFC 1952, RFC 8878, the .xz format and bzip2. No JSON text begins so."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_compressed(path: str) -> bool:
    """Whether the name says that the file is compressed.

    >>> is_compressed("a.jsonl.1.gz"), is_compressed("a.jsonl")
    (True, False)
    """
    return path.endswith(COMPRESSED)


def compression_of(descriptor: int) -> str | None:
    """How an open file is compressed, by its first bytes; None if it is not."""
    begin = os.pread(descriptor, max(map(len, _MAGIC)), 0)
    return next((name for magic, name in _MAGIC.items() if begin.startswith(magic)), None)


def read_archive(path: str) -> Iterator[bytes]:
    """The content of a compressed file, piece by piece.

    Raises:
        Unreadable: As `opened`; io_error if its data are damaged or cut off; unsupported if a library is missing.
    """
    with opened(path) as descriptor:
        yield from unpacked(descriptor)


def unpacked(descriptor: int) -> Iterator[bytes]:
    """The content of an open compressed file from its start, piece by piece.

    Args:
        descriptor: Stays the caller's; its position moves.

    Raises:
        Unreadable: io_error if it is not compressed, or its data are damaged or cut off; unsupported if a library is
            missing.
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
    """What reads it piece by piece, and what that raises for data that cannot be read."""
    failures: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, lzma.LZMAError)
    if compression == "zst":
        zstd = _zstd()
        return lambda raw: _pieces(zstd.ZstdFile(raw)), (*failures, zstd.ZstdError)
    readers: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
        "gz": lambda raw: _pieces(gzip.GzipFile(fileobj=raw)),
        "bz2": lambda raw: _pieces(bz2.BZ2File(raw)),
        "xz": _xz_pieces,
    }
    return readers[compression], failures


def _pieces(file: _Readable) -> Iterator[bytes]:
    while piece := file.read(CHUNK_BYTES):
        yield piece


def _xz_pieces(raw: BinaryIO) -> Iterator[bytes]:
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
    """A library that raises if data are cut off; the best-known one returns what there is."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  Python 3.14
    except ImportError:
        try:
            from backports import zstd  # noqa: PLC0415  an extra
        except ImportError:
            wanted = "pip install 'auditwatch[zstd]'"
            raise Unreadable("unsupported", f"reading .zst needs another library: {wanted}") from None
    return cast("ModuleType", zstd)
