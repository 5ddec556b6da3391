"""Compressed files as streams: known by their first bytes, whole or an error."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from auditwatch.errors import CutOff, Unreadable
from auditwatch.files.archives import compression_of, is_archive, unpacked
from auditwatch.files.opening import opened

DATA = b'{"event":"A","n":1}\n' * 50_000
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def content(path: Path) -> bytes:
    with opened(str(path)) as descriptor:
        return b"".join(unpacked(descriptor))


@pytest.mark.parametrize("name", PACKERS)
def test_content_is_told_by_the_first_bytes_and_not_by_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "odd.name"
    path.write_bytes(PACKERS[name](DATA))
    with opened(str(path)) as descriptor:
        assert compression_of(descriptor) == name
        for _ in range(2):
            assert b"".join(unpacked(descriptor)) == DATA
    assert content(path) == DATA


@pytest.mark.parametrize("name", PACKERS)
def test_what_is_cut_off_is_an_error_and_names_its_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.jsonl.{name}"
    whole = PACKERS[name](DATA)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(CutOff, match=r"a\.jsonl\.\w+: .*cut off") as caught:
        content(path)
    assert caught.value.reason == "io_error"


@pytest.mark.parametrize("data", [b"", b"{}", DATA[:100]])
def test_a_trail_is_not_compressed(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    assert compression_of(descriptor) is None
    os.close(descriptor)
    with pytest.raises(CutOff, match="not a compressed file"):
        content(path)


@pytest.mark.parametrize("name", PACKERS)
def test_what_precedes_the_cut_is_given(tmp_path: Path, name: str) -> None:
    """But for the block that was cut: bzip2 and zstd give nothing of a block that is not complete."""
    path = tmp_path / f"a.jsonl.{name}"
    data = b"".join(b'{"n":%d,"x":"%x"}\n' % (n, n * n) for n in range(200_000))
    path.write_bytes(PACKERS[name](data)[:-20])
    read: list[bytes] = []
    with opened(str(path)) as descriptor, pytest.raises(CutOff):
        read.extend(unpacked(descriptor))
    assert data.startswith(b"".join(read))
    assert sum(map(len, read)) > (len(data) - 1000 if name == "gz" else len(data) // 2)


def test_a_disk_that_cannot_be_read_is_not_a_cut_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(DATA))
    monkeypatch.setattr(gzip.GzipFile, "read1", fails)
    with pytest.raises(Unreadable, match="Input/output error") as caught:
        content(path)
    assert (type(caught.value), caught.value.reason) == (Unreadable, "io_error")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.jsonl", gzip.compress(DATA), True),
        ("a.jsonl.gz", b"", True),
        ("a.jsonl.gz", bytes(100), True),
        ("a.jsonl.gz", DATA, False),
        ("a.jsonl", b"", False),
    ],
)
def test_what_is_to_be_unpacked(tmp_path: Path, name: str, data: bytes, expected: bool) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with opened(str(path)) as descriptor:
        assert is_archive(descriptor, name) is expected


def test_several_streams_one_after_another_are_one_content(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(lzma.compress(DATA) + b"\0" * 8 + lzma.compress(b"") + lzma.compress(DATA[:100]))
    assert content(path) == DATA + DATA[:100]


def test_a_file_that_asks_for_more_memory_than_any_real_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.xz"
    greedy = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    path.write_bytes(lzma.compress(b"{}\n", filters=greedy))
    with pytest.raises(Unreadable):
        content(path)
