"""Requests to take what lies there as a trail's new history. Each looks at its trail, so that takes a while."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from auditwatch.agent.compaction import kept_of
from auditwatch.agent.logbook import OnWarning
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.place import open_segment
from auditwatch.errors import StateUnwritable, Unreadable
from auditwatch.ledger.events import Rebaselined
from auditwatch.ledger.rebaselined import open_history
from auditwatch.ledger.state import TrailState
from auditwatch.state.blocks import BlockStore
from auditwatch.state.inbox import Answer, Request, answer
from auditwatch.state.store import trail_key
from auditwatch.trail.words import count_text

LOOKS_TO_CONFIRM: Final = 2
"""A change is suspected at one look and confirmed at another."""

SHORTEST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
"""Of a mount that is away, a look proves nothing for `pending_grace`."""


class Rebaselining:
    """Answers such requests, one task each; belongs to the agent's loop.

    Args:
        state_dir: Where the requests come from.
        monitors: Of all trails, by name.
        blocks: Of all trails.
        say: Called with what was done, for the log.
    """

    def __init__(self, state_dir: str, monitors: Mapping[str, Monitor], blocks: BlockStore, say: OnWarning) -> None:
        self._state_dir = state_dir
        self._monitors = monitors
        self._blocks = blocks
        self._say = say
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def take(self, request: Request) -> None:
        """Begin with a request to which there is no objection, unless that has been done."""
        if request.id not in self._tasks:
            answering = self._answer(self._monitors[request.trail], request)
            self._tasks[request.id] = asyncio.create_task(answering)

    def cancel(self) -> None:
        """Leave what is not finished: it stays in the inbox."""
        for task in self._tasks.values():
            task.cancel()

    async def _answer(self, monitor: Monitor, request: Request) -> None:
        try:
            given = await self._rebaselined(monitor, request)
        except Unreadable as error:
            given = Answer(False, message=f"the trail cannot be looked at: {error}")
        try:
            answer(self._state_dir, request.id, given)
        except StateUnwritable as error:
            self._say("inbox", f"{request.trail}: the answer to a request cannot be written: {error}")
        del self._tasks[request.id]

    async def _rebaselined(self, monitor: Monitor, request: Request) -> Answer:
        await seen_anew(monitor)
        state = monitor.state
        if not open_history(state.violations):
            return Answer(True, message="nothing was open: what lies there is the history that is known")
        proof = await self._proof(monitor, state)
        monitor.apply(Rebaselined(monitor.services.clock(), state.step, request.by, request.reason, proof))
        if not monitor.recorder.is_saved:
            return Answer(False, message="applied, but not saved yet: the state cannot be written now")
        self._forget_blocks(monitor)
        taken = count_text(monitor.state.rebaselines[-1].violations, "violation")
        said = f"{monitor.name}: rebaseline by {request.by}: {request.reason} ({taken} acknowledged; {proof})"
        self._say(f"rebaseline of {monitor.name}", said)
        return Answer(True, message=f"acknowledged: {taken}; {proof}")

    def _forget_blocks(self, monitor: Monitor) -> None:
        """What was recorded of the file is former history: the next full run records the new one."""
        if (active := monitor.state.active) is not None:
            with suppress(StateUnwritable):  # then the next full run finds that they differ, and records the new ones
                self._blocks.forget(trail_key(monitor.name, monitor.config.path), active.number)

    async def _proof(self, monitor: Monitor, state: TrailState) -> str:
        former, prober = state.former, monitor.services.prober
        if former is None:
            return "nothing is known of the history before: nothing could be proved"
        segment = state.segment(former.number) if former.was_closed else state.active
        if segment is None or segment.vanished:
            return "there is no file: nothing could be proved"
        descriptor = await prober.call(open_segment, monitor.place, segment)
        try:
            kept = await kept_of(former, descriptor, prober)
        finally:
            os.close(descriptor)
        if kept is None:
            last = count_text(former.anchor.marker.length, "recorded byte")
            return f"the last {last} are not in the file: nothing could be proved"
        return kept.sentence


async def seen_anew(monitor: Monitor) -> None:
    """Wait until the trail was looked at again, and nothing of what was seen has yet to be confirmed.

    Raises:
        Unreadable: It cannot be looked at.
    """
    before, pause = monitor.looks, SHORTEST_PAUSE_SECONDS
    while monitor.looks < before + LOOKS_TO_CONFIRM or not monitor.state.is_settled:
        monitor.wake(with_neighbours=True)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        if (trouble := monitor.state.trouble) is not None:
            raise Unreadable(trouble.reason, trouble.message)
        if not monitor.services.prober.is_answering:
            raise Unreadable("hung", "its file system is not responding")
