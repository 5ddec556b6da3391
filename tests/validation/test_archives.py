"""One pass through a compressed file: lines from a place to a place, and prints of spans."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from blake3 import blake3

from auditwatch.files.opening import opened
from auditwatch.trail import grid
from auditwatch.trail.grid import BlockDigest, BlockHasher
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import scan_all
from auditwatch.validation.ranges import Hashed, judge_archive
from auditwatch.validation.workers.pool import WorkerPool

LINES = b"".join(b'{"n":%d}\n' % n for n in range(100_000)) + b'{"torn":\n{"n":1}\n'
DATA = LINES + b'{"cut'


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl.1.gz"
    path.write_bytes(gzip.compress(DATA))
    return path


def test_it_gives_the_report_of_the_content(archive: Path) -> None:
    start = LINES.index(b"\n", 700_000) + 1
    with opened(str(archive)) as descriptor:
        whole = judge_archive(descriptor, 0, len(DATA), Rules(), (), final=True)
        part = judge_archive(descriptor, start, len(DATA), Rules(), ())
        none = judge_archive(descriptor, 0, 0, Rules(), ())
    assert (whole.size, whole.report) == (len(DATA), scan_all([DATA], Rules(), final=True))
    assert part.report == scan_all([DATA[start:]], Rules())
    assert (none.size, none.report.lines) == (len(DATA), 0)


def test_prints_are_those_of_the_content(archive: Path) -> None:
    spans = [(0, 4096), (262_140, 10), (len(DATA) - 4096, 4096), (0, 0), (len(DATA) - 1, 2)]
    with opened(str(archive)) as descriptor:
        prints = judge_archive(descriptor, 0, 0, Rules(), spans).prints
    *there, beyond = prints
    assert there == [blake3(DATA[offset : offset + length]).digest() for offset, length in spans[:-1]]
    assert beyond == b""


def test_what_precedes_a_cut_is_judged_and_the_rest_is_unread(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:100_000])
    with opened(str(archive)) as descriptor:
        found = judge_archive(descriptor, 0, len(DATA), Rules(), [(0, 10), (0, len(DATA))], final=True)
    assert found.is_cut
    assert 100_000 < found.size < len(DATA)
    assert found.report == scan_all([DATA[: found.size]], Rules())
    assert found.report.torn_tail == 0
    assert found.report.pending_bytes > 0
    assert found.prints == (blake3(DATA[:10]).digest(), b"")


def test_a_worker_says_what_this_process_says(archive: Path) -> None:
    cut = archive.with_name("cut.gz")
    cut.write_bytes(archive.read_bytes()[:-100])

    async def ask() -> None:
        pool = WorkerPool(1)
        try:
            with opened(str(archive)) as descriptor:
                here = judge_archive(descriptor, 0, len(DATA), Rules(), [(0, 10)], final=True)
                assert await pool.judge_archive(descriptor, 0, len(DATA), Rules(), [(0, 10)], final=True) == here
            with opened(str(cut)) as descriptor:
                here = judge_archive(descriptor, 0, len(DATA), Rules(), [(0, 10)], final=True)
                assert await pool.judge_archive(descriptor, 0, len(DATA), Rules(), [(0, 10)], final=True) == here
                assert here.is_cut
        finally:
            await pool.close()

    asyncio.run(ask())


@pytest.mark.parametrize("until", [0, 1, 2, 5000])
@pytest.mark.parametrize("is_edited", [False, True])
def test_digests_of_blocks_go_on_where_they_ended(
    archive: Path, monkeypatch: pytest.MonkeyPatch, until: int, is_edited: bool
) -> None:
    monkeypatch.setattr(grid, "BLOCK_BYTES", 10_000)
    judged = sum(map(len, DATA.splitlines(keepends=True)[:until]))
    hasher = BlockHasher(0)
    hasher.feed(DATA[:judged])
    last = (hasher.taken() or (None,))[-1]
    known = hasher.copy()
    open_block = BlockDigest(last.start, last.end, "edited" if is_edited else last.digest) if last else None
    lines_end = DATA.rindex(b"\n") + 1
    if is_edited and last:
        known = BlockHasher(judged)
    known.feed(DATA[judged:lines_end])
    with opened(str(archive)) as descriptor:
        found = judge_archive(descriptor, judged, len(DATA), Rules(), (), before=Hashed(judged, open_block))
    assert found.blocks == known.taken()
