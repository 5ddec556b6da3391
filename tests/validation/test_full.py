"""Full validation: the same report from one process, from workers and from a plain scan."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from auditwatch.errors import Unreadable
from auditwatch.trail.grid import BLOCK_BYTES, GridDigest
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from auditwatch.validation import full as module
from auditwatch.validation.full import Full, validate_full
from auditwatch.validation.ranges import JudgedRange, judge_range
from auditwatch.validation.workers.pool import WorkerPool


def damaged_trail() -> bytes:
    """17 MB with damage everywhere, and one line that covers a whole block."""
    draw = random.Random(5)
    lines = [b'{"event":"TRADE","n":%d,"pad":"%s"}' % (n, b"x" * draw.randrange(500)) for n in range(40_000)]
    for n in range(0, 40_000, 997):
        lines[n] = lines[n][: draw.randrange(len(lines[n]))]
    lines[20_000] = b"z" * (BLOCK_BYTES + 5 * 1000)
    return b"\n".join(lines)


@pytest.mark.concurrency
@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_blocks_judged_apart_add_up_to_one_scan(tmp_path: Path, workers: int, final: bool) -> None:
    data = damaged_trail()
    (tmp_path / "a.jsonl").write_bytes(data)
    done: list[int] = []

    async def validate() -> Full:
        pool = WorkerPool(workers) if workers else None
        descriptor = os.open(tmp_path / "a.jsonl", os.O_RDONLY)
        try:
            return await validate_full(
                descriptor, Rules(), pool, final=final, on_block=lambda block, _: done.append(block.end)
            )
        finally:
            os.close(descriptor)
            if pool:
                await pool.close()

    full = asyncio.run(validate())
    scan, digest = Scan(Rules()), GridDigest()
    scan.feed(data)
    digest.feed(data)
    assert full.report == scan.finish(final)
    assert full.report.corrupt_lines > 40
    assert full.digest == digest.digest()
    assert done == sorted(done)
    assert done[-1] == full.report.bytes


def test_a_file_that_shrinks_while_it_is_read_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a":1}\n' * (BLOCK_BYTES // 4))
    descriptor = os.open(tmp_path / "a.jsonl", os.O_RDWR)

    def cut_and_judge(*arguments: object, **keywords: object) -> JudgedRange:
        os.ftruncate(descriptor, 20)
        return judge_range(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "judge_range", cut_and_judge)
    try:
        with pytest.raises(Unreadable) as caught:
            asyncio.run(validate_full(descriptor, Rules(), None))
        assert caught.value.reason == "changed"
    finally:
        os.close(descriptor)


def sparse_file(path: Path, pieces: dict[int, bytes], size: int) -> int:
    """A file with these pieces at their offsets and holes between them; open for reading."""
    with path.open("wb") as file:
        for offset, piece in pieces.items():
            file.seek(offset)
            file.write(piece)
        file.truncate(size)
    if path.stat().st_blocks * 512 >= size:
        pytest.skip("NOT RUN: this file system knows no holes")
    return os.open(path, os.O_RDONLY)


RECORDS = b'{"a":1}\n{"b":2}\n'


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize(
    "pieces",
    [
        {0: RECORDS, 9 << 20: b"\n" + RECORDS},
        {0: RECORDS, 5 << 20: RECORDS, (5 << 20) + 100_000: RECORDS},
        {0: RECORDS + b'{"cut', 9 << 20: b'"}' + RECORDS + b"pend"},
        {7 << 20: b"\n"},
        {BLOCK_BYTES - 1: b"\n", 2 * BLOCK_BYTES: b"\n"},
        {0: RECORDS},
        {},
    ],
)
def test_holes_are_nul_bytes_like_others(tmp_path: Path, pieces: dict[int, bytes], final: bool) -> None:
    descriptor = sparse_file(tmp_path / "a.jsonl", pieces, 11 << 20)
    scan, digest = Scan(Rules()), GridDigest()
    data = (tmp_path / "a.jsonl").read_bytes()
    scan.feed(data)
    digest.feed(data)
    full = asyncio.run(validate_full(descriptor, Rules(), None, final=final))
    os.close(descriptor)
    assert full.report == scan.finish(final)
    assert final or full.digest == digest.digest()


def test_eight_terabytes_of_pending_hole_is_passed_over(tmp_path: Path) -> None:
    try:
        descriptor = sparse_file(tmp_path / "a.jsonl", {0: RECORDS}, 1 << 43)
    except OSError as error:
        pytest.skip(f"NOT RUN: no such file fits here: {error.strerror}")
    full = asyncio.run(validate_full(descriptor, Rules(), None))
    os.close(descriptor)
    assert (full.report.records, full.report.pending_bytes) == (2, (1 << 43) - len(RECORDS))
