"""Full validation: every block of the grid, several at a time, put together in order.

A block that was judged before by the same rules and still has the same bytes is not parsed again: equal digest and
rules mean equal verdict.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from auditwatch.errors import Unreadable
from auditwatch.files.reading import find_newline
from auditwatch.trail.grid import Block, RangeDigest, block_ranges, file_digest
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.validation.ranges import JudgedRange, judge_range
from auditwatch.validation.workers.pool import WorkerPool

Recorded = Callable[[int], Block | None]
"""Returns block k of the file as it was judged before by the same rules; None if it was not."""

OnBlock = Callable[[Block, bool], None]
"""Called with each block, in order, and whether it is as recorded; the block's digest is empty if not asked for."""

BlockFilter = Callable[[int], bool]
"""Says whether to judge block k."""

InThread = Callable[..., Awaitable[Any]]
"""Runs a call that reads the file in a thread that may block."""

_LOOKED_FOR_AT_ONCE: Final = 8
_NOTHING: Final = JudgedRange(Report(), RangeDigest().digest())
_Range = tuple[int, int, int]


@dataclass(slots=True)
class Full:
    """What a full validation found.

    Attributes:
        report: Report on the whole file.
        block_digests: Digests of all blocks in order, if asked for.
        unchanged: Number of blocks that are as recorded and were not parsed.
        unchanged_bytes: Bytes in those blocks.
        changed: Numbers of the blocks that are not as recorded.
    """

    report: Report = field(default_factory=Report)
    block_digests: list[bytes] = field(default_factory=list)
    unchanged: int = 0
    unchanged_bytes: int = 0
    changed: list[int] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """The digest of the file."""
        return file_digest(self.block_digests)


async def validate_full(  # noqa: PLR0913  every optional argument has a sensible default
    descriptor: int,
    rules: Rules,
    pool: WorkerPool | None,
    *,
    size: int | None = None,
    final: bool = False,
    hashed: bool = True,
    recorded: Recorded = lambda _k: None,
    on_block: OnBlock = lambda _block, _is_unchanged: None,
    in_thread: InThread = asyncio.to_thread,
) -> Full:
    """Judge everything that the file contains by now.

    Args:
        descriptor: A descriptor open for reading.
        rules: What the lines are judged by.
        pool: Judges the blocks; None judges them in a thread of this process, which is faster for small files.
        size: Where to stop; by default, at the end of the file.
        final: Whether bytes after the last newline are a torn line.
        hashed: Whether to compute digests.
        recorded: Returns blocks as they were judged before.
        on_block: Called for each block.
        in_thread: Runs the search for the blocks of the grid.

    Raises:
        Unreadable: The file cannot be read, or shrank by more than its pending bytes while it was read.
        WorkerDied: A worker ended before it answered.
    """
    size = os.fstat(descriptor).st_size if size is None else size
    full = Full()
    judged = judged_blocks(
        descriptor, rules, pool, size, final=final, hashed=hashed, recorded=recorded, in_thread=in_thread
    )
    async with aclosing(judged):
        async for block, before in judged:
            on_block(block, _add(full, block, before))
    return full


async def judged_blocks(  # noqa: PLR0913  every optional argument has a sensible default
    descriptor: int,
    rules: Rules,
    pool: WorkerPool | None,
    size: int,
    *,
    final: bool = False,
    hashed: bool = True,
    recorded: Recorded = lambda _k: None,
    wanted: BlockFilter = lambda _k: True,
    in_thread: InThread = asyncio.to_thread,
) -> AsyncGenerator[tuple[Block, Block | None]]:
    """Each wanted block as it is now, and as it was recorded; in order, judged several at a time. Close it when done.

    Arguments and errors are those of `validate_full`; `wanted` says which blocks to judge.
    """
    work = _Work(descriptor, rules, pool, size, size if final else -1, hashed, recorded, wanted, in_thread)
    ranges = block_ranges(size, lambda offset: find_newline(descriptor, offset, size))
    try:
        while await work.fill(ranges):
            yield await work.next()
    finally:
        await work.cancel()


@dataclass(slots=True)
class _Work:
    """Blocks that are being judged, in order.

    Attributes:
        final_end: The end at which bytes after the last newline are a torn line; -1 for none.
        ahead: Ranges that were found and are not being judged yet.
        window: Blocks that are being judged.
    """

    descriptor: int
    rules: Rules
    pool: WorkerPool | None
    size: int
    final_end: int
    hashed: bool
    recorded: Recorded
    wanted: BlockFilter
    in_thread: InThread
    ahead: deque[_Range] = field(default_factory=deque)
    window: deque[tuple[_Range, Block | None, asyncio.Task[JudgedRange]]] = field(default_factory=deque)

    async def fill(self, ranges: Iterator[_Range]) -> bool:
        """Keep all workers busy. Finding the next blocks reads the file, so a thread does it."""
        width = self.pool.size + 1 if self.pool else 1
        while len(self.window) < width:
            if not self.ahead:
                self.ahead.extend(await self.in_thread(list, islice(ranges, _LOOKED_FOR_AT_ONCE)))
            if not self.ahead:
                break
            found = self.ahead.popleft()
            if self.wanted(found[0]):
                before = self.recorded(found[0])
                self.window.append((found, before, asyncio.ensure_future(self._judge(found, before))))
        return bool(self.window)

    async def next(self) -> tuple[Block, Block | None]:
        """The next block, and the block as it was recorded; an unchanged block has the recorded report."""
        (k, start, end), before, task = self.window.popleft()
        verdict = await task
        is_unchanged = (
            before is not None and before.digest == verdict.digest and (before.start, before.end) == (start, end)
        )
        known = before if before is not None and is_unchanged else verdict
        report = known.report
        if end < self.size and report.bytes != end - start:
            raise Unreadable("changed", f"the file shrank while it was read: the block at offset {start} is cut off")
        return Block(k, start, start + report.bytes, verdict.digest, report, known.marks), before

    async def cancel(self) -> None:
        """Stop judging; the results are no longer needed."""
        for _, _, task in self.window:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in self.window), return_exceptions=True)

    async def _judge(self, block: _Range, before: Block | None) -> JudgedRange:
        _, start, end = block
        if start == end:  # a line of the file that spans several lines of the grid leaves empty blocks
            return _NOTHING
        digest = before.digest if before is not None and (before.start, before.end) == (start, end) else b""
        final = end == self.final_end
        if self.pool is not None:
            judge = self.pool.judge
            return await judge(self.descriptor, start, end, self.rules, final, hashed=self.hashed, recorded=digest)
        return await asyncio.to_thread(
            judge_range, self.descriptor, start, end, self.rules, final=final, hashed=self.hashed, recorded=digest
        )


def _add(full: Full, block: Block, before: Block | None) -> bool:
    """Add a block; returns whether it is as recorded."""
    full.report += block.report
    full.block_digests.append(block.digest)
    is_unchanged = block == before
    if is_unchanged:
        full.unchanged += 1
        full.unchanged_bytes += block.end - block.start
    elif before is not None:
        full.changed.append(block.k)
    return is_unchanged
