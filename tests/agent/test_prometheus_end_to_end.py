"""A real Prometheus scrapes a real agent by the rules that are shipped: the page comes, and goes by acknowledgement."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, until

RULES = Path(__file__).parents[2] / "alerts" / "auditwatch.rules.yml"

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: auditwatch
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """One process on its own free port."""

    def __init__(self, program: str, directory: Path, target: str) -> None:
        directory.mkdir()
        configuration = directory / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(rules=RULES, target=target))
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        self.log_path = directory / "log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={configuration}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address={address}",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str) -> Any:
        """The data of one answer; None while it does not answer yet."""
        assert self._process.poll() is None, self.log_path.read_text()
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def firing(self) -> list[tuple[str, str]]:
        """Name and trail of the alerts that fire now."""
        alerts = (self.ask("/api/v1/alerts") or {"alerts": []})["alerts"]
        return sorted(
            (alert["labels"]["alertname"], alert["labels"].get("trail", ""))
            for alert in alerts
            if alert["state"] == "firing"
        )

    def rounds(self) -> Callable[[], float]:
        """How often the rules were evaluated and the agent scraped since now."""
        before = self._evaluations()
        return lambda: self._evaluations() - before

    def _evaluations(self) -> float:
        found = (self.ask("/api/v1/query?query=sum_over_time(up[1h])") or {"result": []})["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def prometheus_program() -> str:
    program = shutil.which("prometheus")
    return program or pytest.skip("NOT RUN: prometheus is not installed")


@pytest.fixture
def agent(agents: Agents, trail: Path) -> Agent:
    append(trail, SPLICED)  # an old scar
    return agents.start(trail).follows(trail)


@pytest.fixture
def prometheus(prometheus_program: str, agent: Agent, tmp_path: Path) -> Iterator[Prometheus]:
    started = Prometheus(prometheus_program, tmp_path / "prometheus", agent.url.removeprefix("http://"))
    yield started
    started.end()


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
