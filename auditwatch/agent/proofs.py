"""History is hashed again, within a budget over all trails: what was judged is still there, or somebody rewrote it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from auditwatch.agent.budget import Budget
from auditwatch.agent.hashing import CALL_BYTES, Hashes, glances_at, hash_blocks, hash_lines
from auditwatch.agent.monitor import SETTLE_SECONDS, Monitor
from auditwatch.agent.proof_times import TURN_BYTES, ProofTimes, is_unknown, segment_bytes
from auditwatch.agent.review import content_hashes, review_range
from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.ledger.blocks import blocks_of, hashed_until, line_blocks
from auditwatch.ledger.effects import HashAgain, Need, Review
from auditwatch.ledger.events import Rehash, Rehashed
from auditwatch.ledger.segment import Segment
from auditwatch.trail.grid import BLOCK_BYTES, BlockDigest

LOOKS: Final = 2
"""How often the content of a compressed segment is compared: two looks confirm what is found."""

TICK_SECONDS: Final = 1.0
"""How often to see whether anything is due."""

CHOOSING_SHARE: Final = 0.004
"""Share of a core that choosing what to hash may take: of very many trails, it is done less often."""

MOST_GONE: Final = 16
"""How many segments that are gone may be remembered for nothing."""

CALL_SECONDS: Final = 0.0003
"""What a call costs, whatever it hashes: 100 growing trails of 70 kB took 0.25 ms a turn."""

CLOSED_SECONDS: Final = 5.0
"""How often the times of closed segments are looked at."""

Shown = Callable[[str, float | None], None]
"""Called with a trail and when its oldest proof was; None if there is nothing to prove."""


@dataclass(slots=True)
class _Trail:
    """What is remembered of the segments of one trail, by number, for as long as its monitor is the same."""

    monitor: Monitor
    segments: dict[int, ProofTimes] = field(default_factory=dict)
    acknowledged: frozenset[str] = frozenset()
    is_begun: bool = False


@dataclass(frozen=True, slots=True)
class _Turn:
    urgency: float
    monitor: Monitor
    segment: Segment
    times: ProofTimes


class Proofs:
    """Hashes again what is due, the most urgent first. Belongs to the agent's loop.

    Args:
        monitors: By name.
        budget: Over all of them.
        shown: Called when it is known how old the oldest proof of a trail is.
    """

    def __init__(self, monitors: Mapping[str, Monitor], budget: Budget, shown: Shown) -> None:
        self._monitors = monitors
        self._budget = budget
        self._shown = shown
        self._trails: dict[str, _Trail] = {}
        self._unpacking: dict[str, dict[int, asyncio.Task[None]]] = {}
        self._closed_looked = float("-inf")
        self._choosing_seconds = 0.0

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(max(TICK_SECONDS, self._choosing_seconds / CHOOSING_SHARE))

    async def tick(self) -> None:
        """Hash what is due now, as far as the budget goes."""
        self._follow()
        await self._look_at_closed()
        begun = time.thread_time()
        turns = sorted(self._turns(), key=lambda turn: turn.urgency, reverse=True)
        self._choosing_seconds = time.thread_time() - begun
        performed: dict[str, Monitor] = {}
        for turn in turns:
            if not _is_first(turn) and not self._budget.is_left():
                break
            if (segment := _file(turn.monitor, turn.segment.number)) is not None:
                performed[turn.monitor.name] = turn.monitor
                await self._perform(replace(turn, segment=segment))
        for monitor in performed.values():
            self._show(monitor)

    async def whole(self, monitor: Monitor) -> None:
        """Hash everything of one trail, whatever it takes."""
        self._follow()
        trail = self._trails.get(monitor.name)
        for segment, times in tuple(self._segments(trail)) if trail else ():
            await self._prove_whole(monitor, segment.number, times)
            if unpacking := tuple(self._unpacking.get(monitor.name, {}).values()):
                await asyncio.wait(unpacking)
                await self._prove_whole(monitor, segment.number, times)
        self._show(monitor)

    async def _prove_whole(self, monitor: Monitor, number: int, times: ProofTimes) -> None:
        times.ask(time.monotonic())
        while times.is_asked and (segment := _file(monitor, number)) is not None:
            await self._perform(_Turn(0.0, monitor, segment, times))

    def _follow(self) -> None:
        """Forget trails that are no longer watched, and begin with those that were looked at for the first time."""
        gone = [n for n, trail in self._trails.items() if self._monitors.get(n) is not trail.monitor]
        for name in gone:
            del self._trails[name]
        for name, monitor in self._monitors.items():
            if monitor.looked:
                self._trails.setdefault(name, _Trail(monitor))

    def _turns(self) -> Iterator[_Turn]:
        monotonic = time.monotonic()
        for trail in self._trails.values():
            monitor = trail.monitor
            now, goal = monitor.services.clock(), monitor.config.rehash_seconds
            for segment, times in self._segments(trail):
                urgency = times.urgency(segment, now, monotonic, goal) if segment_bytes(segment) else 0.0
                if urgency:
                    yield _Turn(urgency, monitor, segment, times)

    def _segments(self, trail: _Trail) -> Iterator[tuple[Segment, ProofTimes]]:
        """The files of a trail with what is known of their proofs; what is there at the start is proved at once."""
        monitor, monotonic = trail.monitor, time.monotonic()
        now, state = monitor.services.clock(), monitor.state
        files = [segment for segment in state.files if monitor.state.is_up]
        is_accepted = self._is_accepted(trail)
        for segment in files:
            times = trail.segments.get(segment.number)
            if times is None:
                until = 0 if trail.is_begun else hashed_until(segment)
                times = ProofTimes(segment.proved or min(now, segment.grown), until)
                trail.segments[segment.number] = times
                if not trail.is_begun:
                    times.ask(monotonic)
            if is_accepted or (is_unknown(segment) and times.may_turn(monotonic)):
                times.ask(monotonic)
            if segment is state.active and monitor.glance is not None:
                times.note(monitor.glance, segment.name, monotonic)
            times.settle(monotonic)
            yield segment, times
        trail.is_begun = trail.is_begun or bool(files)
        if len(trail.segments) > 2 * len(files) + MOST_GONE:
            trail.segments = {s.number: trail.segments[s.number] for s in files if s.number in trail.segments}

    def _is_accepted(self, trail: _Trail) -> bool:
        """Whether other content counts as history since the last tick: is it what was acknowledged?"""
        known = trail.acknowledged
        trail.acknowledged = frozenset(row.id for row in trail.monitor.state.violations if row.acknowledgement)
        return trail.is_begun and known != trail.acknowledged

    async def _look_at_closed(self) -> None:
        """The times of closed segments: one call for each volume."""
        if time.monotonic() - self._closed_looked < CLOSED_SECONDS:
            return
        self._closed_looked = time.monotonic()
        for trail in self._trails.values():
            closed = [segment for segment in trail.monitor.state.closed if segment.number in trail.segments]
            if closed:
                await self._look_at(trail, closed)

    async def _look_at(self, trail: _Trail, closed: Sequence[Segment]) -> None:
        place = trail.monitor.place
        paths = [place.of(segment.name, segment.directory) for segment in closed]
        try:
            seen = await trail.monitor.services.prober.call(glances_at, paths)
        except Unreadable:
            return  # hung: `is_answering` says so
        for segment, glance in zip(closed, seen, strict=True):
            if (glance.device, glance.inode) == (segment.device, segment.inode):
                trail.segments[segment.number].note(glance, segment.name, time.monotonic())

    async def _perform(self, turn: _Turn) -> None:
        """One turn. What cannot be read now is tried again when the file stirs, or is due again."""
        turn.times.turned = time.monotonic()
        try:
            await self._prove(turn)
        except (Unreadable, WorkerDied):
            turn.times.give_up(time.monotonic())

    async def _prove(self, turn: _Turn) -> None:
        monitor, segment, times = turn.monitor, turn.segment, turn.times
        if segment.packed and not segment.archive and line_blocks(segment) and times.unpacked != segment.inode:
            self._unpack(monitor, segment, times)
            times.give_up(time.monotonic())  # until it is known whether the file holds what was judged
            return
        if any(doubt.segment == segment.number for doubt in monitor.state.doubts):
            await monitor.turn()  # a look may know why the bytes are others: a file that was cut, or is another one
            looked_at = _file(monitor, segment.number)
            if looked_at is None:
                return
            segment = looked_at
        before = monitor.services.clock()
        due = [(block, times.since(block, before)) for block in times.due(segment)]
        found = [*await self._hashed(monitor, segment, due), *await self._learned(monitor, segment)]
        at = monitor.services.clock()
        now = _file(monitor, segment.number)
        if now is None:
            return
        times.hashed(now, found, at, time.monotonic())
        if len(found) < len(due):
            times.give_up(time.monotonic())
            monitor.wake()  # the file is shorter than what was judged: looks say what happened to it
        await self._answer(monitor, monitor.tell(Rehashed(at, segment.number, tuple(found), times.oldest)))

    async def _hashed(
        self, monitor: Monitor, segment: Segment, due: Sequence[tuple[BlockDigest, float]]
    ) -> list[Rehash]:
        found: list[Rehash] = []
        for part in _parts(due):
            blocks = [block for block, _ in part]
            hashes: Hashes = await monitor.services.prober.call(hash_blocks, monitor.place, segment, blocks)
            self._spend(hashes)
            digests = {block.start: block.digest for block in hashes.digests}
            found += [Rehash(block, digests[block.start], since) for block, since in part if block.start in digests]
        return found

    async def _learned(self, monitor: Monitor, segment: Segment) -> list[Rehash]:
        """Digests of what was judged and never hashed: by an earlier version, or in a compressed file."""
        if segment.packed:
            pieces = [] if segment.archive else _pieces(segment.packed)
            return [
                _new(one.block.start, one.block.end, one.found) for one in await self._hashed(monitor, segment, pieces)
            ]
        found: list[Rehash] = []
        start, end = hashed_until(segment), segment.anchor.position
        while start < end and start - hashed_until(segment) < TURN_BYTES:
            hashes: Hashes = await monitor.services.prober.call(hash_lines, monitor.place, segment, start, end)
            self._spend(hashes)
            if not hashes.digests:
                break
            found += [_new(block.start, block.end, block.digest) for block in hashes.digests]
            start = found[-1].block.end
        return found

    def _unpack(self, monitor: Monitor, segment: Segment, times: ProofTimes) -> None:
        """In a task of its own: it takes ten times as long as hashing, and nothing else shall wait for it."""
        if segment.number not in self._unpacking.setdefault(monitor.name, {}):
            task = asyncio.get_running_loop().create_task(self._compare_content(monitor, segment.number, times))
            self._unpacking[monitor.name][segment.number] = task
            task.add_done_callback(lambda _: self._unpacking[monitor.name].pop(segment.number))

    async def _compare_content(self, monitor: Monitor, number: int, times: ProofTimes) -> None:
        """Is what a compressed segment holds what was judged? After that, its file's bytes are hashed as they are."""
        starts: frozenset[int] | None = None
        with suppress(Unreadable, WorkerDied):  # tried again when its segment is due again
            for _ in range(LOOKS):
                segment = _file(monitor, number)
                if segment is None or not segment.packed:
                    return
                found = await content_hashes(monitor, segment, starts)
                event = Rehashed(monitor.services.clock(), number, tuple(found), is_content=True)
                again = [need for need in monitor.tell(event) if isinstance(need, HashAgain)]
                if not again:
                    times.unpacked = segment.inode
                    times.ask(time.monotonic())
                    return
                starts = again[0].starts
                await asyncio.sleep(SETTLE_SECONDS)

    async def _answer(self, monitor: Monitor, needs: Sequence[Need]) -> None:
        for need in needs:
            if isinstance(need, HashAgain):
                await asyncio.sleep(SETTLE_SECONDS)
                await self._hash_again(monitor, need)
            elif isinstance(need, Review):
                await review_range(monitor, need)

    async def _hash_again(self, monitor: Monitor, need: HashAgain) -> None:
        segment = _file(monitor, need.segment)
        if segment is None:
            return
        blocks = [(block, 0.0) for block in blocks_of(segment) if block.start in need.starts]
        found = await self._hashed(monitor, segment, blocks)
        event = Rehashed(monitor.services.clock(), need.segment, tuple(found))
        await self._answer(monitor, monitor.tell(event))

    def _spend(self, hashes: Hashes) -> None:
        self._budget.spend(hashes.cpu_seconds + CALL_SECONDS, sum(block.end - block.start for block in hashes.digests))

    def _show(self, monitor: Monitor) -> None:
        if (trail := self._trails.get(monitor.name)) is None:
            return  # it is no longer watched
        times = trail.segments
        there = [times[s.number].oldest for s in monitor.state.files if s.number in times and segment_bytes(s)]
        self._shown(monitor.name, min(there, default=None))


def _is_first(turn: _Turn) -> bool:
    """Whether this is the first proof of a trail so small that it need not wait for the budget."""
    return turn.times.turned is None and sum(map(segment_bytes, turn.monitor.state.files)) <= TURN_BYTES


def _file(monitor: Monitor, number: int) -> Segment | None:
    return next((segment for segment in monitor.state.files if segment.number == number), None)


def _parts(due: Sequence[tuple[BlockDigest, float]]) -> Iterator[list[tuple[BlockDigest, float]]]:
    """Groups of blocks for one call each."""
    part: list[tuple[BlockDigest, float]] = []
    for one in due:
        if part and one[0].end - part[0][0].start > CALL_BYTES:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


def _pieces(size: int) -> list[tuple[BlockDigest, float]]:
    """A compressed file in pieces of the size of a block."""
    return [(BlockDigest(start, min(start + BLOCK_BYTES, size), ""), 0.0) for start in range(0, size, BLOCK_BYTES)]


def _new(start: int, end: int, found: str) -> Rehash:
    return Rehash(BlockDigest(start, end, ""), found, 0.0)
