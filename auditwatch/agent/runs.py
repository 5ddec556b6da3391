"""Scheduled validation of what was judged before: whole blocks by workers, one run at a time; samples on the spot."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count, takewhile

from auditwatch.agent.logbook import OnTrouble
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.place import open_segment
from auditwatch.agent.publishing import Publisher
from auditwatch.agent.review import review, review_archive, review_part
from auditwatch.config.hours import Hours
from auditwatch.errors import StateUnwritable, Unreadable, WorkerDied
from auditwatch.ledger.findings import LIVING
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.segment import Segment
from auditwatch.state.blocks import BlockStore
from auditwatch.state.store import trail_key
from auditwatch.trail.grid import Block, Share
from auditwatch.trail.names import printable
from auditwatch.trail.report import Defect, Report, merge
from auditwatch.validation.sample import draw_sample, upper_bound


class Runs:
    """Full and sampled validation of the agent's trails."""

    def __init__(self, publisher: Publisher, blocks: BlockStore, report_error: OnTrouble) -> None:
        self._publisher = publisher
        self._blocks = blocks
        self._report_error = report_error
        self._one_at_a_time = asyncio.Lock()

    async def full(self, monitor: Monitor) -> None:
        """Judge again everything that was judged, and let the ledger compare; what is new is read first."""
        async with self._one_at_a_time:
            await monitor.turn()
            await monitor.judge_archives()
            await self._run(monitor, Mode.FULL, self._review)

    async def full_in(self, window: Hours, monitor: Monitor) -> None:
        """The same until the window closes. What was judged by then is recorded: the next run only has to hash it."""
        now = datetime.now(UTC)
        closes = window.closing(now)
        try:
            async with asyncio.timeout((closes - now).total_seconds() if closes else 0):
                await self.full(monitor)
        except TimeoutError:
            said = "the full validation had not ended when `full_window` closed; the next one goes on faster"
            self._report_error(monitor.name, "full_window", said)

    async def sample(self, monitor: Monitor) -> None:
        """Judge some lines, and some blocks if configured; damage that is not known yet starts a full run at once.

        The ledger compares the blocks, so what is found in them is known.
        """
        drawn: list[tuple[Segment, Report]] = []

        async def draw(monitor: Monitor) -> Report:
            await self._cover(monitor)
            drawn.extend([found async for found in _draws(monitor, self._blocks)])
            return merge(*(report for _, report in drawn))

        await self._run(monitor, Mode.SAMPLE, draw)
        if any(_is_news(segment, defect) for segment, report in drawn for defect in report.defects):
            await self.full(monitor)

    async def _cover(self, monitor: Monitor) -> None:
        """Judge again this run's share of all blocks. The number of runs is stored, so a restart skips no share."""
        parts = monitor.config.sample_cover_in
        if not parts:
            return
        share = Share(monitor.recorder.run(Mode.SAMPLE).runs % parts, parts)
        async with self._one_at_a_time:
            segments = _readable(monitor)
            total, done = sum(segment.judged for segment in segments) or 1, 0
            for segment in segments:
                show = partial(self._show_reviewed, monitor, Mode.SAMPLE, done, total)
                troubled = partial(self._could_not_record, monitor)
                await review_part(monitor, segment, share, self._blocks, show, troubled)
                done += segment.judged

    async def _run(self, monitor: Monitor, mode: Mode, look: Callable[[Monitor], Awaitable[Report]]) -> None:
        """One run with its record; a run that could not look is counted, and never mistaken for damage."""
        started = monitor.services.clock()
        monitor.recorder.record(mode, last_attempt=started)
        self._show(monitor, mode, 0.0)
        try:
            report = await look(monitor)
        except (Unreadable, WorkerDied) as error:
            said = f"{mode} validation could not look at the trail: {error}"
            self._report_error(monitor.name, f"{mode} validation", said)
            monitor.recorder.record(mode, errors=monitor.recorder.run(mode).errors + 1)
        else:
            self._finish(monitor, mode, started, report)
        finally:
            self._show(monitor, mode, None)
        monitor.recorder.save()

    def _finish(self, monitor: Monitor, mode: Mode, started: float, report: Report) -> None:
        now = monitor.services.clock()
        record = monitor.recorder.run(mode)
        bound = upper_bound(report.corrupt_lines, report.lines) if mode is Mode.SAMPLE else record.bound
        monitor.recorder.record(
            mode, runs=record.runs + 1, last_success=now, corrupt_lines=report.corrupt_lines, bound=bound
        )
        durations = dict(self._publisher.agent.validation_duration)
        durations[mode] = durations[mode].observed(now - started)
        self._publisher.change_agent(validation_duration=durations)

    def _show(self, monitor: Monitor, mode: Mode, progress: float | None) -> None:
        if progress is None:
            self._publisher.progress.pop((monitor.name, mode), None)
        else:
            self._publisher.progress[monitor.name, mode] = progress
        self._publisher.changed(monitor.name)

    async def _review(self, monitor: Monitor) -> Report:
        segments = _there(monitor)
        total = sum(segment.judged for segment in segments) or 1
        done, whole = 0, Report()
        for segment in segments:
            show = partial(self._show_reviewed, monitor, Mode.FULL, done, total)
            if segment.packed:
                whole += await review_archive(monitor, segment)
            else:
                whole += await review(monitor, segment, self._blocks, show, partial(self._could_not_record, monitor))
            done += segment.judged
            show(segment.judged)
        self._forget_vanished(monitor)
        return whole

    def _forget_vanished(self, monitor: Monitor) -> None:
        key = trail_key(monitor.name, monitor.config.path)
        try:
            for segment in monitor.state.closed:
                if segment.vanished:
                    self._blocks.forget(key, segment.number)
        except StateUnwritable as error:
            self._could_not_record(monitor, error)

    def _could_not_record(self, monitor: Monitor, error: StateUnwritable) -> None:
        said = f"the next full validation will parse blocks that it could have hashed: {error}"
        self._report_error(monitor.name, "recorded blocks", said)

    def _show_reviewed(self, monitor: Monitor, mode: Mode, before: int, total: int, done: int) -> None:
        self._show(monitor, mode, (before + done) / total)


def _readable(monitor: Monitor) -> tuple[Segment, ...]:
    """The files of which parts can be looked at: a compressed one can only be read whole.

    Raises:
        Unreadable: As `_there`.
    """
    return tuple(segment for segment in _there(monitor) if not segment.packed)


def _there(monitor: Monitor) -> tuple[Segment, ...]:
    """The files to look at.

    Raises:
        Unreadable: If the trail cannot be read now, or there is nothing to read: then no run counts as a look.
    """
    trouble = monitor.state.trouble
    if trouble is not None:
        raise Unreadable(trouble.reason, trouble.message)
    if not monitor.state.files:
        raise Unreadable("missing", f"{printable(monitor.config.path)}: there is no file to validate")
    return monitor.state.files


async def _draws(monitor: Monitor, blocks: BlockStore) -> AsyncIterator[tuple[Segment, Report]]:
    """Each segment's share of the lines, at least one."""
    segments = [segment for segment in _readable(monitor) if segment.judged]
    total = sum(segment.judged for segment in segments)
    for segment in segments:
        lines = max(1, round(monitor.config.sample_lines * segment.judged / total))
        recorded = _recorded(monitor, segment, blocks)
        yield segment, await monitor.services.prober.call(_drawn, monitor, segment, lines, recorded)


def _recorded(monitor: Monitor, segment: Segment, blocks: BlockStore) -> dict[int, Block]:
    """The blocks that earlier runs judged, from the first on; read here, because the prober's thread must not."""
    key, rules_id = trail_key(monitor.name, monitor.config.path), monitor.config.rules.reports_id
    found = (blocks.block(key, segment.number, rules_id, k) for k in count())
    return {block.k: block for block in takewhile(lambda block: block is not None, found) if block is not None}


def _drawn(monitor: Monitor, segment: Segment, lines: int, recorded: Mapping[int, Block]) -> Report:
    descriptor = open_segment(monitor.place, segment)
    try:
        seed = secrets.randbits(64)
        rules = monitor.config.rules
        sample = draw_sample(descriptor, segment.judged, rules, lines, seed, recorded=recorded.get)
        return _without_pending(sample.report)
    finally:
        os.close(descriptor)


def _without_pending(report: Report) -> Report:
    """Only the ended lines: what the range cut off belongs to another range."""
    return replace(report, pending_bytes=0)


def _is_news(segment: Segment, defect: Defect) -> bool:
    if any(low <= defect.offset < high for low, high in segment.unlisted_ranges):
        return False
    known = (f for f in segment.findings if f.state in LIVING)
    return all((finding.offset, finding.sha256) != (defect.offset, defect.sha256) for finding in known)
