"""From monitors to the snapshot that every front renders; what has not changed stays the same object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from auditwatch.agent.about import agent_status
from auditwatch.agent.monitor import Monitor
from auditwatch.agent.recorder import Recorder
from auditwatch.agent.timetable import interval_seconds
from auditwatch.config.settings import TrailConfig
from auditwatch.host.clock import Clock
from auditwatch.ledger.runs import Mode
from auditwatch.web.snapshot import RunStatus, Snapshot, TrailSnapshot, Volume

FRESHNESS_SECONDS: Final = 10.0
"""How precisely the last look is shown: rendering every trail each second would cost more than watching them."""


class Publisher:
    """The newest snapshot, created on request.

    Attributes:
        agent: The agent's own figures; replace it to change them.
        progress: Of validation runs in progress, by trail and mode: 0 to 1.
        volumes: By trail.
        proofs: By trail: when the bytes that were not hashed again for the longest time were.
        due: By trail and mode: when a validation run is due.
        watching: By trail: whether changes are noticed, and whether by polling only.
    """

    def __init__(self, monitors: Mapping[str, Monitor], clock: Clock) -> None:
        self.agent = agent_status(started=clock())
        self.progress: dict[tuple[str, Mode], float] = {}
        self.volumes: dict[str, Volume] = {}
        self.proofs: dict[str, float | None] = {}
        self.due: dict[tuple[str, Mode], float] = {}
        self.watching: dict[str, tuple[bool, bool]] = {}
        self._monitors = monitors
        self._clock = clock
        self._trails: dict[str, TrailSnapshot] = {}
        self._revision = 0

    def change_agent(self, **changes: object) -> None:
        """Change the agent's own figures."""
        self.agent = replace(self.agent, **changes)  # type: ignore[arg-type]  # names and types as in AgentStatus
        self._revision += 1

    def changed(self, name: str) -> None:
        """The next snapshot shows this trail as it is then."""
        self._trails.pop(name, None)
        self._revision += 1

    def proved(self, name: str, oldest: float | None) -> None:
        """Show how old the oldest proof of a trail is."""
        self.proofs[name] = oldest
        self.changed(name)

    def planned(self, name: str, mode: Mode, due: float) -> None:
        """Show when a run is due; 0 = never."""
        self.due[name, mode] = due
        self.changed(name)

    def snapshot(self) -> Snapshot:
        """Everything the agent knows now."""
        for name, monitor in self._monitors.items():
            if self._is_stale(name, monitor):
                self._trails[name] = self._trail(monitor)
                self._revision += 1
        trails = tuple(self._trails[name] for name in self._monitors)
        return Snapshot(self._clock(), self._revision, self.agent, trails)

    def _is_stale(self, name: str, monitor: Monitor) -> bool:
        shown = self._trails.get(name)
        if shown is None or shown.is_answering != monitor.services.prober.is_answering:
            return True
        return monitor.looked - shown.runs[Mode.TAIL].last_success >= FRESHNESS_SECONDS

    def _trail(self, monitor: Monitor) -> TrailSnapshot:
        name, config = monitor.name, monitor.config
        is_watched, is_polled = self.watching.get(name, (True, True))
        return TrailSnapshot(
            name=name,
            path=config.path,
            state=monitor.state,
            runs={mode: self._run(monitor, mode) for mode in Mode},
            volume=self.volumes.get(name),
            watcher_up=is_watched,
            watcher_polling=is_polled,
            sample_bound=monitor.recorder.run(Mode.SAMPLE).bound,
            expected_append_interval_seconds=config.expect_append_seconds,
            is_answering=monitor.services.prober.is_answering,
            oldest_proof=self.proofs.get(name),
            rehash_seconds=config.rehash_seconds,
            is_spared=monitor.is_spared,
        )

    def _run(self, monitor: Monitor, mode: Mode) -> RunStatus:
        status = replace(
            stored_run(monitor.recorder, monitor.config, mode),
            progress=self.progress.get((monitor.name, mode)),
            due=self.due.get((monitor.name, mode), 0.0),
        )
        if mode is not Mode.TAIL:
            return status
        looked = max(status.last_success, math.floor(monitor.looked))
        progress = monitor.state.catching_up
        return replace(status, last_attempt=max(status.last_attempt, looked), last_success=looked, progress=progress)


def stored_run(recorder: Recorder, config: TrailConfig, mode: Mode) -> RunStatus:
    """What is remembered of the runs of one mode, with how often one is due."""
    interval = {
        Mode.FULL: interval_seconds(config.full),
        Mode.SAMPLE: interval_seconds(config.sample),
        Mode.TAIL: config.poll_interval_seconds,
    }
    return RunStatus.of(recorder.run(mode), interval_seconds=interval[mode])
