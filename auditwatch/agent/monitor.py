"""One trail's monitor: it performs the effects that the ledger asks for, and decides nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from auditwatch.agent.about import absence_text
from auditwatch.agent.archives import Archives, ArchiveServices, Unpacking
from auditwatch.agent.held import Held, Stirred
from auditwatch.agent.logbook import OnTrouble
from auditwatch.agent.place import Place
from auditwatch.agent.prober import Prober
from auditwatch.agent.probes import Count, Glance, look, look_at_counters
from auditwatch.agent.reader import Reader
from auditwatch.agent.recorder import Recorder
from auditwatch.config.settings import TrailConfig
from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.host.clock import Clock
from auditwatch.ledger.effects import LookAgain, Need, Read
from auditwatch.ledger.events import Event, Judged, Nameless, Observed, Ticked
from auditwatch.ledger.identity import expected_at_path, expected_neighbours
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Standing, TrailState
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.workers.pool import WorkerPool

SETTLE_SECONDS: Final = 0.2
"""Between two looks at something that one look does not prove: by then a rotation in progress is over."""

LOOKS_A_TURN: Final = 4
"""Looks in a row that may ask for another; what is still unsettled is looked at again at the next poll."""


@dataclass(frozen=True, slots=True)
class TrailServices:
    """What monitors work with, given by the supervisor.

    Attributes:
        changed: Called after each change of anything that is shown.
        measured: Called with the seconds from an append until it was judged.
        troubled: Called when the trail's file, or one beside it, could not be looked at.
        clock: Seconds since 1970.
    """

    prober: Prober
    pool: WorkerPool
    changed: Callable[[str], None]
    measured: Callable[[float], None]
    troubled: OnTrouble = lambda _trail, _reason, _message: None
    clock: Clock = time.time


class Monitor:
    """Watches one trail. All its methods belong to the agent's loop.

    Attributes:
        config: As configured.
        recorder: The trail's state and run records.
        glance: What `stat` last said; None before the first time.
        looked: When the trail was last looked at successfully; 0 before the first time.
        counted: How the counters file looked when it was read; None if it is to be read.
        looks: How often the trail was looked at since the start.
        held: What is held open.
        is_spared: Whether it is not held, because too many files are open.
    """

    def __init__(self, config: TrailConfig, recorder: Recorder, services: TrailServices) -> None:
        self.config = config
        self.recorder = recorder
        self.services = services
        self.place = Place(config.path, config.follow_symlink, config.segments)
        self.glance: Glance | None = None
        self.looked = 0.0
        self.looks = 0
        self.counted: Glance | None = None
        self.is_spared = False
        self._wake = asyncio.Event()
        self._with_neighbours = True
        self._turning = asyncio.Lock()
        self.held = Held(config.hold_seconds)
        self._reader = Reader(self.place, services.prober, services.pool, config.rules, services.clock, self.held)
        self._unpacking = Unpacking(self._judge_beside, self.wake, services.clock)
        self._archives = Archives(
            self.place,
            ArchiveServices(
                prober=services.prober,
                pool=services.pool,
                wake=lambda: self.wake(with_neighbours=True),
                troubled=self._could_not_unpack,
                clock=services.clock,
                grace_seconds=config.pending_grace_seconds,
            ),
        )

    @property
    def name(self) -> str:
        """The trail's name."""
        return self.config.name

    @property
    def state(self) -> TrailState:
        """What the ledger knows."""
        return self.recorder.state

    def wake(self, with_neighbours: bool = False) -> None:
        """Look soon; call it from the loop's thread."""
        self._with_neighbours |= with_neighbours
        self._wake.set()

    def note_glance(self, glance: Glance, at: float) -> None:
        """Take what a poll saw, and look if anything is new."""
        if glance.state in ("present", "missing"):
            self.looked = at
        if glance != self.glance or not self._is_as_known(glance):
            self.wake()
        if not self.state.is_settled:
            self.wake(with_neighbours=True)
        self.glance = glance

    def _is_as_known(self, glance: Glance) -> bool:
        """Whether the last look showed the same: it may have been later than the last glance."""
        active = self.state.active
        if active is None or glance.state != "present":
            return active is None and glance.state == "missing" and self.state.standing is not Standing.UNREADABLE
        return self.state.standing is Standing.PRESENT and (glance.device, glance.inode, glance.size) == (
            active.device,
            active.inode,
            active.size,
        )

    def note_count(self, seen: Count | None) -> None:
        """Take what a look at the counters file saw."""
        if seen is None:
            return
        self.counted = seen.glance
        before = self.state
        self.recorder.apply(seen.event)
        if self.state is not before:
            self.services.changed(self.name)

    def note_stirred(self, stirred: Iterable[Stirred]) -> None:
        """Take which files grew that are no longer the active one; a poll brings them."""
        self._note_spared()
        for one in stirred:
            if one.has_name:
                self.wake(with_neighbours=True)
            else:
                self.recorder.apply(Nameless(self.services.clock(), one.more))
                self.services.changed(self.name)

    def spare(self) -> None:
        """Hold nothing until the trail grows: too many files are open."""
        self.services.prober.submit(self.held.rest)

    def _note_spared(self) -> None:
        is_to_be_held = self.config.hold_seconds is None and self.state.standing is Standing.PRESENT and self.looks > 0
        is_spared = is_to_be_held and not self.held.is_holding
        if is_spared != self.is_spared:
            self.is_spared = is_spared
            self.services.changed(self.name)

    async def run(self) -> None:
        """Watch until cancelled. What wakes the trail while it pauses is looked at together, at the next turn."""
        try:
            while True:
                await self._wake.wait()
                begun = time.monotonic()
                self._wake.clear()
                await self.turn()
                await asyncio.sleep(begun + self.config.wake_interval_seconds - time.monotonic())
        finally:
            self._archives.cancel()
            self._unpacking.cancel()
            self.services.prober.submit(self.held.close)

    async def turn(self) -> None:
        """Look, and read until nothing is left. What cannot be read now is tried again at the next poll."""
        async with self._turning:
            with_neighbours, self._with_neighbours = self._with_neighbours, False
            try:
                await self._turn(with_neighbours)
                await self._end_tails()
            except (Unreadable, WorkerDied) as error:
                self._could_not_look(error)
                asyncio.get_running_loop().call_later(self.config.poll_interval_seconds, self.wake)

    async def settle(self) -> None:
        """Turn until every compressed neighbour is read and judged, and what one look cannot prove is proved."""
        await self.turn()  # the first look leaves compressed neighbours out
        await self.turn()
        await self._archives.wait()
        await self.turn()
        await self.judge_archives()
        if not self.state.is_settled:
            await asyncio.sleep(self.state.policy.absence_seconds)
            self.wake(with_neighbours=True)
            await self.turn()

    async def judge_archives(self) -> None:
        """Turn until every compressed segment that is known, and can be read, is judged."""
        while await self._unpacking.wait():
            await self.turn()

    async def last_look(self) -> None:
        """One more turn, and one more look at the counters, before the end."""
        await self.turn()
        with suppress(Unreadable):  # hung: they are looked at after the next start
            self.note_count(
                await self.services.prober.call(look_at_counters, self.place, self.counted, self.services.clock)
            )

    async def _turn(self, with_neighbours: bool) -> None:
        """Look until nothing is asked for any more; at another active file at once again, so that it is held."""
        before = self.state.active
        await self._look_and_read(with_neighbours)
        after = self.state.active
        if before and after and before.number != after.number:
            await self._look_and_read(with_neighbours=False)

    async def _look_and_read(self, with_neighbours: bool) -> None:
        requests, looks = await self._look(with_neighbours), 1
        while requests := self._without_archives(requests):
            if isinstance(requests[0], LookAgain):
                if looks == LOOKS_A_TURN:
                    return
                looks += 1
                await asyncio.sleep(SETTLE_SECONDS if self.state.suspicion else 0)
                requests = await self._look(with_neighbours=True)
            elif isinstance(requests[0], Read):
                again = requests[-1:] if requests[-1] == LookAgain() else ()
                requests = (*await self._read_and_look(requests[0]), *again)
            else:
                return

    def _without_archives(self, requests: Sequence[Need]) -> Sequence[Need]:
        """The requests but for reads of compressed segments, which are performed meanwhile."""
        beside = [one for one in requests if isinstance(one, Read) and self._segment(one.segment).packed]
        if beside:
            self._unpacking.begin(beside[0])
        return [one for one in requests if one not in beside]

    async def _look(self, with_neighbours: bool) -> Sequence[Need]:
        expected = expected_at_path(self.state)
        closed = expected_neighbours(self.state) if with_neighbours else None
        place = self.place.knowing(self.state.segments) if with_neighbours else self.place
        seen = await self.services.prober.call(look, place, expected, closed, self.services.clock, self.held)
        self.looks += 1
        seen = self._archives.filled(seen, self.state)
        if seen.trouble is None:
            self.looked = seen.at
        else:
            self._note_trouble(seen.trouble)
        needs = self._apply(seen)
        if self.looks == 1 and self.state.standing is Standing.MISSING:
            self.services.troubled(self.name, "missing", absence_text(self.config.path))
        return needs

    def _note_trouble(self, trouble: Trouble) -> None:
        """An error is counted, and told, when it begins, not at each poll."""
        if self.state.trouble != trouble:
            self._count_error()
            self.services.troubled(self.name, trouble.reason, trouble.message)

    async def _read_and_look(self, read: Read) -> Sequence[Need]:
        """Perform a read; during a long history look again now and then, because rotations happen then too."""
        is_history = self._is_history(read)
        requests = self._apply(await self._reader.judged(self._segment(read.segment), read))
        if not is_history:
            self._measure(read.segment)
        if requests and self.services.clock() - self.looked > self.config.poll_interval_seconds:
            return await self._look(with_neighbours=False)
        return requests

    async def _judge_beside(self, read: Read) -> bool:
        segment = self._segment(read.segment)
        try:
            verdict = await self._reader.judged_archive(segment, read)
            if self._is_unchanged(segment):
                self._apply(verdict)
        except (Unreadable, WorkerDied) as error:
            if error.reason not in ("changed", "missing"):  # then the next look will show
                self._could_not_unpack(f"{segment.name}: {error}")
            return False
        return True

    def _is_unchanged(self, segment: Segment) -> bool:
        """Whether the verdict on this segment is still one on what the ledger knows as it."""
        now = self.state.segment(segment.number)
        return now is not None and (now.inode, now.packed, now.size, now.judged, now.anchor) == (
            segment.inode,
            segment.packed,
            segment.size,
            segment.judged,
            segment.anchor,
        )

    def _segment(self, number: int) -> Segment:
        active = self.state.active
        if active is not None and active.number == number:
            return active
        return next(s for s in self.state.closed if s.number == number and not s.vanished)

    def _is_history(self, read: Read) -> bool:
        return read.resume < self._segment(read.segment).counted_until

    def _measure(self, number: int) -> None:
        modified = self._segment(number).modified
        self.services.measured(max(0.0, self.services.clock() - modified))

    def tick(self, at: float) -> None:
        """Time has passed: unended tails of closed segments may be final now."""
        if self.recorder.apply(Ticked(at)):
            self.wake()

    async def _end_tails(self) -> None:
        for read in self._without_archives(self.recorder.apply(Ticked(self.services.clock()))):
            if isinstance(read, Read):
                self._apply(await self._reader.judged(self._segment(read.segment), read))

    def apply(self, event: Event) -> None:
        """Advance by an event from outside: a review, an acknowledgement.

        Raises:
            Unreadable: changed, if this monitor no longer watches the trail.
        """
        if self._apply(event):
            self.wake()

    def tell(self, event: Event) -> Sequence[Need]:
        """Advance by an event from outside that may ask for something, which is the caller's to do.

        Raises:
            Unreadable: changed, if this monitor no longer watches the trail.
        """
        return self._apply(event)

    def _apply(self, event: Event) -> Sequence[Need]:
        if self.recorder.is_retired:  # while a worker read or a disk was slow
            raise Unreadable("changed", f"{self.name} is no longer watched, or is watched differently")
        before = self.state
        if isinstance(event, Judged):
            self._count_run(event)
        requests = self.recorder.apply(event)
        if self.state is not before:
            self.services.changed(self.name)
        return requests

    def _count_run(self, event: Judged) -> None:
        record = self.recorder.run(Mode.TAIL)
        self.recorder.record(
            Mode.TAIL,
            runs=record.runs + 1,
            last_attempt=event.at,
            last_success=event.at,
            corrupt_lines=event.report.corrupt_lines,
        )

    def _could_not_look(self, error: Unreadable | WorkerDied) -> None:
        if isinstance(error, Unreadable) and error.reason in ("changed", "missing"):
            return  # the file was rotated between look and read: the next look will show
        self._count_error()
        if isinstance(error, Unreadable):
            self._apply(Observed(self.services.clock(), None, Trouble.of(error)))

    def _could_not_unpack(self, message: str) -> None:
        self._count_error()
        said = f"a compressed segment could not be looked at: {message}"
        self.services.troubled(self.name, "compressed segments", said)

    def _count_error(self) -> None:
        self.recorder.record(Mode.TAIL, errors=self.recorder.run(Mode.TAIL).errors + 1)
