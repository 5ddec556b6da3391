"""Full validation: every block of the grid, several at a time, put together in order."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from auditwatch.errors import Unreadable
from auditwatch.files.reading import find_newline
from auditwatch.trail.grid import RangeDigest, block_ranges, file_digest
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.validate.ranges import RangeVerdict, judge_range
from auditwatch.validate.workers import WorkerPool

Progress = Callable[[int, int], None]
"""Is told how many bytes were judged, and of how many."""

_NOTHING: Final = RangeVerdict(Report(), RangeDigest().digest(), b"")
_Range = tuple[int, int, int]
_Judge = Callable[[_Range], Awaitable[RangeVerdict]]


@dataclass(slots=True)
class Full:
    """What a full validation found.

    Attributes:
        report: Over the whole file.
        block_digests: Of all blocks in order, if asked for.
    """

    report: Report = field(default_factory=Report)
    block_digests: list[bytes] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return file_digest(self.block_digests)


async def validate_full(
    descriptor: int,
    rules: Rules,
    pool: WorkerPool | None,
    *,
    final: bool = False,
    hashed: bool = True,
    on_progress: Progress | None = None,
) -> Full:
    """Judge everything the file holds by now.

    Args:
        descriptor: Open for reading.
        rules: What decides.
        pool: Judges the blocks; None judges them in a thread of this process, which small files are done with sooner.
        final: Whether bytes behind the last newline are a torn line.
        hashed: Whether digests are asked for.
        on_progress: Called after each block.

    Raises:
        Unreadable: If the file cannot be read, or shrank by more than its pending bytes while it was.
        WorkerDied: If a worker ended before it answered.
    """
    size = os.fstat(descriptor).st_size
    judge = _judge(descriptor, rules, pool, final_end=size if final else -1, hashed=hashed)
    full = Full()
    ranges = block_ranges(size, lambda offset: find_newline(descriptor, offset, size))
    window: deque[tuple[_Range, asyncio.Task[RangeVerdict]]] = deque()
    try:
        while await _fill(window, ranges, judge, pool.size + 1 if pool else 1):
            block, task = window.popleft()
            _add(full, block, await task, size)
            if on_progress is not None:
                on_progress(full.report.bytes, size)
    finally:
        for _, task in window:
            task.cancel()
        await asyncio.gather(*(task for _, task in window), return_exceptions=True)
    return full


def _judge(descriptor: int, rules: Rules, pool: WorkerPool | None, *, final_end: int, hashed: bool) -> _Judge:
    async def judge(block: _Range) -> RangeVerdict:
        _, start, end = block
        final = end == final_end
        if start == end:  # one line that covers many lines of the grid leaves as many empty blocks
            return _NOTHING
        if pool is not None:
            return await pool.judge(descriptor, start, end, rules, final, hashed=hashed)
        return await asyncio.to_thread(judge_range, descriptor, start, end, rules, final=final, hashed=hashed)

    return judge


async def _fill(
    window: deque[tuple[_Range, asyncio.Task[RangeVerdict]]], ranges: Iterator[_Range], judge: _Judge, width: int
) -> bool:
    """Keep so many blocks on their way; looking for the next one reads the file, so a thread does it."""
    while len(window) < width and (block := await asyncio.to_thread(next, ranges, None)) is not None:
        window.append((block, asyncio.ensure_future(judge(block))))
    return bool(window)


def _add(full: Full, block: _Range, verdict: RangeVerdict, size: int) -> None:
    _, start, end = block
    if end < size and verdict.report.bytes != end - start:
        raise Unreadable("changed", f"the file shrank while it was read: block at offset {start} is cut off")
    full.report += verdict.report
    full.block_digests.append(verdict.digest)
