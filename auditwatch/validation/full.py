"""Full validation: every block of the grid, several at a time, put together in order.

A block that was judged before by the same rules, and has the same bytes still, is not parsed again: equal digest and
rules, equal verdict.
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
"""Gives block k of the file as it was judged before, by the same rules; None if it was not."""

OnBlock = Callable[[Block, bool], None]
"""Is told of each block, in order, and whether it is as recorded; the digest is empty if nobody asked for it."""

BlockFilter = Callable[[int], bool]
"""Says whether block k is to be judged."""

InThread = Callable[..., Awaitable[Any]]
"""Makes a call that reads the file in a thread that may block."""

_LOOKED_FOR_AT_ONCE: Final = 8
_NOTHING: Final = JudgedRange(Report(), RangeDigest().digest())
_Range = tuple[int, int, int]


@dataclass(slots=True)
class Full:
    """What a full validation found.

    Attributes:
        report: Over the whole file.
        block_digests: Of all blocks in order, if asked for.
        unchanged: Blocks that are as recorded and were not parsed; likewise their bytes.
        changed: Numbers of blocks that are not as recorded.
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


async def validate_full(  # noqa: PLR0913  what is not said has a true default
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
    """Judge everything the file holds by now.

    Args:
        descriptor: Open for reading.
        rules: What decides.
        pool: Judges the blocks; None judges them in a thread of this process, which small files are done with sooner.
        size: How far; the end of the file, if not given.
        final: Whether bytes behind the last newline are a torn line.
        hashed: Whether digests are asked for.
        recorded: What is known from before.
        on_block: Called for each block.
        in_thread: Where the grid is looked for.

    Raises:
        Unreadable: If the file cannot be read, or shrank by more than its pending bytes while it was.
        WorkerDied: If a worker ended before it answered.
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


async def judged_blocks(  # noqa: PLR0913  what is not said has a true default
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
    """Each wanted block as it is now, and as it was recorded; in order, several on their way. Close it when done.

    Args and errors are those of `validate_full`.
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
    """Blocks on their way, in order.

    Attributes:
        final_end: Where bytes behind the last newline are a torn line; -1 nowhere.
        ahead: Ranges that were found and are not yet on their way.
        window: Blocks on their way.
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
        """Keep all workers busy; looking for the next blocks reads the file, so a thread does it."""
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
        """The next block, and as it was recorded; what is as recorded bears the report of then."""
        (k, start, end), before, task = self.window.popleft()
        verdict = await task
        is_unchanged = (
            before is not None and before.digest == verdict.digest and (before.start, before.end) == (start, end)
        )
        known = before if before is not None and is_unchanged else verdict
        report = known.report
        if end < self.size and report.bytes != end - start:
            raise Unreadable("changed", f"the file shrank while it was read: block at offset {start} is cut off")
        return Block(k, start, start + report.bytes, verdict.digest, report, known.marks), before

    async def cancel(self) -> None:
        """Nobody waits any more."""
        for _, _, task in self.window:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in self.window), return_exceptions=True)

    async def _judge(self, block: _Range, before: Block | None) -> JudgedRange:
        _, start, end = block
        if start == end:  # one line that covers many lines of the grid leaves as many empty blocks
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
    """Take a block in; whether it is as recorded."""
    full.report += block.report
    full.block_digests.append(block.digest)
    is_unchanged = block == before
    if is_unchanged:
        full.unchanged += 1
        full.unchanged_bytes += block.end - block.start
    elif before is not None:
        full.changed.append(block.k)
    return is_unchanged
