"""One volume and its trails: polled together, with one call to the prober per poll."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from auditwatch.agent.held import Held, Stirred
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.place import Place
from auditwatch.agent.prober import Prober
from auditwatch.agent.probes import Count, Glance, glance, look_at_counters
from auditwatch.errors import Unreadable
from auditwatch.host import filesystems
from auditwatch.host.clock import Clock
from auditwatch.web.snapshot import Volume

ROOM_SECONDS: Final = 15.0
"""How often free space is queried and closed segments are looked at."""


class VolumeWatch:
    """Polls the trails of one volume.

    Attributes:
        prober: The thread that all their system calls go through.
        monitors: By trail name.
    """

    def __init__(self, name: str, room: Callable[[str, Volume], None], clock: Clock) -> None:
        self.prober = Prober(name)
        self.monitors: dict[str, Monitor] = {}
        self._room = room
        self._clock = clock
        self._room_asked = 0.0

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await self.poll()
            interval = min((m.config.poll_interval_seconds for m in self.monitors.values()), default=1.0)
            await asyncio.sleep(interval / 2)
            await self.look_at_counters()
            await asyncio.sleep(interval / 2)

    async def poll(self) -> None:
        """Glance at every trail; those that changed wake up. A volume that hangs is left alone until it responds."""
        monitors = tuple(self.monitors.values())
        try:
            asked = [(monitor.place, monitor.counted, monitor.held) for monitor in monitors]
            found = await self.prober.call(_glances, asked, self._clock)
            now = self._clock()
            for monitor, (seen, counted, stirred) in zip(monitors, found, strict=True):
                monitor.note_glance(seen, now)
                monitor.note_stirred(stirred)
                monitor.note_count(counted)
                monitor.tick(now)
            if now - self._room_asked >= ROOM_SECONDS:
                self._room_asked = now
                await self._ask_room(monitors)
        except Unreadable:
            return  # hung: `is_answering` says so, to metrics and page

    async def look_at_counters(self) -> None:
        """Between two polls, look at what the writers counted: a write that failed leaves no other trace."""
        monitors = tuple(self.monitors.values())
        try:
            found = await self.prober.call(_counts, [(m.place, m.counted) for m in monitors], self._clock)
        except Unreadable:
            return  # hung, as above
        for monitor, counted in zip(monitors, found, strict=True):
            monitor.note_count(counted)

    async def _ask_room(self, monitors: Sequence[Monitor]) -> None:
        for monitor in monitors:
            volume = await self.prober.call(_volume, monitor.place)
            if volume is not None:
                self._room(monitor.name, volume)
            if monitor.state.closed:
                monitor.wake(with_neighbours=True)


def _glances(
    asked: Sequence[tuple[Place, Glance | None, Held]], clock: Clock
) -> list[tuple[Glance, Count | None, tuple[Stirred, ...]]]:
    """A glance at each trail, at its counters if their file has changed, and at what is held open of it."""
    return [(glance(place), look_at_counters(place, counted, clock), held.stirred()) for place, counted, held in asked]


def _counts(asked: Sequence[tuple[Place, Glance | None]], clock: Clock) -> list[Count | None]:
    return [look_at_counters(place, counted, clock) for place, counted in asked]


def _volume(place: Place) -> Volume | None:
    try:
        found = os.statvfs(os.path.dirname(place.path))
    except OSError:
        return None
    return Volume(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, found.f_favail)


async def volume_names(paths: Iterable[str], patience_seconds: float = 2.0) -> list[str]:
    """Names the volume each trail lies on; a path that cannot even be resolved in time counts as a separate volume."""
    names: list[str] = []
    prober = Prober("start", patience_seconds)
    for path in paths:
        try:
            mount = await prober.call(filesystems.of_path, path)
        except Unreadable:
            prober.close()
            prober, mount = Prober("start", patience_seconds), None
        names.append(mount.point if mount else path)
    prober.close()
    return names
