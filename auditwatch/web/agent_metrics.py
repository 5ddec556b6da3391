"""The metrics of the agent itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from auditwatch.ledger.runs import Mode
from auditwatch.web.metric_types import PREFIX, AgentMetric, MetricSample, MetricType
from auditwatch.web.snapshot import MISSED_REASONS, AgentStatus, Histogram


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
        "From growth (the file's modification time) until its verdict was known; catching up does not count.",
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
