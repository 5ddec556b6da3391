"""A segment's history judged again: what is as the last full run left it is hashed, the rest is parsed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from auditwatch.agent.looking import open_segment
from auditwatch.agent.monitor import Monitor
from auditwatch.errors import StateUnwritable
from auditwatch.ledger.events import Reviewed
from auditwatch.ledger.state import Segment
from auditwatch.state.blocks import BlockStore
from auditwatch.state.store import trail_key
from auditwatch.trail.grid import Block
from auditwatch.trail.report import Report
from auditwatch.validate.full import validate_full


async def review(
    monitor: Monitor,
    segment: Segment,
    blocks: BlockStore,
    moved: Callable[[int], None],
    troubled: Callable[[StateUnwritable], None],
) -> Report:
    """Judge everything that was judged of a segment, and let the ledger compare, block by block.

    Args:
        monitor: Of the trail.
        segment: Whose file is there.
        blocks: What earlier runs saw; takes what this one sees.
        moved: Called with how far it got, in bytes.
        troubled: Called if the blocks cannot be kept: the ledger knows everything nevertheless.

    Raises:
        Unreadable: It cannot be read now.
        WorkerDied: A worker ended before it answered.
    """
    reviewing = _Reviewing(monitor, segment, blocks, moved)
    descriptor = await monitor.means.prober.call(open_segment, monitor.place, segment)
    try:
        full = await validate_full(
            descriptor,
            monitor.config.rules,
            monitor.means.pool,
            size=segment.judged,
            recorded=reviewing.recorded,
            on_block=reviewing.take,
            in_thread=monitor.means.prober.call,
        )
        reviewing.end()
    finally:
        os.close(descriptor)
    if (trouble := reviewing.trouble) is not None:
        troubled(trouble)
    return replace(full.report, pending_bytes=0)


class _Reviewing:
    """What becomes of each block: the ledger hears of it, and once it is sealed it is kept.

    Attributes:
        trouble: Why it could not be kept.
    """

    def __init__(self, monitor: Monitor, segment: Segment, blocks: BlockStore, moved: Callable[[int], None]) -> None:
        self._monitor = monitor
        self._segment = segment.number
        self._moved = moved
        self._rules_id = monitor.config.rules.reports_id
        key = trail_key(monitor.name, monitor.config.path)
        self.recorded = partial(blocks.block, key, segment.number, self._rules_id)
        self._keep = partial(blocks.keep, key, segment.number, self._rules_id)
        self._forget = partial(blocks.forget, key, segment.number)
        self._lines = self._k = 0
        self._fresh: Block | None = None
        self.trouble: StateUnwritable | None = None

    def take(self, block: Block, is_unchanged: bool) -> None:
        """The next block: whatever comes before it is sealed."""
        self._keep_fresh()
        report = replace(block.report, pending_bytes=0)
        if report.lines:
            at = self._monitor.means.clock()
            event = Reviewed(at, self._segment, block.start, self._lines, self._rules_id, report)
            self._monitor.apply(event)
        self._lines += report.lines
        self._k = block.k
        self._fresh = None if is_unchanged else block
        self._moved(block.end)

    def end(self) -> None:
        """The last block is not sealed: it grows still."""
        self._try(self._forget, self._k)

    def _keep_fresh(self) -> None:
        if self._fresh is not None:
            self._try(self._keep, [self._fresh])

    def _try(self, store: Callable[[Any], None], what: object) -> None:
        """Once it fails it is left alone: a full disk needs no attempt a block."""
        if self.trouble is None:
            try:
                store(what)
            except StateUnwritable as error:
                self.trouble = error
