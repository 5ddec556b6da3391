"""Bounded reads: what is there, and no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from auditwatch.errors import Unreadable
from auditwatch.files.reading import (
    CHUNK_BYTES,
    find_newline,
    find_newline_before,
    fingerprint,
    page_cache_as_found,
    read_chunks,
)

DATA = b"a" * 40_000 + b"\n" + b"b" * (CHUNK_BYTES + 5) + b"\n" + b"tail"


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "a.jsonl").write_bytes(DATA)
    opened = os.open(tmp_path / "a.jsonl", os.O_RDWR)
    yield opened
    os.close(opened)


def test_chunks_are_bounded_and_complete(descriptor: int) -> None:
    chunks = list(read_chunks(descriptor, 3, len(DATA), 1000))
    assert b"".join(chunks) == DATA[3:]
    assert max(map(len, chunks)) == 1000


def test_a_file_that_was_cut_underneath_just_ends_earlier(descriptor: int) -> None:
    chunks = read_chunks(descriptor, 0, len(DATA), 1000)
    assert next(chunks) == DATA[:1000]
    os.ftruncate(descriptor, 1500)
    assert b"".join(chunks) == DATA[1000:1500]


def test_newlines_are_found_in_both_directions(descriptor: int) -> None:
    second = 40_000 + CHUNK_BYTES + 6
    assert find_newline(descriptor, 0) == 40_000
    assert find_newline(descriptor, 40_000) == 40_000
    assert find_newline(descriptor, 40_001) == second
    assert find_newline(descriptor, second + 1) is None
    assert find_newline(descriptor, 40_001, second) is None
    assert find_newline_before(descriptor, len(DATA)) == second
    assert find_newline_before(descriptor, second) == 40_000
    assert find_newline_before(descriptor, 40_000) is None


def test_a_fingerprint_is_that_of_the_bytes(descriptor: int) -> None:
    assert fingerprint(descriptor, 5, 50_000) == blake3(DATA[5:50_005]).digest()
    assert fingerprint(descriptor, len(DATA) - 2, 10) == blake3(DATA[-2:]).digest()


def test_a_failing_read_is_an_error_with_its_offset() -> None:
    with pytest.raises(Unreadable, match="at offset 7") as caught:
        list(read_chunks(-1, 7, 8))
    assert caught.value.reason == "io_error"


def test_asking_and_advising_the_page_cache_never_fails(descriptor: int) -> None:
    with page_cache_as_found(descriptor, 0, len(DATA)):
        assert b"".join(read_chunks(descriptor, 0, len(DATA))) == DATA
    with pytest.raises(Unreadable), page_cache_as_found(-1, 0, 10):
        list(read_chunks(-1, 0, 10))


def test_the_page_cache_forgets_only_what_was_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    probes, forgotten = [], []

    def probed(_descriptor: int, _buffers: list[bytearray], offset: int, _flags: int) -> int:
        probes.append(offset)
        if len(probes) in (2, 3, 6):
            raise BlockingIOError
        return 1

    monkeypatch.setattr(os, "preadv", probed)
    monkeypatch.setattr(os, "posix_fadvise", lambda _d, start, length, _advice: forgotten.append((start, length)))
    step = 1 << 18
    with page_cache_as_found(0, 100, 100 + 5 * step + 7):
        assert not forgotten
    assert probes == [100 + number * step for number in range(6)]
    assert forgotten == [(100 + step, 2 * step), (100 + 5 * step, 7)]
