"""The compressed files of a trail: a worker reads each, so that the ledger knows which segment it is, and judges it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from auditwatch.agent.place import Place, open_sight
from auditwatch.agent.prober import Prober
from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.files.reading import fingerprint
from auditwatch.host.clock import Clock
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.identity import FINGERPRINT_BYTES, Expectation, expectations
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.ledger.state import TrailState
from auditwatch.trail.rules import Rules
from auditwatch.validation.ranges import JudgedArchive, Span
from auditwatch.validation.workers.pool import WorkerPool

AGAIN_SECONDS: Final = 1.0
"""How soon to look again after an archive could not be read: the program that compresses may still be writing it."""

_TRIES_BEFORE_GOING_ON: Final = 3
"""After so many failures in a row, what cannot be read no longer keeps the ledger from missing what is gone."""

_MOST_AGAIN_SECONDS: Final = 300.0

_Inode = tuple[int, int, int, int]
_Key = tuple[_Inode, float]


@dataclass(frozen=True, slots=True)
class ArchiveServices:
    """What reading compressed neighbours takes.

    Attributes:
        prober: Opens them.
        pool: Reads them.
        wake: Called when there is something new to look at.
        troubled: Called with the reason each time that one could not be read.
        clock: Seconds since 1970.
        grace_seconds: How long a file that may still be written must not have changed.
    """

    prober: Prober
    pool: WorkerPool
    wake: Callable[[], None]
    troubled: Callable[[str], None]
    clock: Clock
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a compressed file is compared with.

    Attributes:
        expected: Where known segments have their prints.
        plain: The uncompressed files of the trail that are there.
    """

    expected: Mapping[int, Expectation]
    plain: tuple[FileSight, ...]


@dataclass(slots=True)
class _Failing:
    """An archive that could not be read, for a reason that may pass: a dead worker, a missing library, a disk."""

    times: int = 0
    again_at: float = 0.0

    def failed(self, at: float) -> None:
        self.times += 1
        self.again_at = at + min(AGAIN_SECONDS * 2 ** (self.times - 1), _MOST_AGAIN_SECONDS)


class Unpacking:
    """Judges compressed segments beside a trail's turns, one at a time: unpacking takes long. Belongs to the loop.

    Args:
        judge: Judges what a read asks for, and applies the verdict; True if it could.
        wake: Called when one was judged, and when one that could not be may be tried again.
    """

    def __init__(self, judge: Callable[[Read], Awaitable[bool]], wake: Callable[[], None], clock: Clock) -> None:
        self._judge = judge
        self._wake = wake
        self._clock = clock
        self._failing = _Failing()
        self._task: asyncio.Task[None] | None = None

    def begin(self, read: Read) -> None:
        """Perform a read, unless another is being performed, or failed just now.

        Raises:
            Exception: What was wrong with ourselves when the last one was performed.
        """
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            if not task.cancelled():
                task.result()
        if self._task is None and self._failing.again_at <= self._clock():
            self._task = asyncio.get_running_loop().create_task(self._perform(read))

    async def wait(self) -> bool:
        """Until the read that is being performed is done; False if there was none."""
        if self._task is None or self._task.done():
            return False
        await asyncio.wait({self._task})
        return True

    def cancel(self) -> None:
        """Judge no more."""
        if self._task is not None:
            self._task.cancel()

    async def _perform(self, read: Read) -> None:
        if await self._judge(read):
            self._failing = _Failing()
            self._wake()
        else:
            self._failing.failed(self._clock())
            asyncio.get_running_loop().call_later(self._failing.again_at - self._clock(), self._wake)


class Archives:
    """What the compressed neighbours of one trail hold, as far as they were read. Belongs to the agent's loop."""

    def __init__(self, place: Place, services: ArchiveServices) -> None:
        self._place = place
        self._services = services
        self._read: dict[_Key, FileSight] = {}
        self._compared_with: dict[_Key, Mapping[int, Expectation]] = {}
        self._since: dict[_Key, float] = {}
        self._begun: dict[_Key, set[tuple[int, int]]] = {}
        self._failing: dict[_Key, _Failing] = {}
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def filled(self, seen: Observed, state: TrailState) -> Observed:
        """A look with what is known of compressed neighbours; those that were not read yet are left out, and are read.

        First sight does not wait for them: the monitor is woken to look again.
        """
        packed = [sight for sight in seen.others or () if sight.packed]
        if not packed:
            return seen
        if not state.first_seen:
            self._services.wake()
            return replace(seen, others=_plain(seen.others))
        known = {_inode(segment): segment for segment in state.files if segment.packed}
        self._forget_outdated(seen, state)
        unread = [sight for sight in packed if _inode(sight) not in known and _key(sight) not in self._read]
        self._keep({_key(sight) for sight in packed}, seen.at)
        plain = _plain((*(seen.others or ()), *((seen.active,) if seen.active else ())))
        self._begin([sight for sight in unread if self._is_due(sight, seen.at)], _Compared(expectations(state), plain))
        self._wake_later(unread, seen.at)
        others = tuple(self._filled(seen.others or (), known))
        is_reading = any(map(self._is_awaited, unread))
        return replace(seen, others=others, is_unpacking=is_reading, is_reading=is_reading)

    def _forget_outdated(self, seen: Observed, state: TrailState) -> None:
        """Segments that have no file now may have been judged further since an archive was compared with them."""
        there = {(s.device, s.inode) for s in (*(seen.others or ()), *((seen.active,) if seen.active else ()))}
        sought = {s.number for s in state.files if (s.device, s.inode) not in there}
        now = {number: one for number, one in expectations(state).items() if number in sought}
        for key, before in tuple(self._compared_with.items()):
            if any(before.get(number) != one for number, one in now.items()):
                self._read.pop(key, None)
                del self._compared_with[key]

    async def wait(self) -> None:
        """Until what is being read is read."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def cancel(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
        if self._alarm is not None:
            self._alarm.cancel()

    def _keep(self, there: set[_Key], at: float) -> None:
        """Remember since when each file is as it is; forget what is there no longer."""
        self._since = {key: self._since.get(key, at) for key in there}
        self._read = {key: found for key, found in self._read.items() if key in there}
        self._compared_with = {key: one for key, one in self._compared_with.items() if key in there}
        self._begun = {key: begun for key, begun in self._begun.items() if key in there}
        self._failing = {key: failing for key, failing in self._failing.items() if key in there}

    def _filled(self, others: Iterable[FileSight], known: Mapping[_Inode, Segment]) -> Iterator[FileSight]:
        for sight in others:
            segment, found = known.get(_inode(sight)), self._read.get(_key(sight))
            if not sight.packed:
                yield sight
            elif segment is not None:
                yield replace(sight, size=segment.size, is_cut=segment.is_cut)
            elif found is not None:
                yield replace(found, name=sight.name, since=self._since[_key(sight)])

    def _is_due(self, sight: FileSight, at: float) -> bool:
        failing = self._failing.get(_key(sight))
        return failing is None or failing.again_at <= at

    def _is_awaited(self, sight: FileSight) -> bool:
        failing = self._failing.get(_key(sight))
        return failing is None or failing.times < _TRIES_BEFORE_GOING_ON

    def _wake_later(self, unread: Iterable[FileSight], at: float) -> None:
        """Look again when an archive that does not change any more gets its verdict, or is to be read again."""
        grace = self._services.grace_seconds
        due = [since + grace for since in self._since.values()]
        due += [self._failing[_key(sight)].again_at for sight in unread if _key(sight) in self._failing]
        later = [moment - at for moment in due if moment > at]
        if self._alarm is not None:
            self._alarm.cancel()
        if later:
            self._alarm = asyncio.get_running_loop().call_later(min(later), self._services.wake)

    def _begin(self, unread: list[FileSight], compared: _Compared) -> None:
        if unread and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._read_all(unread, compared))

    async def _read_all(self, unread: list[FileSight], compared: _Compared) -> None:
        for sight in unread:
            try:
                self._read[_key(sight)] = await self._sight(sight, compared)
                self._compared_with[_key(sight)] = compared.expected
            except (Unreadable, WorkerDied) as error:
                if error.reason in ("changed", "missing"):
                    continue  # a rotation goes on: the next look will show under which name, however often
                self._failing.setdefault(_key(sight), _Failing()).failed(self._services.clock())
                self._services.troubled(f"{sight.name}: {error}")
        self._services.wake()

    async def _sight(self, sight: FileSight, compared: _Compared) -> FileSight:
        """The archive with its content's size and prints, and with the files that begin with all of it."""
        expected = compared.expected
        spans = [*(span for one in expected.values() for span in _spans(one)), (0, FINGERPRINT_BYTES)]
        descriptor = await self._services.prober.call(open_sight, self._place, sight)
        try:
            found = await self._services.pool.judge_archive(descriptor, 0, 0, Rules(), spans)
        finally:
            os.close(descriptor)
        *prints, _ = [
            Fingerprint(length, digest.hex()) for (_, length), digest in zip(spans, found.prints, strict=True)
        ]
        by_number = dict(zip(expected, zip(prints[::2], prints[1::2], strict=True), strict=True))
        begun = {(other.device, other.inode) async for other in self._begun_by(found, compared.plain)}
        begun |= self._begun.get(_key(sight), set())  # some of them may be gone by now
        self._begun[_key(sight)] = begun
        return replace(
            sight,
            size=found.size,
            prints=by_number,
            is_cut=found.is_cut,
            begins=tuple(sorted(begun)),
            distinct=found.distinct,
        )

    async def _begun_by(self, found: JudgedArchive, plain: Iterable[FileSight]) -> AsyncIterator[FileSight]:
        """The files that begin with this content. Most differ in their first bytes, so these are compared first."""
        for other in plain:
            if not 0 < found.size <= other.size:
                continue
            try:
                descriptor = await self._services.prober.call(open_sight, self._place, other)
            except Unreadable:
                continue  # renamed meanwhile: then it is compared by its anchor alone
            try:
                first = await self._services.prober.call(fingerprint, descriptor, 0, min(FINGERPRINT_BYTES, found.size))
                if first == (found.prints[-1] or found.digest) and (
                    await self._services.pool.fingerprint(descriptor, 0, found.size) == found.digest
                ):
                    yield other
            finally:
                os.close(descriptor)


def _spans(expected: Expectation) -> tuple[Span, Span]:
    return (0, expected.head_length), (expected.marker_offset, expected.marker_length)


def _plain(others: Iterable[FileSight] | None) -> tuple[FileSight, ...]:
    return tuple(sight for sight in others or () if not sight.packed)


def _inode(file: FileSight | Segment) -> _Inode:
    return file.device, file.inode, file.packed, file.born_ns


def _key(sight: FileSight) -> _Key:
    return _inode(sight), sight.modified
