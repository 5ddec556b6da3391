"""What the agent does about itself: heartbeat, self-test, inbox, watcher, and its own figures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from auditwatch.agent.logbook import OnWarning
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.offline import remember_watched
from auditwatch.agent.prober import Prober
from auditwatch.agent.publishing import Publisher
from auditwatch.agent.rebaselining import Rebaselining
from auditwatch.agent.requests import event_of, meant, objection, outcome
from auditwatch.agent.selftest import judges_rightly
from auditwatch.config.settings import Config
from auditwatch.errors import StateError, StateUnwritable, Unreadable
from auditwatch.files.watcher import Watcher
from auditwatch.host.descriptors import limit
from auditwatch.ledger.events import Scope
from auditwatch.state import inbox
from auditwatch.state.directory import StateDirectory
from auditwatch.validation.workers.pool import WorkerPool

HEARTBEAT_SECONDS: Final = 0.5
HEALTHY_SECONDS: Final = 30.0
WATCHER_CHECK_SECONDS: Final = 5.0
SELFTEST_SECONDS: Final = 3600.0
ATTEMPT_SECONDS: Final = 2.0
"""How long to wait before what could not be put in its place is tried again: a store is read as a whole for that."""
SPARE_SECONDS: Final = 5.0
DURABLE_SECONDS: Final = 60.0
"""How much growth a power cut may take back: it is judged again."""


class Housekeeping:
    """Turns once per heartbeat, for as long as the loop runs."""

    def __init__(
        self,
        state: StateDirectory,
        publisher: Publisher,
        monitors: Mapping[str, Monitor],
        watcher: Watcher,
        pool: WorkerPool,
        warn: OnWarning,
    ) -> None:
        self._state = state
        self._warn = warn
        self._is_in_place = state.is_in_place
        self._waits_for_room = not self._is_in_place
        self._next_attempt = 0.0
        self._publisher = publisher
        self._monitors = monitors
        self._watcher = watcher
        self._pool = pool
        self._turned = 0.0
        self._can_answer = True
        self._complaints: frozenset[str] = frozenset()
        self._rebaselining = Rebaselining(state.path, monitors, state.blocks, warn)
        # A separate thread, not the loop's pool: the process waits for that pool before it ends, even if a mount hangs.
        self._aside = Prober("housekeeping")
        self._chores = {
            self._check_watcher: WATCHER_CHECK_SECONDS,
            self.selftest: SELFTEST_SECONDS,
            self._make_durable: DURABLE_SECONDS,
            self._spare: SPARE_SECONDS,
        }
        self._due = dict.fromkeys(self._chores, 0.0)
        self._most_held = limit() // 2

    def is_healthy(self) -> bool:
        """Whether the loop has turned recently."""
        return time.monotonic() - self._turned < HEALTHY_SECONDS

    def is_ready(self) -> bool:
        """Whether configuration, state and listener are in place; nothing about trails."""
        return self._turned > 0

    def show_state(self, config: Config) -> None:
        """Show the figures of the store and the configuration."""
        self._publisher.change_agent(
            state_step=self._state.store.step,
            state_created=self._state.store.created,
            state_resets=self._state.store.resets,
            config_hash=config.digest,
            config_last_reload_successful=True,
            config_last_reload_success=time.time(),
        )

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            self._turned = time.monotonic()
            await self._turn()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _turn(self) -> None:
        self._keep_in_place()
        self._answer_requests()
        self._save_again()
        self.show_figures()
        now = time.monotonic()
        for chore, interval in self._chores.items():
            if now >= self._due[chore]:
                self._due[chore] = now + interval
                await chore()

    def _keep_in_place(self) -> None:
        """Write everything again if the state directory was removed or replaced: memory is complete."""
        was_in_place, self._is_in_place = self._is_in_place, self._state.is_in_place
        if self._is_in_place or self._turned < self._next_attempt:
            return
        try:
            is_emptied = self._state.begin_anew(time.time())
        except StateError as error:
            self._next_attempt = self._turned + ATTEMPT_SECONDS
            if was_in_place:
                said = f"the state directory was removed or replaced, and cannot be written again: {error}"
                self._warn("state directory", said)
            return
        with suppress(StateUnwritable):  # then the commits say so, too
            remember_watched(self._state.store, ((m.name, m.config.path) for m in self._monitors.values()))
        for monitor in self._monitors.values() if is_emptied else ():
            monitor.recorder.store_anew()
        self._is_in_place, waited, self._waits_for_room = True, self._waits_for_room, False
        self._publisher.change_agent(state_created=self._state.store.created, state_resets=self._state.store.resets)
        why = "there is room again" if waited else "was removed or replaced under the agent"
        self._warn("state directory", f"{self._state.path}: {why}: everything known is stored")

    def _answer_requests(self) -> None:
        """A request whose answer cannot be written stays, and does not hold up anything else."""
        complaints: list[str] = []
        try:
            for request in inbox.pending(self._state.path, complaints.append):
                given = self._answered(request)
                if given is not None:
                    inbox.answer(self._state.path, request.id, given)
        except StateUnwritable:
            self._can_answer = False
        else:
            self._can_answer = True
        for complaint in sorted(set(complaints) - self._complaints):
            self._warn(complaint.partition(" ")[0], complaint)  # by the path that it is about
        self._complaints = frozenset(complaints)

    def _answered(self, request: inbox.Request) -> inbox.Answer | None:
        """The answer; None if that takes longer."""
        states = [monitor.state for monitor in self._monitors.values()]
        refused = objection(request, states)
        if refused is not None:
            return refused
        if request.scope is Scope.HISTORY:
            self._rebaselining.take(request)
            return None
        asked = [self._monitors[name] for name in meant(request, states)]
        before = [monitor.state for monitor in asked]
        for monitor in asked:
            monitor.apply(event_of(request, monitor.state, time.time()))
        if all(monitor.recorder.is_saved for monitor in asked):
            return inbox.Answer(True, message=outcome(request, before, (monitor.state for monitor in asked)))
        return inbox.Answer(False, message="applied, but not saved yet: the state cannot be written now")

    def _save_again(self) -> None:
        """Try again to store what could not be stored, and store growth in time."""
        for monitor in self._monitors.values():
            monitor.recorder.keep_up()

    def show_figures(self) -> None:
        """Show the current figures of workers, watcher and store."""
        recorders = [monitor.recorder for monitor in self._monitors.values()]
        figures = {
            "state_writable": self._is_in_place
            and self._can_answer
            and self._state.store.is_witnessed
            and all(recorder.is_saved for recorder in recorders),
            "state_step": self._state.store.step,
            "state_save_failures": sum(recorder.failures for recorder in recorders),
            "worker_cpu_seconds": self._pool.cpu_seconds,
            "worker_max_resident_bytes": self._pool.max_resident_bytes,
            "watcher_rescans": self._watcher.rescans,
        }
        agent = self._publisher.agent
        if agent.state_writable and not figures["state_writable"]:
            why = next((recorder.trouble for recorder in recorders if recorder.trouble), "it cannot be written")
            self._warn("state", f"not saved: {why}; what is found is kept in memory until it can be saved")
        if any(getattr(agent, name) != value for name, value in figures.items()):
            self._publisher.change_agent(**figures)

    async def _check_watcher(self) -> None:
        with suppress(Unreadable):  # a mount hangs: its trails are polled, and report that themselves
            await self._aside.call(self._watcher.check)
        for name, monitor in self._monitors.items():
            found = self._watcher.status(monitor.config.path)
            status = (found.up, found.polling)
            if self._publisher.watching.get(name) != status:
                self._publisher.watching[name] = status
                self._publisher.changed(name)

    async def _make_durable(self) -> None:
        with suppress(StateUnwritable):  # then the commits say so, too
            self._state.store.make_durable()

    async def _spare(self) -> None:
        """Hold no more files than the limit on open ones leaves room for; the longest quiet go first."""
        surplus = sum(monitor.held.count for monitor in self._monitors.values()) - self._most_held
        quiet = sorted(self._monitors.values(), key=lambda monitor: monitor.state.last_append)
        for monitor in quiet if surplus > 0 else ():
            if surplus > 0 and monitor.held.count:
                surplus -= monitor.held.count
                monitor.spare()

    async def selftest(self) -> None:
        """Check that the judge still recognises damage."""
        agent = self._publisher.agent
        if await asyncio.to_thread(judges_rightly):
            self._publisher.change_agent(selftest_last_success=time.time())
        else:
            self._publisher.change_agent(selftest_failures=agent.selftest_failures + 1)

    async def close(self) -> None:
        """Stop watching for events, and looking at trails."""
        self._rebaselining.cancel()
        with suppress(Unreadable):
            await self._aside.call(self._watcher.close)
        self._aside.close()
