"""What is shipped for systemd: the unit runs commands that exist, hardened; the example configuration is right."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from auditwatch.cli.main import COMMANDS
from auditwatch.cli.run import command as run_command
from auditwatch.config.settings import Schedule, load_config

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / "auditwatch.service").read_text())
    return parser


def test_the_unit_runs_a_command_line_that_parses(unit: configparser.ConfigParser) -> None:
    program, name, *rest = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/bin/auditwatch")
    assert name in COMMANDS
    assert run_command.make_context(name, rest).params["config_file"] == "/etc/auditwatch/auditwatch.yml"


def test_the_unit_has_its_own_state_directory_user_and_no_power(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert (service["StateDirectory"], service["StateDirectoryMode"], service["User"]) == (
        "auditwatch",
        "0700",
        "auditwatch",
    )
    assert (service["CapabilityBoundingSet"], service["NoNewPrivileges"], service["ProtectSystem"]) == (
        "",
        "yes",
        "strict",
    )
    assert service["RestartPreventExitStatus"] == "2"


def test_the_unit_waits_longer_than_a_stop_takes(unit: configparser.ConfigParser) -> None:
    seconds = re.fullmatch(r"(\d+)s", unit["Service"]["TimeoutStopSec"])
    assert seconds is not None
    assert int(seconds[1]) > 10


def test_systemd_finds_little_exposed() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT RUN: systemd-analyze is not installed")
    asked = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=25"]
    done = subprocess.run([*asked, str(DEPLOY / "auditwatch.service")], capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("NOT RUN: this systemd-analyze cannot look at a file")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_configuration_is_right() -> None:
    (trail,) = load_config(str(DEPLOY / "auditwatch.yml")).trails
    assert (trail.name, trail.full) == ("risk", Schedule(cron="15 3 * * sun"))
