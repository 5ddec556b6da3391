"""Answers the ledger's reads of one trail."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

from auditwatch.agent.held import Held
from auditwatch.agent.open_blocks import OpenBlocks
from auditwatch.agent.place import Place, open_known, open_segment
from auditwatch.agent.prober import Prober
from auditwatch.agent.readings import (
    SMALL_READ_BYTES,
    archive_spans,
    archive_verdict,
    check_large,
    conclude_large,
    ends_no_line,
    read_small,
)
from auditwatch.host.clock import Clock
from auditwatch.ledger.blocks import hashed_until
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Judged
from auditwatch.ledger.segment import Segment
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.validation.ranges import Hashed, JudgedRange
from auditwatch.validation.workers.pool import WorkerPool


class Reader:
    """Reads and judges the bytes of one trail's segments. Belongs to the agent's loop.

    Its calls raise Unreadable if a file cannot be read or is another one now, and WorkerDied if a worker ended.

    Args:
        place: Of the trail.
        prober: Makes the calls on its file system.
        pool: Judges what is too much to be judged on the spot.
        rules: What lines are judged by.
        clock: Seconds since 1970.
        held: The active file, held open.
    """

    def __init__(self, place: Place, prober: Prober, pool: WorkerPool, rules: Rules, clock: Clock, held: Held) -> None:
        self._place = place
        self._prober = prober
        self._pool = pool
        self._rules = rules
        self._clock = clock
        self._held = held
        self._hashers = OpenBlocks()

    async def judged(self, segment: Segment, read: Read) -> Judged:
        """The verdict on plain bytes: a few are judged on the spot, more by a worker."""
        is_small = read.end - read.start <= SMALL_READ_BYTES
        if is_small:
            known = self._hashers.of(segment)
            verdict, hasher = await self._prober.call(
                read_small, self._place, segment, read, self._rules, self._clock, self._held, known
            )
            self._hashers.keep(segment.number, hasher)
            return verdict
        descriptor = await self._prober.call(open_known, self._place, segment, self._held)
        try:
            await self._prober.call(check_large, descriptor, segment, read)
            found = await self._worker_verdict(descriptor, segment, read)
            return await self._prober.call(conclude_large, descriptor, segment, read, found, self._rules, self._clock)
        finally:
            os.close(descriptor)

    async def judged_archive(self, segment: Segment, read: Read) -> Judged:
        """The verdict on the content of a compressed segment, by a worker."""
        descriptor = await self._prober.call(open_segment, self._place, segment)
        try:
            judge = partial(self._pool.judge_archive, descriptor)
            before = Hashed(hashed_until(segment), segment.open_block)
            spans = archive_spans(segment.size)
            found = await judge(read.start, read.end, self._rules, spans, final=read.final, before=before)
            judged = read.start + found.report.bytes
            if segment.anchor.position < judged < segment.size:  # cut off in the middle of a line
                again = await judge(0, 0, self._rules, archive_spans(judged))
                found = replace(found, prints=again.prints)
        finally:
            os.close(descriptor)
        return archive_verdict(segment, read, found, self._rules, self._clock)

    async def _worker_verdict(self, descriptor: int, segment: Segment, read: Read) -> JudgedRange:
        """A line too long for memory is read once for its newline and once for its verdict, not at each growth."""
        pending = read.resume - read.start
        if pending > self._rules.max_line_bytes and await self._prober.call(ends_no_line, descriptor, read):
            return JudgedRange(Report(pending_bytes=read.end - read.start), b"")
        before = Hashed(hashed_until(segment), segment.open_block)
        return await self._pool.judge(
            descriptor, read.start, read.end, self._rules, read.final, hashed=False, before=before
        )
