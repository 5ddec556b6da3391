"""What Prometheus scrapes: families from a snapshot, and the same text joined from what changed.

client_python needs 388 ms for the text of 1,000 trails. Here the lines of a trail are written once, when its snapshot
becomes another object, and only joined at a scrape; a test checks that the text equals what client_python writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from auditwatch.host.clock import Clock
from auditwatch.web.agent_metrics import AGENT_METRICS, COLLECTOR_ERRORS
from auditwatch.web.facts import Facts
from auditwatch.web.metric_types import AgentMetric, MetricSample, TrailMetric
from auditwatch.web.metrics import TRAIL_METRICS
from auditwatch.web.snapshot import AgentStatus, Snapshot, TrailSnapshot
from auditwatch.web.wording import visible

SnapshotSource = Callable[[], Snapshot]

OPENMETRICS: Final = "application/openmetrics-text"
_STORED: Final = tuple(metric for metric in TRAIL_METRICS if not metric.is_ticking)
"""The metrics whose lines are kept from one scrape to the next."""

_OF_RUNS: Final = tuple(metric for metric in _STORED if metric.is_of_runs)

_TRAIL: Final = "\0"
"""Stands for a trail's name in the lines of any trail: no name that is shown has such a character."""
_SPLIT: Final = "\1"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Sections:
    """Reads the sections of a scrape one by one; a section that fails is counted and left out, the rest is served.

    Attributes:
        errors: How many failed so far.
    """

    def __init__(self) -> None:
        self.errors = 0

    def facts(self, trail: TrailSnapshot) -> Facts | None:
        """The sums of a trail; None if they cannot be computed."""
        try:
            return Facts.of(trail)
        except Exception:  # noqa: BLE001  whatever it is, it must not take the scrape with it; it is counted
            self.errors += 1
            return None

    def trail(self, metric: TrailMetric, facts: Facts | None, now: float) -> Sequence[float]:
        """A number for each of the metric's label values; none at all if they cannot be computed."""
        if facts is None:
            return ()
        try:
            return _read(metric, facts, now) if metric.is_there(facts) else ()
        except Exception:  # noqa: BLE001  see above
            self.errors += 1
            return ()

    def agent(self, metric: AgentMetric, agent: AgentStatus) -> Sequence[MetricSample]:
        """The numbers of one of the agent's metrics; none if they cannot be computed."""
        try:
            return tuple(metric.read(agent))
        except Exception:  # noqa: BLE001  see above
            self.errors += 1
            return ()


def _read(metric: TrailMetric, facts: Facts, now: float) -> Sequence[float]:
    numbers = tuple(map(float, metric.read(facts, now)))
    if len(numbers) != len(metric.values):
        raise ValueError(f"{metric.name}: {len(numbers)} numbers for {len(metric.values)} label values")
    return numbers


class SnapshotCollector(Collector):
    """Families from the newest snapshot, made fresh at each scrape."""

    def __init__(self, source: SnapshotSource, clock: Clock = time.time, sections: Sections | None = None) -> None:
        self._publisher = source
        self._clock = clock
        self._sections = sections or Sections()

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking for the names must not require a snapshot."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric of the catalogue that has a source, in catalogue order."""
        snapshot, now = self._publisher(), self._clock()
        for agent_metric in AGENT_METRICS:
            yield _family(agent_metric, self._sections.agent(agent_metric, snapshot.agent))
        facts = [(visible(trail.name), self._sections.facts(trail)) for trail in snapshot.trails]
        for trail_metric in TRAIL_METRICS:
            yield _family(trail_metric, self._samples(trail_metric, facts, now))
        yield _family(COLLECTOR_ERRORS, (MetricSample(self._sections.errors),))

    def _samples(
        self, metric: TrailMetric, trails: list[tuple[str, Facts | None]], now: float
    ) -> Iterator[MetricSample]:
        for name, facts in trails:
            for value, number in zip(metric.values, self._sections.trail(metric, facts, now), strict=False):
                yield MetricSample(number, _labels(metric, name, value), metric.suffix)


def registry(source: SnapshotSource, clock: Clock = time.time) -> CollectorRegistry:
    """A registry of our own with the snapshot's families and this process's."""
    own = CollectorRegistry()
    own.register(SnapshotCollector(source, clock))
    ProcessCollector(registry=own)
    return own


@dataclass(frozen=True, slots=True)
class _Written:
    """The lines of one trail, one piece for each metric that is stored; valid as long as its snapshot is the same."""

    trail: TrailSnapshot
    facts: Facts | None
    families: tuple[bytes, ...]


@dataclass(slots=True)
class Exposition:
    """The text of a scrape.

    Attributes:
        source: Gives the newest snapshot.
        clock: Seconds since 1970.
        sections: Counts what had to be left out.
    """

    source: SnapshotSource
    clock: Clock = time.time
    sections: Sections = field(default_factory=Sections)
    _process: CollectorRegistry = field(default_factory=CollectorRegistry)
    _written: dict[str, _Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ProcessCollector(registry=self._process)

    def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """The whole answer and its content type, as an `Accept` header asks for it."""
        encoder, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith(OPENMETRICS)
        return self.text(openmetrics=openmetrics) + encoder(self._process), content_type

    def text(self, *, openmetrics: bool = False) -> bytes:
        """The snapshot's part of the answer, without OpenMetrics' end mark."""
        snapshot, now = self.source(), self.clock()
        self._refresh(snapshot, now)
        parts = [
            _agent_text(metric, self.sections.agent(metric, snapshot.agent), openmetrics) for metric in AGENT_METRICS
        ]
        stored = self._stored()
        for metric in TRAIL_METRICS:
            parts.append(_header(metric, openmetrics))
            parts.extend(self._ticked(metric, now) if metric.is_ticking else next(stored, ()))
        parts.append(_agent_text(COLLECTOR_ERRORS, (MetricSample(self.sections.errors),), openmetrics))
        return b"".join(parts)

    def _refresh(self, snapshot: Snapshot, now: float) -> None:
        old = self._written
        self._written = {trail.name: self._renewed(old.get(trail.name), trail, now) for trail in snapshot.trails}

    def _renewed(self, known: _Written | None, trail: TrailSnapshot, now: float) -> _Written:
        if known is not None and known.trail is trail:
            return known
        if known is None or known.facts is None or not trail.is_same_but_for_runs(known.trail):
            facts = self.sections.facts(trail)
            return _Written(trail, facts, tuple(self._families(_STORED, trail, facts, now)))
        facts = replace(known.facts, trail=trail)
        fresh = iter(self._families(_OF_RUNS, trail, facts, now))
        families = (next(fresh) if m.is_of_runs else old for m, old in zip(_STORED, known.families, strict=True))
        return _Written(trail, facts, tuple(families))

    def _families(
        self, metrics: Sequence[TrailMetric], trail: TrailSnapshot, facts: Facts | None, now: float
    ) -> list[bytes]:
        lines = _SPLIT.join([self._lines(metric, facts, now) for metric in metrics])
        return lines.replace(_TRAIL, _shown(trail.name)).encode().split(_SPLIT.encode())

    def _lines(self, metric: TrailMetric, facts: Facts | None, now: float) -> str:
        """The lines of any trail with these facts: they lack its name."""
        numbers = self.sections.trail(metric, facts, now)
        if not numbers:
            return ""
        return _pattern(metric) % tuple(map(_number, numbers)) if any(numbers) else _zeros(metric)

    def _stored(self) -> Iterator[tuple[bytes, ...]]:
        """The lines of all trails, metric by metric; nothing if there are no trails."""
        return iter(list(zip(*(written.families for written in self._written.values()), strict=True)))

    def _ticked(self, metric: TrailMetric, now: float) -> Iterator[bytes]:
        for name, written in self._written.items():
            yield self._lines(metric, written.facts, now).replace(_TRAIL, _shown(name)).encode()


def _family(metric: TrailMetric | AgentMetric, samples: Iterable[MetricSample]) -> Metric:
    family = Metric(metric.name.removesuffix("_total"), metric.help, metric.type)
    for sample in samples:
        family.add_sample(metric.name + sample.suffix, dict(sample.labels), sample.value)
    return family


def _labels(metric: TrailMetric, trail: str, value: str) -> tuple[tuple[str, str], ...]:
    """The metric's own label sorts before `trail`, whichever it is."""
    return ((metric.label, value), ("trail", trail)) if metric.label else (("trail", trail),)


def _agent_text(metric: AgentMetric, samples: Iterable[MetricSample], openmetrics: bool) -> bytes:
    lines = [f"{_head(metric.name + s.suffix, s.labels)} {_number(s.value)}\n" for s in samples]
    return _header(metric, openmetrics) + "".join(lines).encode()


@lru_cache(maxsize=1024)
def _header(metric: TrailMetric | AgentMetric, openmetrics: bool) -> bytes:
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n".encode()


@cache
def _pattern(metric: TrailMetric) -> str:
    """The lines of a metric for any trail, with places for its name and for the numbers."""
    heads = (_head(metric.name + metric.suffix, _labels(metric, _TRAIL, value)) for value in metric.values)
    return "".join(head.replace("%", "%%") + " %s\n" for head in heads)


@cache
def _zeros(metric: TrailMetric) -> str:
    """The same with the numbers that most trails have."""
    return _pattern(metric) % tuple(_number(0) for _ in metric.values)


def _shown(trail: str) -> str:
    return visible(trail).translate(_ESCAPES)


def _head(name: str, labels: Sequence[tuple[str, str]]) -> str:
    inside = ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels)
    return f"{name}{{{inside}}}" if inside else name


def _number(number: float) -> str:
    """As Go writes floats; most numbers of a scrape are 0."""
    return "0.0" if number == 0 else str(floatToGoString(number))  # type: ignore[no-untyped-call]
