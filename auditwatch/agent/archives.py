"""The compressed files beside a trail: a worker reads each once, and the ledger then knows which segment it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from auditwatch.agent.prober import Prober
from auditwatch.agent.probes import Place, open_sight
from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.ledger.events import FileSight, Observed
from auditwatch.ledger.identity import Expectation, expectations
from auditwatch.ledger.segment import Fingerprint
from auditwatch.ledger.state import TrailState
from auditwatch.trail.rules import Rules
from auditwatch.validation.ranges import Span
from auditwatch.validation.workers.pool import WorkerPool

AGAIN_SECONDS: Final = 1.0
"""How soon to look again after an archive could not be read: the program that compresses may still be writing it."""

_OF_ITS_BYTES: Final = ("io_error", "unsupported")
"""Why reading it again is of no use until it changes."""

_Key = tuple[int, int, int, float]


class Archives:
    """What the compressed neighbours of one trail hold, as far as they were read. Belongs to the agent's loop.

    Args:
        place: Of the trail.
        prober: Opens them.
        pool: Reads them.
        wake: Called when one more was read.
    """

    def __init__(self, place: Place, prober: Prober, pool: WorkerPool, wake: Callable[[], None]) -> None:
        self._place = place
        self._prober = prober
        self._pool = pool
        self._wake = wake
        self._read: dict[_Key, FileSight | None] = {}
        self._task: asyncio.Task[None] | None = None

    def filled(self, seen: Observed, state: TrailState) -> Observed:
        """A look with what is known of compressed neighbours; those that were not read yet are left out, and are read.

        First sight does not wait for them: the monitor is woken to look again.
        """
        packed = [sight for sight in seen.others or () if sight.packed]
        if not packed:
            return seen
        if not state.first_seen:
            self._wake()
            return replace(seen, others=_plain(seen.others))
        known = {(s.device, s.inode, s.packed): s.size for s in state.files if s.packed}
        unread = [s for s in packed if (s.device, s.inode, s.packed) not in known and _key(s) not in self._read]
        there = set(map(_key, packed))
        self._read = {key: found for key, found in self._read.items() if key in there}
        self._begin(unread, expectations(state))
        others = tuple(self._filled(seen.others or (), known))
        return replace(seen, others=others, is_unpacking=bool(unread))

    async def wait(self) -> None:
        """Until what is being read is read."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def cancel(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    def _filled(self, others: Iterable[FileSight], known: Mapping[tuple[int, int, int], int]) -> Iterator[FileSight]:
        for sight in others:
            size = known.get((sight.device, sight.inode, sight.packed))
            found = self._read.get(_key(sight))
            if not sight.packed:
                yield sight
            elif size is not None:
                yield replace(sight, size=size)
            elif found is not None:
                yield replace(found, name=sight.name)

    def _begin(self, unread: list[FileSight], expected: Mapping[int, Expectation]) -> None:
        if unread and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._read_all(unread, expected))

    async def _read_all(self, unread: list[FileSight], expected: Mapping[int, Expectation]) -> None:
        failed = 0
        for sight in unread:
            try:
                self._read[_key(sight)] = await self._sight(sight, expected)
            except (Unreadable, WorkerDied) as error:
                failed += 1
                if isinstance(error, WorkerDied) or error.reason in _OF_ITS_BYTES:
                    self._read[_key(sight)] = None
        asyncio.get_running_loop().call_later(AGAIN_SECONDS if failed else 0, self._wake)

    async def _sight(self, sight: FileSight, expected: Mapping[int, Expectation]) -> FileSight:
        """The archive with its content's size and prints."""
        spans = [span for one in expected.values() for span in _spans(one)]
        descriptor = await self._prober.call(open_sight, self._place, sight)
        try:
            found = await self._pool.judge_archive(descriptor, 0, 0, Rules(), spans)
        finally:
            os.close(descriptor)
        prints = [Fingerprint(length, digest.hex()) for (_, length), digest in zip(spans, found.prints, strict=True)]
        by_number = dict(zip(expected, zip(prints[::2], prints[1::2], strict=True), strict=True))
        return replace(sight, size=found.size, prints=by_number)


def _spans(expected: Expectation) -> tuple[Span, Span]:
    return (0, expected.head_length), (expected.marker_offset, expected.marker_length)


def _plain(others: Iterable[FileSight] | None) -> tuple[FileSight, ...]:
    return tuple(sight for sight in others or () if not sight.packed)


def _key(sight: FileSight) -> _Key:
    return sight.device, sight.inode, sight.packed, sight.modified
