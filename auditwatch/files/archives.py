"""Compressed segments as streams of bytes, in bounded memory; a cut one is an error, never a shorter trail."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from types import ModuleType
from typing import BinaryIO, Final, cast

from auditwatch.errors import Unreadable
from auditwatch.files.opening import open_trail
from auditwatch.files.reading import CHUNK_BYTES
from auditwatch.trail.names import COMPRESSED, printable

_DAMAGED: Final = "the compressed data is damaged or cut off; use another copy"


def is_compressed(path: str) -> bool:
    """Whether the file is compressed, going by its name.

    >>> is_compressed("a.jsonl.1.gz"), is_compressed("a.jsonl")
    (True, False)
    """
    return path.endswith(COMPRESSED)


def read_archive(path: str) -> Iterator[bytes]:
    """The contents of a compressed file, piece by piece.

    Raises:
        Unreadable: As `open_trail`; io_error if its data is damaged or cut off; unsupported without the library.
    """
    zstd = None if path.endswith(".gz") else _zstd(path)
    failures: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error)
    with os.fdopen(open_trail(path), "rb") as raw, closing(_opened(raw, zstd)) as file:
        while chunk := _read(path, file, (*failures, zstd.ZstdError) if zstd else failures):
            yield chunk


def _opened(raw: BinaryIO, zstd: ModuleType | None) -> BinaryIO:
    return cast("BinaryIO", zstd.ZstdFile(raw) if zstd else gzip.GzipFile(fileobj=raw))


def _read(path: str, file: BinaryIO, failures: tuple[type[Exception], ...]) -> bytes:
    try:
        return file.read(CHUNK_BYTES)
    except failures as error:
        raise Unreadable("io_error", f"{printable(path)}: {_DAMAGED}") from error


def _zstd(path: str) -> ModuleType:
    """A library that raises an error if data is cut off; the best-known one silently returns what there is."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  Python 3.14
    except ImportError:
        try:
            from backports import zstd  # noqa: PLC0415  an extra
        except ImportError:
            wanted = "pip install 'auditwatch[zstd]'"
            raise Unreadable("unsupported", f"{printable(path)}: reading .zst needs an extra: {wanted}") from None
    return cast("ModuleType", zstd)
