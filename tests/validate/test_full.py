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
from auditwatch.validate import full as module
from auditwatch.validate.full import Full, validate_full
from auditwatch.validate.ranges import RangeVerdict, judge_range
from auditwatch.validate.workers import WorkerPool


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
                descriptor, Rules(), pool, final=final, on_progress=lambda at, _total: done.append(at)
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

    def cut_and_judge(*arguments: object, **keywords: object) -> RangeVerdict:
        os.ftruncate(descriptor, 20)
        return judge_range(*arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "judge_range", cut_and_judge)
    try:
        with pytest.raises(Unreadable) as caught:
            asyncio.run(validate_full(descriptor, Rules(), None))
        assert caught.value.reason == "changed"
    finally:
        os.close(descriptor)
