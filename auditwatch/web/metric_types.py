"""What a metric is: its name, its help, and how its numbers are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from auditwatch.web.facts import Facts
from auditwatch.web.snapshot import AgentStatus

MetricType = Literal["gauge", "counter", "histogram"]
PREFIX: Final = "auditwatch_"


@dataclass(frozen=True, slots=True, eq=False)
class TrailMetric:
    """A metric that every trail has; each is itself, which is all that a scrape compares.

    Attributes:
        label: The label besides `trail`; empty if there is none.
        values: All values of that label, exported from the start; a single empty one if there is no label.
        read: One number for each of `values`, from the facts and the time of the scrape.
        is_ticking: Whether the number changes with the clock alone, so that it is taken at each scrape.
        is_of_runs: Whether the numbers are read from nothing but the trail's runs.
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
    is_of_runs: bool = False
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
