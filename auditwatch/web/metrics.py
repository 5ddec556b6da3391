"""The catalogue: every metric, where its values come from, and the closed set of labels it is exported with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Literal

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.writes import Writes, by_reason
from auditwatch.trail.counters import REASONS, WAIT_BOUNDS_SECONDS
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.web.facts import Facts
from auditwatch.web.snapshot import MISSED_REASONS, AgentStatus, Histogram, RunStatus

MetricType = Literal["gauge", "counter", "histogram"]
PREFIX: Final = "auditwatch_"


@dataclass(frozen=True, slots=True)
class TrailMetric:
    """A metric that every trail has.

    Attributes:
        label: The label besides `trail`; empty if there is none.
        values: All values of that label, exported from the start; a single empty one if there is no label.
        read: One number for each of `values`, from the facts and the time of the scrape.
        is_ticking: Whether the number changes with the clock alone, so that it is taken at each scrape.
        is_there: Whether a trail has it at all.
        suffix: What follows the name in a scrape, for histograms, whose label is `le`.
    """

    name: str
    type: MetricType
    help: str
    label: str
    values: tuple[str, ...]
    read: Callable[[Facts, float], Sequence[float]]
    is_ticking: bool = False
    is_there: Callable[[Facts], bool] = lambda _: True
    suffix: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its labels, sorted as they are written, without the `le` of a histogram's buckets."""
        return ("trail",) if self.label in ("", "le") else tuple(sorted((self.label, "trail")))


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One number of an agent's metric.

    Attributes:
        suffix: What follows the metric's name, for histograms.
        labels: Pairs of name and value, sorted by name.
    """

    value: float
    labels: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class AgentMetric:
    """A metric of the agent itself."""

    name: str
    type: MetricType
    help: str
    labels: tuple[str, ...]
    read: Callable[[AgentStatus], Sequence[MetricSample]]


def _single(
    name: str,
    help_text: str,
    read: Callable[[Facts], float],
    type_: MetricType = "gauge",
) -> TrailMetric:
    return TrailMetric(PREFIX + name, type_, help_text, "", ("",), lambda facts, _: (read(facts),))


def _ticking(name: str, help_text: str, since: Callable[[Facts], float | None]) -> TrailMetric:
    def read(facts: Facts, now: float) -> Sequence[float]:
        start = since(facts)
        return (0.0 if start is None else max(0.0, now - start),)

    return TrailMetric(PREFIX + name, "gauge", help_text, "", ("",), read, is_ticking=True)


def _by_kind(name: str, help_text: str, read: Callable[[Tally], int]) -> TrailMetric:
    return TrailMetric(
        PREFIX + name, "gauge", help_text, "kind", tuple(Kind), lambda f, _: [read(f.tallies[kind]) for kind in Kind]
    )


def _by_violation(
    name: str, help_text: str, read: Callable[[Facts, Violation], int], type_: MetricType = "gauge"
) -> TrailMetric:
    return TrailMetric(
        PREFIX + name, type_, help_text, "kind", tuple(Violation), lambda f, _: [read(f, kind) for kind in Violation]
    )


def _by_mode(name: str, help_text: str, read: Callable[[RunStatus], float], type_: MetricType = "gauge") -> TrailMetric:
    return TrailMetric(
        PREFIX + name, type_, help_text, "mode", tuple(Mode), lambda f, _: [read(f.trail.runs[mode]) for mode in Mode]
    )


_SIZES: Final = (
    _single("trail_up", "1 if readable, or rotated away while the next file is awaited; else 0.", lambda f: f.is_up),
    _single("trail_size_bytes", "Size of the active file.", lambda f: f.active_bytes),
    _single(
        "trail_lines",
        "Judged lines in the active file.",
        lambda f: f.trail.state.active.lines if f.trail.state.active else 0,
    ),
    _single("trail_segments", "Closed segments that are there.", lambda f: f.closed_segments),
    _single("trail_segments_size_bytes", "Total size of the closed segments that are there.", lambda f: f.closed_bytes),
    _single("trail_verified_bytes", "Bytes whose lines have a verdict, in all segments.", lambda f: f.verified),
    _single("trail_unverified_bytes", "Bytes seen but not read yet, in all segments.", lambda f: f.unverified),
    _single("trail_pending_bytes", "Bytes waiting for their newline, in all segments.", lambda f: f.pending),
    _ticking(
        "trail_pending_seconds",
        "Time since the pending bytes last grew; 0 if there are none.",
        lambda f: f.pending_since,
    ),
    _ticking(
        "trail_oldest_unverified_seconds",
        "Time since the oldest unverified byte was seen; 0 if there is none.",
        lambda f: f.unverified_since,
    ),
)

_GROWTH: Final = (
    _single(
        "trail_appended_bytes_total",
        "Judged growth since watching began; existing history does not count.",
        lambda f: f.trail.state.appended_bytes,
        "counter",
    ),
    _single(
        "trail_appended_lines_total",
        "Judged lines appended since watching began; existing history does not count.",
        lambda f: f.trail.state.appended_lines,
        "counter",
    ),
    _single(
        "trail_last_append_timestamp_seconds",
        "When growth was last seen; 0 = never.",
        lambda f: f.trail.state.last_append,
    ),
    _single(
        "trail_expected_append_interval_seconds",
        "How often the trail should grow; 0 = no expectation.",
        lambda f: f.trail.expected_append_interval_seconds,
    ),
    _single("trail_rotations_total", "Rotations since watching began.", lambda f: f.trail.state.rotations, "counter"),
    _single(
        "trail_segments_expired_total",
        "Closed segments that retention removed.",
        lambda f: f.trail.state.expired,
        "counter",
    ),
    _single(
        "trail_segments_expired_unverified_total",
        "Closed segments that retention removed before all of them was judged.",
        lambda f: f.trail.state.expired_unread,
        "counter",
    ),
)

_DAMAGE: Final = (
    _by_kind(
        "trail_corrupt_lines", "Open damaged lines in all segments, including inherited ones.", lambda tally: tally.open
    ),
    _by_kind(
        "trail_corrupt_lines_inherited",
        "Open damaged lines that were already there when watching began.",
        lambda tally: tally.inherited,
    ),
    _by_kind(
        "trail_corrupt_lines_acknowledged",
        "Damaged lines that were acknowledged and are no longer open.",
        lambda tally: tally.acknowledged,
    ),
    TrailMetric(
        PREFIX + "trail_corrupt_lines_detected_total",
        "counter",
        "Damaged lines found since watching began, not counting inherited ones.",
        "kind",
        tuple(Kind),
        lambda f, _: [f.trail.state.detected.get(kind, 0) for kind in Kind],
    ),
    _single(
        "trail_last_corrupt_line_timestamp_seconds",
        "When a damaged line was last found since watching began; 0 = never.",
        lambda f: f.last_damage,
    ),
    _by_violation("trail_violations", "Open violations of order and history.", lambda f, kind: f.violations[kind]),
    _by_violation(
        "trail_violations_acknowledged",
        "Violations that were acknowledged and are no longer open.",
        lambda f, kind: f.violations_acknowledged[kind],
    ),
)

_PROOFS: Final = (
    _ticking(
        "trail_oldest_proof_seconds",
        "Time since the judged bytes that were not hashed again for the longest time were; 0 if there are none.",
        lambda f: f.trail.oldest_proof,
    ),
    _single(
        "trail_rehash_interval_seconds",
        "How often every judged byte should be hashed again.",
        lambda f: f.trail.rehash_seconds,
    ),
)

_VOLUMES: Final = (
    _single(
        "trail_volume_free_bytes",
        "Free space on the volume for users other than root.",
        lambda f: f.trail.volume.free_bytes if f.trail.volume else 0,
    ),
    _single(
        "trail_volume_size_bytes",
        "Size of the volume; 0 = not looked at yet.",
        lambda f: f.trail.volume.size_bytes if f.trail.volume else 0,
    ),
    _single(
        "trail_volume_free_inodes",
        "Free inodes on the volume for users other than root.",
        lambda f: f.trail.volume.free_inodes if f.trail.volume else 0,
    ),
)

_VALIDATION: Final = (
    _by_mode("validation_runs_total", "Finished validation runs.", lambda run: run.runs, "counter"),
    _by_mode(
        "validation_errors_total",
        "Validation runs that could not look at the trail.",
        lambda run: run.errors,
        "counter",
    ),
    _by_mode(
        "validation_last_attempt_timestamp_seconds", "When a run last began; 0 = never.", lambda run: run.last_attempt
    ),
    _by_mode(
        "validation_last_success_timestamp_seconds",
        "When a run last looked at the trail, whatever it found; 0 = never.",
        lambda run: run.last_success,
    ),
    _by_mode("validation_interval_seconds", "How often a run is due; 0 = never.", lambda run: run.interval_seconds),
    _by_mode("validation_last_corrupt_lines", "Damaged lines seen by the last run.", lambda run: run.corrupt_lines),
    _by_mode("validation_running", "1 while a run is in progress.", lambda run: run.progress is not None),
    _by_mode(
        "validation_progress_ratio", "0 to 1 while a run is in progress; 0 otherwise.", lambda run: run.progress or 0.0
    ),
    _single(
        "sample_corrupt_ratio_upper_bound",
        "Upper bound on the share of corrupt lines, from the last sample, at 95 % confidence; 1 until known.",
        lambda f: f.trail.sample_bound,
    ),
)

_WATCHER: Final = (
    _single("watcher_up", "1 while changes are noticed, by events or by polling.", lambda f: f.trail.watcher_up),
    _single("watcher_polling", "1 while changes are noticed by polling only.", lambda f: f.trail.watcher_polling),
)


def _has_counters(facts: Facts) -> bool:
    return bool(facts.writes.id)


def _counted(name: str, help_text: str, read: Callable[[Writes], float], type_: MetricType = "gauge") -> TrailMetric:
    metric = _single(name, help_text, lambda f: read(f.writes), type_)
    return replace(metric, is_there=_has_counters)


def _failures(facts: Facts, _: float) -> Sequence[float]:
    failed = by_reason(facts.writes.total.failed)
    return [failed.get(reason, 0) for reason in REASONS]


def _waits(facts: Facts, _: float) -> Sequence[float]:
    """Appends that gave up would have waited even longer: they belong only in the last bucket."""
    *bounded, more, timed_out = facts.writes.total.lock_waits
    return tuple(accumulate((*bounded, more + timed_out)))


_WRITES: Final = (
    _counted("writes_total", "Records stored, as counted by the writers.", lambda w: w.total.stored, "counter"),
    TrailMetric(
        PREFIX + "write_failures_total",
        "counter",
        "Records whose write failed, as counted by the writers.",
        "reason",
        REASONS,
        _failures,
        is_there=_has_counters,
    ),
    _counted(
        "write_failures_open",
        "Records whose write failed since watching began, not yet acknowledged.",
        lambda w: sum(w.failures_open),
    ),
    _counted(
        "write_last_failure_timestamp_seconds",
        "When a write last failed; 0 = never.",
        lambda w: w.last_failure,
    ),
    TrailMetric(
        PREFIX + "write_lock_wait_seconds",
        "histogram",
        "How long stored appends waited for the locks; appends that gave up are only in the last bucket. Buckets only.",
        "le",
        (*map(str, WAIT_BOUNDS_SECONDS), "+Inf"),
        _waits,
        is_there=_has_counters,
        suffix="_bucket",
    ),
    _single(
        "writer_counters_up",
        "1 while the writers' counters file can be read.",
        lambda f: f.counters_up,
    ),
)

TRAIL_METRICS: Final = (*_SIZES, *_GROWTH, *_DAMAGE, *_PROOFS, *_VOLUMES, *_WRITES, *_VALIDATION, *_WATCHER)


def _plain(name: str, help_text: str, read: Callable[[AgentStatus], float], type_: MetricType = "gauge") -> AgentMetric:
    return AgentMetric(PREFIX + name, type_, help_text, (), lambda agent: (MetricSample(read(agent)),))


def _build(agent: AgentStatus) -> Sequence[MetricSample]:
    return (MetricSample(1, (("python_version", agent.python_version), ("version", agent.version))),)


def _missed(agent: AgentStatus) -> Sequence[MetricSample]:
    return [MetricSample(agent.missed_runs.get(reason, 0), (("reason", reason),)) for reason in MISSED_REASONS]


def _durations(agent: AgentStatus) -> Sequence[MetricSample]:
    return [sample for mode in Mode for sample in _buckets(agent.validation_duration[mode], (("mode", mode.value),))]


def _buckets(histogram: Histogram, labels: tuple[tuple[str, str], ...] = ()) -> Sequence[MetricSample]:
    samples, seen = [], 0
    for bound, number in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        seen += number
        le = "+Inf" if bound == float("inf") else str(float(bound))
        samples.append(MetricSample(seen, (("le", le), *labels), "_bucket"))
    return [*samples, MetricSample(seen, labels, "_count"), MetricSample(histogram.total, labels, "_sum")]


AGENT_METRICS: Final = (
    AgentMetric(
        PREFIX + "build_info",
        "gauge",
        "Always 1; the labels say what is running.",
        ("python_version", "version"),
        _build,
    ),
    AgentMetric(
        PREFIX + "validation_duration_seconds", "histogram", "How long validation runs took.", ("mode",), _durations
    ),
    AgentMetric(
        PREFIX + "detection_latency_seconds",
        "histogram",
        "From growth (the file's modification time) until its verdict was committed; catching up does not count.",
        (),
        lambda agent: _buckets(agent.detection_latency),
    ),
    _plain(
        "watcher_rescans_total",
        "Rescans of everything because events were lost.",
        lambda a: a.watcher_rescans,
        "counter",
    ),
    AgentMetric(
        PREFIX + "scheduler_missed_runs_total", "counter", "Scheduled runs that did not happen.", ("reason",), _missed
    ),
    _plain(
        "selftest_last_success_timestamp_seconds",
        "When the self-test last found the damage it had made; 0 = never.",
        lambda a: a.selftest_last_success,
    ),
    _plain(
        "selftest_failures_total",
        "Self-tests that missed the damage they had made.",
        lambda a: a.selftest_failures,
        "counter",
    ),
    _plain("state_writable", "1 while the state can be saved.", lambda a: a.state_writable),
    _plain("state_created_timestamp_seconds", "When the state was created; 0 = unknown.", lambda a: a.state_created),
    _plain("state_save_failures_total", "Commits that failed.", lambda a: a.state_save_failures, "counter"),
    _plain("state_resets_total", "Times the state was lost and started afresh.", lambda a: a.state_resets, "counter"),
    _plain(
        "state_step",
        "Transactions of the state so far; it falls if the state directory was removed or put back to an older copy.",
        lambda a: a.state_step,
    ),
    _plain("worker_cpu_seconds_total", "CPU time used by the workers.", lambda a: a.worker_cpu_seconds, "counter"),
    _plain("worker_max_resident_bytes", "Peak resident memory of any worker.", lambda a: a.worker_max_resident_bytes),
    _plain(
        "config_last_reload_successful",
        "1 if the configuration had no mistakes when last read.",
        lambda a: a.config_last_reload_successful,
    ),
    _plain(
        "config_last_reload_success_timestamp_seconds",
        "When the configuration was last read without mistakes; 0 = never.",
        lambda a: a.config_last_reload_success,
    ),
    _plain("config_hash", "Changes with the configuration.", lambda a: a.config_hash),
)

COLLECTOR_ERRORS: Final = AgentMetric(
    PREFIX + "collector_errors_total",
    "counter",
    "Sections of a scrape that failed and were left out.",
    (),
    lambda _: (),
)
"""Counted by the collector itself, which is why it reads nothing."""

ALL_METRICS: Final[tuple[TrailMetric | AgentMetric, ...]] = (*TRAIL_METRICS, *AGENT_METRICS, COLLECTOR_ERRORS)
