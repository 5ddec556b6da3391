"""A segment's history judged again, all or every Nth block: blocks as recorded are hashed, the others are parsed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from auditwatch.agent.hashing import lines_around
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.place import open_segment
from auditwatch.errors import StateUnwritable, Unreadable
from auditwatch.ledger.blocks import line_blocks
from auditwatch.ledger.effects import Review
from auditwatch.ledger.events import Rehash, Reviewed, Unpacked
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.state.blocks import BlockStore
from auditwatch.state.store import trail_key
from auditwatch.trail.grid import BLOCK_BYTES, Block, Share, is_sealed
from auditwatch.trail.report import Report
from auditwatch.validation.full import Recorded, judged_blocks, validate_full
from auditwatch.validation.ranges import count_lines

Troubled = Callable[[StateUnwritable], None]
"""Called with the reason if blocks cannot be recorded; the ledger knows everything nevertheless."""


async def review(
    monitor: Monitor,
    segment: Segment,
    blocks: BlockStore,
    moved: Callable[[int], None],
    troubled: Troubled,
) -> Report:
    """Judge again everything that was judged of a segment, and let the ledger compare, block by block.

    Args:
        monitor: Of the trail.
        segment: One whose file exists.
        blocks: What earlier runs saw; what this one sees is added.
        moved: Called with its progress, in bytes.
        troubled: Called if the blocks cannot be recorded.

    Raises:
        Unreadable: It cannot be read now.
        WorkerDied: A worker ended before it answered.
    """
    reviewing = _Reviewing(monitor, segment, blocks, moved)
    descriptor = await monitor.services.prober.call(open_segment, monitor.place, segment)
    try:
        full = await validate_full(
            descriptor,
            monitor.config.rules,
            monitor.services.pool,
            size=segment.judged,
            recorded=reviewing.recorded,
            on_block=reviewing.take,
            in_thread=monitor.services.prober.call,
        )
        reviewing.end()
    finally:
        os.close(descriptor)
    reviewing.tell(troubled)
    return replace(full.report, pending_bytes=0)


async def review_archive(monitor: Monitor, segment: Segment) -> Report:
    """Judge again everything that was judged of a compressed segment, in one pass; it is compared as a whole.

    Raises:
        Unreadable: It cannot be read now.
        WorkerDied: A worker ended before it answered.
    """
    anchor, rules = segment.anchor, monitor.config.rules
    spans = (0, anchor.head.length), (anchor.position - anchor.marker.length, anchor.marker.length)
    descriptor = await monitor.services.prober.call(open_segment, monitor.place, segment)
    try:
        found = await monitor.services.pool.judge_archive(descriptor, 0, segment.judged, rules, spans)
        packed = (await monitor.services.prober.call(os.fstat, descriptor)).st_size
    finally:
        os.close(descriptor)
    if packed != segment.packed:
        raise Unreadable("changed", f"{segment.name}: it was changed while it was read")
    head, marker = (Fingerprint(length, digest.hex()) for (_, length), digest in zip(spans, found.prints, strict=True))
    at, report = monitor.services.clock(), replace(found.report, pending_bytes=0)
    monitor.apply(Unpacked(at, segment.number, anchor.position, packed, found.size, found.is_cut, head, marker))
    if report.lines:
        monitor.apply(Reviewed(at, segment.number, 0, 0, rules.reports_id, report))
    return report


async def review_part(
    monitor: Monitor,
    segment: Segment,
    share: Share,
    blocks: BlockStore,
    moved: Callable[[int], None],
    troubled: Troubled,
) -> None:
    """Judge again every Nth block that was judged of a segment, and let the ledger compare; the rest is not touched.

    Args and errors are those of `review`. The last block, which is still growing, is judged in turn like the others.
    """
    reviewing = _Reviewing(monitor, segment, blocks, moved)
    descriptor = await monitor.services.prober.call(open_segment, monitor.place, segment)
    try:
        lines = _LinesBefore(monitor, descriptor, reviewing.recorded)
        judged = judged_blocks(
            descriptor,
            monitor.config.rules,
            monitor.services.pool,
            segment.judged,
            recorded=reviewing.recorded,
            wanted=share.holds,
            in_thread=monitor.services.prober.call,
        )
        async with aclosing(judged):
            async for block, before in judged:
                if block.report.defects:
                    reviewing.lines = await lines.of(block)
                reviewing.take(block, block == before)
    finally:
        os.close(descriptor)
    reviewing.tell(troubled)


async def review_range(monitor: Monitor, wanted: Review) -> None:
    """Judge again lines that were judged, and let the ledger compare.

    Raises:
        Unreadable: They cannot be read now.
        WorkerDied: A worker ended before it answered.
    """
    segment = monitor.state.segment(wanted.segment)
    if segment is None or segment.vanished:
        return
    call, rules = monitor.services.prober.call, monitor.config.rules
    descriptor = await call(open_segment, monitor.place, segment)
    try:
        start, end = await call(lines_around, descriptor, wanted.start, wanted.end, segment.judged)
        lines = 0
        for before in range(0, start, BLOCK_BYTES):
            lines += await call(count_lines, descriptor, before, min(start, before + BLOCK_BYTES))
        found = await monitor.services.pool.judge(descriptor, start, end, rules, hashed=False)
    finally:
        os.close(descriptor)
    report = replace(found.report, pending_bytes=0)
    monitor.apply(Reviewed(monitor.services.clock(), segment.number, start, lines, rules.reports_id, report))


async def content_hashes(monitor: Monitor, segment: Segment, starts: frozenset[int] | None = None) -> list[Rehash]:
    """The digests that blocks of the content of a compressed segment have now; all of them if none are named.

    Raises:
        Unreadable: It cannot be read now.
        WorkerDied: A worker ended before it answered.
    """
    blocks = [block for block in line_blocks(segment) if starts is None or block.start in starts]
    spans = [(block.start, block.end - block.start) for block in blocks]
    descriptor = await monitor.services.prober.call(open_segment, monitor.place, segment)
    try:
        found = await monitor.services.pool.judge_archive(descriptor, 0, 0, monitor.config.rules, spans)
    finally:
        os.close(descriptor)
    since = segment.proved or segment.grown
    return [Rehash(block, digest.hex(), since) for block, digest in zip(blocks, found.prints, strict=True) if digest]


class _LinesBefore:
    """How many lines end before a block: known if all blocks before it are recorded, counted if they are not.

    Only damage needs it. A block that changed since it was recorded, and has not been read again yet, may make it
    wrong: it is shown to people and decides nothing.
    """

    def __init__(self, monitor: Monitor, descriptor: int, recorded: Recorded) -> None:
        self._in_thread = monitor.services.prober.call
        self._descriptor = descriptor
        self._recorded = recorded
        self._k = self._end = self._lines = 0

    async def of(self, block: Block) -> int:
        """Ask for blocks from left to right."""
        self._pass_recorded(block.start)
        while self._end < block.start:
            end = min(self._end + BLOCK_BYTES, block.start)
            self._lines += await self._in_thread(count_lines, self._descriptor, self._end, end)
            self._end = end
        self._k = block.k
        return self._lines

    def _pass_recorded(self, start: int) -> None:
        while (
            (block := self._recorded(self._k)) and block.start == self._end and block.end <= start and self._end < start
        ):
            self._k, self._end, self._lines = block.k + 1, block.end, self._lines + block.report.lines


class _Reviewing:
    """What happens with each block: the ledger gets its report, and if it is sealed it is recorded.

    Attributes:
        lines: How many there are before the next block; of use only if that is damaged.
    """

    def __init__(self, monitor: Monitor, segment: Segment, blocks: BlockStore, moved: Callable[[int], None]) -> None:
        self._monitor = monitor
        self._segment = segment.number
        self._moved = moved
        self._rules_id = monitor.config.rules.reports_id
        key = trail_key(monitor.name, monitor.config.path)
        self.recorded = partial(blocks.block, key, segment.number, self._rules_id)
        self._record = partial(blocks.record, key, segment.number, self._rules_id)
        self._forget = partial(blocks.forget, key, segment.number)
        self._k = 0
        self._trouble: StateUnwritable | None = None
        self.lines = 0

    def take(self, block: Block, is_unchanged: bool) -> None:
        """The next block."""
        report = replace(block.report, pending_bytes=0)
        if report.lines:
            at = self._monitor.services.clock()
            event = Reviewed(at, self._segment, block.start, self.lines, self._rules_id, report)
            self._monitor.apply(event)
        self.lines += report.lines
        self._k = block.k
        if not is_unchanged and is_sealed(block.k, block.end):
            self._try(self._record, [block])
        self._moved(block.end)

    def end(self) -> None:
        """Call when all blocks have been taken. The last one is not sealed: it is still growing."""
        self._try(self._forget, self._k)

    def tell(self, troubled: Troubled) -> None:
        """Report it if blocks could not be recorded."""
        if self._trouble is not None:
            troubled(self._trouble)

    def _try(self, store: Callable[[Any], None], what: object) -> None:
        """After the first failure it is left alone: a full disk need not be tried once per block."""
        if self._trouble is None:
            try:
                store(what)
            except StateUnwritable as error:
                self._trouble = error
