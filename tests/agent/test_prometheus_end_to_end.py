"""A real Prometheus scrapes a real agent by the rules that are shipped: the page comes, and goes by acknowledgement."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditwatch.runbooks import runbook
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


def test_what_an_alert_says_leads_where_it_says(prometheus: Prometheus, agent: Agent, trail: Path) -> None:
    append(trail, SPLICED)
    until(lambda: ("AuditwatchTrailDamaged", "risk") in prometheus.firing())
    alerts = prometheus.ask("/api/v1/alerts")["alerts"]
    (says,) = [found["annotations"] for found in alerts if found["labels"]["alertname"] == "AuditwatchTrailDamaged"]
    assert re.match(
        r"2 damaged lines found since watching began and not acknowledged: "
        r"(interleaved 1, torn 1|torn 1, interleaved 1)\. "
        r"Last damaged line in this trail: 20[\d.: -]+ \+0000 UTC\. As of 20[\d.: -]+ \+0000 UTC\.$",
        says["description"],
    ), says["description"]
    with urllib.request.urlopen(says["runbook_url"], timeout=10) as page:
        assert page.read().decode() == runbook("AuditwatchTrailDamaged")
    address, _, anchor = says["page_url"].partition("#")
    with urllib.request.urlopen(address, timeout=10) as page:
        assert f' id="{anchor}"' in page.read().decode()
    program, *words = says["command"].split()
    typed = command(*words, env={**os.environ, "STATE_DIRECTORY": str(agent.state_dir)})  # as its unit has it
    assert (program, typed.returncode) == ("auditwatch", 0), typed.stderr
    assert "interleaved" in typed.stdout


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
