"""The trails that are watched now: each new one gets a monitor, a place on its volume, events and runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from auditwatch.agent.logbook import OnTrouble
from auditwatch.agent.monitor import Monitor, TrailServices
from auditwatch.agent.publishing import Publisher
from auditwatch.agent.recorder import Growth, OnNews, Recorder
from auditwatch.agent.runs import Runs
from auditwatch.agent.timetable import Timetable
from auditwatch.agent.volumes import VolumeWatch, volume_names
from auditwatch.config.settings import Schedule, TrailConfig
from auditwatch.files.watcher import Watcher
from auditwatch.host.clock import Clock
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.state import Policy
from auditwatch.state.store import Store, trail_key
from auditwatch.validation.workers.pool import WorkerPool
from auditwatch.web.snapshot import Volume

ABSENCE_SECONDS: Final = 2.0
"""How long a file must be missing, at least, before it counts as deleted; two polls, if they take longer."""

Guarded = Callable[[str, Callable[[], Coroutine[object, object, None]]], "asyncio.Task[None]"]
"""Starts a task that is restarted when it fails; the name is for the log."""


@dataclass(frozen=True, slots=True)
class Services:
    """What all trails share.

    Attributes:
        found: Called with new damage, after it is stored.
        measured: Called with the seconds from an append until it was judged.
        troubled: Called when the file of a trail, or one beside it, could not be looked at.
        guarded: Starts the tasks.
    """

    store: Store
    pool: WorkerPool
    publisher: Publisher
    runs: Runs
    timetable: Timetable
    watcher: Watcher
    found: OnNews
    measured: Callable[[float], None]
    troubled: OnTrouble
    guarded: Guarded
    clock: Clock


class Roster:
    """All watched trails.

    Attributes:
        monitors: By name; shared with the publisher.
    """

    def __init__(self, monitors: dict[str, Monitor], services: Services) -> None:
        self.monitors = monitors
        self._services = services
        self._growth = Growth(services.store)
        self._volumes: dict[str, VolumeWatch] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._at: dict[str, list[Monitor]] = {}

    def add(self, config: TrailConfig, volume_name: str) -> None:
        """Watch one more trail."""
        volume = self._volume(volume_name)
        monitor = self._monitor(config, volume)
        self.monitors[config.name] = volume.monitors[config.name] = monitor
        self._at.setdefault(config.path, []).append(monitor)
        self._tasks[config.name] = [self._services.guarded(config.name, monitor.run)]
        self._services.watcher.watch(config.path, config.watch, config.wake_interval_seconds)
        monitor.wake(with_neighbours=True)
        runs = self._services.runs
        full = partial(runs.full_in, config.full.window) if config.full.window else runs.full
        self._plan(monitor, Mode.FULL, config.full, partial(full, monitor))
        self._plan(monitor, Mode.SAMPLE, config.sample, partial(runs.sample, monitor))

    def remove(self, name: str) -> None:
        """Stop watching a trail; what is known about it stays stored."""
        monitor = self.monitors.pop(name)
        self._at[monitor.config.path].remove(monitor)
        if not self._at[monitor.config.path]:
            del self._at[monitor.config.path]
        monitor.recorder.retire()
        for task in self._tasks.pop(name):
            task.cancel()
        for volume in self._volumes.values():
            volume.monitors.pop(name, None)
        self._services.watcher.unwatch(monitor.config.path)
        for mode in (Mode.FULL, Mode.SAMPLE):
            self._services.timetable.remove(f"{name}/{mode}")
        self._services.publisher.changed(name)

    async def become(self, trails: Sequence[TrailConfig]) -> None:
        """Watch exactly these trails; those that have not changed are not touched. One call at a time."""
        kept = {name for name, monitor in self.monitors.items() if monitor.config in trails}
        fresh = [config for config in trails if config.name not in kept]
        volumes = await volume_names(config.path for config in fresh)
        # No awaits from here on: no scrape may miss a trail that only changed.
        for name in self.monitors.keys() - kept:
            self.remove(name)
        for config, volume in zip(fresh, volumes, strict=True):
            self.add(config, volume)

    def wake(self, path: str, *, with_neighbours: bool = False) -> None:
        """Something happened at this path, or beside it: its trail looks."""
        for monitor in self._at.get(path, ()):
            monitor.wake(with_neighbours)

    async def last_look(self) -> None:
        """One more look at every trail, before the end."""
        await asyncio.gather(*(monitor.last_look() for monitor in self.monitors.values()))

    def save(self) -> None:
        """Store everything that is not stored yet, of all trails."""
        self._growth.save([monitor.recorder for monitor in self.monitors.values()])

    def _volume(self, name: str) -> VolumeWatch:
        if name not in self._volumes:
            volume = VolumeWatch(name, self._room, self._services.clock)
            self._volumes[name] = volume
            self._tasks.setdefault("", []).append(self._services.guarded(f"volume {name}", volume.run))
        return self._volumes[name]

    def _room(self, name: str, volume: Volume) -> None:
        if self._services.publisher.volumes.get(name) != volume:
            self._services.publisher.volumes[name] = volume
            self._services.publisher.changed(name)

    def _monitor(self, config: TrailConfig, volume: VolumeWatch) -> Monitor:
        services = self._services
        policy = Policy(
            config.rules.reports_id,
            config.pending_grace_seconds,
            absence_seconds=max(ABSENCE_SECONDS, 2 * config.poll_interval_seconds),
            keep_seconds=config.keep_seconds,
            rotation=config.rotation,
            file_name=os.path.basename(config.path),
        )
        key = trail_key(config.name, config.path)
        recorder = Recorder(services.store, key, policy, services.found, self._growth)
        recorder.tell_loss()
        means = TrailServices(
            volume.prober,
            services.pool,
            services.publisher.changed,
            services.measured,
            services.troubled,
            services.clock,
        )
        return Monitor(config, recorder, means)

    def _plan(self, monitor: Monitor, mode: Mode, schedule: Schedule, run: Callable[[], Awaitable[None]]) -> None:
        last_success = monitor.recorder.run(mode).last_success
        planned = partial(self._services.publisher.planned, monitor.name, mode)
        self._services.timetable.add(f"{monitor.name}/{mode}", schedule, last_success, run, planned)
