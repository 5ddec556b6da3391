"""A real Prometheus scrapes a real agent by the rules that are shipped: the page comes, and goes by acknowledgement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.alerting import Prometheus
from tests.agent.running import SPLICED, Agent, Agents, append, command, until


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    append(trail, SPLICED)  # an old scar
    return agents.start(trail).follows(trail)


@pytest.fixture
def prometheus(agent: Agent, tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(tmp_path / "prometheus", agent.url.removeprefix("http://")) as started:
        yield started


def test_new_damage_fires_and_an_acknowledgement_resolves(
    prometheus: Prometheus, agents: Agents, agent: Agent, trail: Path
) -> None:
    until(lambda: ("AuditwatchTrailInheritedDamage", "risk") in prometheus.firing())
    assert ("AuditwatchTrailDamaged", "risk") not in prometheus.firing()
    append(trail, SPLICED)
    until(lambda: ("AuditwatchTrailDamaged", "risk") in prometheus.firing())
    agent.kill()
    scraped = prometheus.rounds()
    again = agents.start(trail, state_dir=agent.state_dir, address=agent.url.removeprefix("http://"))
    until(lambda: scraped() >= 2)
    assert ("AuditwatchTrailDamaged", "risk") in prometheus.firing()  # a restart does not resolve
    done = command(
        "acknowledge", "--trail", "risk", "--all", "--reason", "found the fifth", "--state-dir", again.state_dir
    )
    assert done.returncode == 0, done.stderr
    until(lambda: ("AuditwatchTrailDamaged", "risk") not in prometheus.firing())
    append(trail, b"not JSON\n")
    until(lambda: ("AuditwatchTrailDamaged", "risk") in prometheus.firing())  # later damage was not meant
    again.stop()


def test_the_target_is_up_and_its_metrics_are_stored_as_they_were_scraped(
    prometheus: Prometheus, agent: Agent, trail: Path
) -> None:
    until(lambda: (prometheus.ask("/api/v1/query?query=auditwatch_trail_lines") or {}).get("result"))
    (target,) = prometheus.ask("/api/v1/targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    (sample,) = prometheus.ask("/api/v1/query?query=auditwatch_trail_lines")["result"]
    assert float(sample["value"][1]) == 5
    types = prometheus.ask("/api/v1/metadata")
    assert types["auditwatch_trail_corrupt_lines"][0]["type"] == "gauge"
    name = "auditwatch_trail_corrupt_lines_detected"  # OpenMetrics names a counter without its `_total`
    assert (types.get(name) or types[f"{name}_total"])[0]["type"] == "counter"
    assert not re.findall(r"level=(?:warn|error)", prometheus.log_path.read_text())
