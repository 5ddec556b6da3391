"""The catalogue: every metric, where its values come from, and the closed set of labels it is exported with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.writes import Writes, by_reason
from auditwatch.trail.counters import REASONS, WAIT_BOUNDS_SECONDS
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.web.agent_metrics import AGENT_METRICS, COLLECTOR_ERRORS
from auditwatch.web.facts import Facts
from auditwatch.web.metric_types import PREFIX, AgentMetric, MetricType, TrailMetric
from auditwatch.web.snapshot import RunStatus

_KINDS: Final = tuple(Kind)
_VIOLATIONS: Final = tuple(Violation)
_MODES: Final = tuple(Mode)
_SCHEDULED: Final = (Mode.FULL, Mode.SAMPLE)
"""As tuples: going through an enumeration takes ten times as long, and a scrape does so for each trail."""


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
        PREFIX + name, "gauge", help_text, "kind", _KINDS, lambda f, _: [read(f.tallies[kind]) for kind in _KINDS]
    )


def _by_violation(
    name: str, help_text: str, read: Callable[[Facts, Violation], int], type_: MetricType = "gauge"
) -> TrailMetric:
    return TrailMetric(
        PREFIX + name, type_, help_text, "kind", _VIOLATIONS, lambda f, _: [read(f, kind) for kind in _VIOLATIONS]
    )


def _by_mode(name: str, help_text: str, read: Callable[[RunStatus], float], type_: MetricType = "gauge") -> TrailMetric:
    def of_all(facts: Facts, _: float) -> Sequence[float]:
        return [read(facts.trail.runs[mode]) for mode in _MODES]

    return TrailMetric(PREFIX + name, type_, help_text, "mode", _MODES, of_all, is_of_runs=True)


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
        "trail_first_seen_timestamp_seconds",
        "When the agent first looked at the trail, present or not; 0 = not yet.",
        lambda f: f.trail.state.first_seen,
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
        _KINDS,
        lambda f, _: [f.trail.state.detected.get(kind, 0) for kind in _KINDS],
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
    TrailMetric(
        PREFIX + "validation_due_timestamp_seconds",
        "gauge",
        "When the run that has not ended yet was due, or the next one, jitter included; 0 = none.",
        "mode",
        _SCHEDULED,
        lambda f, _: [f.trail.runs[mode].due for mode in _SCHEDULED],
        is_of_runs=True,
    ),
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

ALL_METRICS: Final[tuple[TrailMetric | AgentMetric, ...]] = (*TRAIL_METRICS, *AGENT_METRICS, COLLECTOR_ERRORS)
