"""The pages of docs/operate: each command in them is run, or compared with what it names; each file is read."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.agent.running import Agents, append, records, until
from tests.contracts.pages import ROOT

OPERATE = ROOT / "docs" / "operate"
PAGES = [OPERATE / f"{name}.md" for name in ("install", "prometheus", "upgrade")]
UNIT = (ROOT / "deploy" / "auditwatch.service").read_text()
BIN = Path(sys.executable).parent


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```console\n(.+?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def scraping() -> str:
    """The configuration of Prometheus."""
    (text,) = re.findall(r"^```yaml\n(.+?)^```", (OPERATE / "prometheus.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(text)


def here(text: str, root: Path) -> str:
    """With the paths of a host below a directory of the test."""
    return (
        text.replace("/opt/auditwatch/bin/", f"{BIN}/")
        .replace("/etc/", f"{root}/etc/")
        .replace("/var/", f"{root}/var/")
    )


def run(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(here(command, root))
    state = {"STATE_DIRECTORY": f"{root}/var/lib/auditwatch"}
    return subprocess.run(
        words, cwd=ROOT, env=os.environ | state, capture_output=True, text=True, timeout=60, check=False
    )


def compare(command: str) -> bool:
    """Check a command that needs a service manager, other users or the network; whether it is one."""
    words = shlex.split(command)
    match words:
        case ["python3", "-m", "venv", place]:
            assert f"ExecStart={place}/bin/auditwatch run" in UNIT
        case [pip, "install", *_, package] if pip.endswith("/pip"):
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            assert re.fullmatch(r"auditwatch\[(\w+)\]", package), package
            assert package[len("auditwatch[") : -1] in extras
        case ["useradd", *_, user]:
            assert f"\nUser={user}\n" in UNIT
        case ["systemctl", action, *_, unit]:
            assert action in ("enable", "restart", "stop", "reload")
            assert (ROOT / "deploy" / f"{unit}.service").is_file()
        case _:
            return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_works_on_a_host_with_an_agent(page: Path, agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "var" / "log" / "trading" / "audit_trail.jsonl"
    trail.parent.mkdir(parents=True)
    append(trail, records(3))
    (tmp_path / "etc" / "prometheus").mkdir(parents=True)
    (tmp_path / "etc" / "prometheus" / "prometheus.yml").write_text(here(scraping(), tmp_path))
    config = tmp_path / "etc" / "auditwatch" / "auditwatch.yml"
    config.parent.mkdir()
    shipped = (ROOT / "deploy" / "auditwatch.yml").read_text()
    config.write_text(here(shipped, tmp_path).replace("127.0.0.1:9973", "127.0.0.1:0"))
    agent = agents.start("-c", config, state_dir=tmp_path / "var" / "lib" / "auditwatch")
    until(lambda: agent.value("trail_up") == 1)
    asked = commands(page)
    assert asked
    for command in asked:
        if compare(command):
            continue
        done = run(command, tmp_path)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_the_configuration_of_prometheus_takes_rules_and_alertmanager() -> None:
    config = yaml.safe_load(scraping())
    listening = re.search(r'listen_address: "(.+)"', (ROOT / "deploy" / "auditwatch.yml").read_text())
    assert listening
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == [listening[1]]
    assert [Path(name).name for name in config["rule_files"]] == ["auditwatch.rules.yml"]
