"""What is around the agents when an alert goes out: a real Prometheus, a real Alertmanager, and who is told."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alerts/auditwatch.rules.yml"
ROUTES = ROOT / "alerts/alertmanager.example.yml"

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: auditwatch
    static_configs: [{{targets: ["{target}"]}}]
alerting:
  alertmanagers:
    - static_configs: [{{targets: [{alertmanager}]}}]
"""


def needed(program: str, package: str) -> str:
    """Its path; without it the test was not run."""
    return shutil.which(program) or pytest.skip(f"NOT RUN: {program} is missing: apt-get install {package}")


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class _Process:
    """One process on its own free port, with its own directory."""

    def __init__(self, directory: Path, address: str, *asked: str) -> None:
        self.url = f"http://{address}"
        self.log_path = directory / "log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(asked, stdout=log, stderr=log, cwd=directory)

    def get(self, path: str) -> Any:
        """One answer; None while it does not answer yet."""
        assert self._process.poll() is None, self.log_path.read_text()
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Prometheus(_Process):
    """Scrapes one agent each second, by these rules.

    Args:
        directory: Does not exist yet.
        target: Address of the agent.
        rules: Path of the rules.
        alertmanager: Who is told, if anybody.
        options: Further options of its command line.
    """

    def __init__(
        self, directory: Path, target: str, rules: Path = RULES, alertmanager: Alertmanager | None = None, *options: str
    ) -> None:
        program = needed("prometheus", "prometheus")
        directory.mkdir()
        told = json.dumps(alertmanager.url.removeprefix("http://")) if alertmanager else ""
        configuration = directory / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(rules=rules, target=target, alertmanager=told))
        address = free_address()
        super().__init__(
            directory,
            address,
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={address}",
            *options,
        )

    def ask(self, path: str) -> Any:
        """The data of one answer; None while it does not answer yet."""
        found = self.get(path)
        return found["data"] if found else None

    def values(self, expression: str) -> list[float]:
        """What an expression gives now."""
        query = urllib.parse.urlencode({"query": expression})
        found = self.ask(f"/api/v1/query?{query}") or {"result": []}
        return [float(sample["value"][1]) for sample in found["result"]]

    def firing(self) -> list[tuple[str, str]]:
        """Name and trail of the alerts that fire now."""
        alerts = (self.ask("/api/v1/alerts") or {"alerts": []})["alerts"]
        return sorted(
            (alert["labels"]["alertname"], alert["labels"].get("trail", ""))
            for alert in alerts
            if alert["state"] == "firing"
        )

    def rounds(self, counted: str = "sum_over_time(up[1h])") -> Callable[[], float]:
        """How often the agent was scraped since now, with success if nothing else is counted, and rules evaluated."""

        def number() -> float:
            return sum(self.values(counted))

        before = number()
        return lambda: number() - before


class Webhook:
    """Takes what Alertmanager sends, by receiver.

    Attributes:
        url: Where it listens; `/NAME` is what the receiver NAME is sent to.
        said: The newest annotations of each alert, by its name and trail.
    """

    def __init__(self) -> None:
        told: list[tuple[str, str, str, str]] = []
        said: dict[tuple[str, str], dict[str, str]] = {}

        class Told(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in sent["alerts"]:
                    labels = alert["labels"]
                    name, trail = labels["alertname"], labels.get("trail", "")
                    said[name, trail] = alert["annotations"]
                    told.append((self.path[1:], name, trail, alert["status"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self.told, self.said = told, said
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def firing(self, *but: str) -> dict[tuple[str, str], str]:
        """Who was told of each alert (name and trail) that was not said to be resolved since; of these names none."""
        state: dict[tuple[str, str], str] = {}
        for receiver, name, trail, status in self._told_of(but):
            if status == "firing":
                state[name, trail] = receiver
            else:
                state.pop((name, trail), None)
        return state

    def begun(self, *but: str) -> list[tuple[str, str, str]]:
        """Receiver, name and trail each time that an alert began; not when it is told again while it lasts."""
        lasting: set[tuple[str, str, str]] = set()
        found: list[tuple[str, str, str]] = []
        for *alert, status in self._told_of(but):
            receiver, name, trail = alert
            if status != "firing":
                lasting.discard((receiver, name, trail))
            elif (receiver, name, trail) not in lasting:
                lasting.add((receiver, name, trail))
                found.append((receiver, name, trail))
        return found

    def _told_of(self, but: tuple[str, ...]) -> list[tuple[str, str, str, str]]:
        return [told for told in list(self.told) if told[1] not in but]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Alertmanager(_Process):
    """Routes and inhibits as a configuration says."""

    def __init__(self, directory: Path, configuration: Mapping[str, Any]) -> None:
        program = needed("prometheus-alertmanager", "prometheus-alertmanager")
        directory.mkdir()
        path = directory / "alertmanager.yml"
        path.write_text(yaml.safe_dump(configuration))
        address = free_address()
        super().__init__(
            directory,
            address,
            program,
            f"--config.file={path}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
        )

    def send(self, *alerts: Mapping[str, str]) -> bool:
        """These fire for the next hour; whether it has taken them."""
        starts = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = json.dumps([{"labels": labels, "startsAt": starts} for labels in alerts]).encode()
        asked = urllib.request.Request(f"{self.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(asked, timeout=10).close()
        except OSError:
            return False
        return True

    def states(self) -> dict[str, str]:
        """By name, whether an alert is `active`, `suppressed` or `unprocessed`."""
        return {alert["labels"]["alertname"]: alert["status"]["state"] for alert in self.get("/api/v2/alerts") or []}


def sent_to(webhook: Webhook, seconds: Mapping[str, str]) -> dict[str, Any]:
    """The shipped configuration of Alertmanager with every receiver replaced by the webhook, and quicker.

    Args:
        webhook: Who is told instead of the receivers, at `/RECEIVER`.
        seconds: What `group_wait`, `group_interval` and `repeat_interval` are on every route instead.
    """
    configuration: dict[str, Any] = yaml.safe_load(ROUTES.read_text())
    configuration["receivers"] = [
        {"name": one["name"], "webhook_configs": [{"url": f"{webhook.url}/{one['name']}", "send_resolved": True}]}
        for one in configuration["receivers"]
    ]
    for route in (configuration["route"], *configuration["route"]["routes"]):
        route.update(seconds)
    return configuration


def is_mounted(directory: Path, size: str) -> bool:
    """Whether a tmpfs of this size could be mounted there; the caller unmounts it."""
    directory.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(directory)]
    return os.geteuid() == 0 and subprocess.run(asked, capture_output=True, check=False).returncode == 0
