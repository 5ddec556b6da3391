"""What the agent knows at one moment, as frozen values that every front renders.

The agent publishes a new `Snapshot` after each commit; a scrape, the page and the status read the newest one and
touch neither a trail nor the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from auditwatch.ledger.runs import Mode, RunRecord
from auditwatch.ledger.state import TrailState


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What is known of the validation runs of one mode over one trail. All but `due` and `progress` survive restarts.

    Attributes:
        runs: Finished ones.
        errors: Those that could not look at the trail.
        last_attempt: When one last began; 0 = never.
        last_success: When one last looked at the trail, whatever it found; 0 = never.
        corrupt_lines: How many damaged lines the last one saw.
        interval_seconds: How often one is due; 0 = never.
        progress: 0 to 1 while one is running, else None.
        due: When the one that has not ended yet was due, or the next one, jitter included; 0 = none.
    """

    runs: int = 0
    errors: int = 0
    last_attempt: float = 0.0
    last_success: float = 0.0
    corrupt_lines: int = 0
    interval_seconds: float = 0.0
    progress: float | None = None
    due: float = 0.0

    @classmethod
    def of(cls, record: RunRecord, interval_seconds: float = 0.0) -> RunStatus:
        """What is remembered, with how often one is due."""
        return cls(
            record.runs,
            record.errors,
            record.last_attempt,
            record.last_success,
            record.corrupt_lines,
            interval_seconds,
        )


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system a trail is on: what users other than root can still use."""

    free_bytes: int
    size_bytes: int
    free_inodes: int


@dataclass(frozen=True, slots=True)
class TrailSnapshot:
    """One trail at one moment.

    Attributes:
        path: As configured.
        state: What the ledger knows.
        runs: By mode; every mode is named.
        volume: None until looked at.
        watcher_up: Whether changes are noticed at all, by events or by polling.
        watcher_polling: Whether they are noticed by polling only.
        sample_bound: Upper bound of the share of corrupt lines that the last sample supports; 1 until known.
        expected_append_interval_seconds: 0 = no expectation.
        is_answering: False while the trail's file system is not responding.
        oldest_proof: When the bytes that were not hashed again for the longest time were; None if there are none.
        rehash_seconds: How often all bytes should be.
        is_spared: Whether its active file is not held open, because too many files are.
    """

    name: str
    path: str
    state: TrailState
    runs: Mapping[Mode, RunStatus] = field(default_factory=lambda: dict.fromkeys(Mode, RunStatus()))
    volume: Volume | None = None
    watcher_up: bool = False
    watcher_polling: bool = False
    sample_bound: float = 1.0
    expected_append_interval_seconds: float = 0.0
    is_answering: bool = True
    oldest_proof: float | None = None
    rehash_seconds: float = 3600.0
    is_spared: bool = False

    def is_same_but_for_runs(self, other: TrailSnapshot) -> bool:
        """Whether nothing has changed but the runs: so it is with quiet trails that were looked at again."""
        return self.state is other.state and replace(self, runs=other.runs) == other


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of observed seconds.

    Attributes:
        bounds: Upper bounds in seconds, ascending; one more bucket follows the last.
        counts: One per bucket, not cumulative, `len(bounds) + 1` of them.
        total: Sum of all observed seconds.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    @classmethod
    def empty(cls, *bounds: float) -> Histogram:
        """A histogram that has seen nothing."""
        return cls(bounds, (0,) * (len(bounds) + 1))

    def observed(self, seconds: float) -> Histogram:
        """The histogram with one more observation.

        >>> Histogram.empty(0.1, 1.0).observed(0.5).counts
        (0, 1, 0)
        """
        bucket = sum(bound < seconds for bound in self.bounds)
        counts = (*self.counts[:bucket], self.counts[bucket] + 1, *self.counts[bucket + 1 :])
        return Histogram(self.bounds, counts, self.total + seconds)


MISSED_REASONS = ("busy", "late", "error")
"""Why a scheduled run did not happen: one was still running, the agent was down or late, it could not begin."""

LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
DURATION_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The agent itself.

    Attributes:
        host: Name of the machine, for the page; empty if unknown.
        missed_runs: By reason; every reason of `MISSED_REASONS` is named.
        config_hash: A number below 2**48 taken from the configuration's digest.
    """

    version: str
    python_version: str
    started: float
    host: str = ""
    detection_latency: Histogram = field(default_factory=lambda: Histogram.empty(*LATENCY_BOUNDS))
    validation_duration: Mapping[Mode, Histogram] = field(
        default_factory=lambda: dict.fromkeys(Mode, Histogram.empty(*DURATION_BOUNDS))
    )
    watcher_rescans: int = 0
    missed_runs: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(MISSED_REASONS, 0))
    selftest_last_success: float = 0.0
    selftest_failures: int = 0
    state_writable: bool = True
    state_created: float = 0.0
    state_save_failures: int = 0
    state_resets: int = 0
    state_step: int = 0
    worker_cpu_seconds: float = 0.0
    worker_max_resident_bytes: int = 0
    config_last_reload_successful: bool = True
    config_last_reload_success: float = 0.0
    config_hash: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the agent shows.

    Attributes:
        at: When it was taken.
        revision: Increases with every change: two snapshots of one agent with the same revision are the same.
    """

    at: float
    revision: int
    agent: AgentStatus
    trails: tuple[TrailSnapshot, ...] = ()
