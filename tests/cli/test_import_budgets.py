"""What a command loads: one that needs no agent must not pay for one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from auditwatch.cli.main import COMMANDS, run

WEIGHED: Final = {
    "apscheduler", "asyncio", "blake3", "click", "jinja2", "jsonschema_rs", "msgspec", "orjson", "prometheus_client",
    "pydantic", "rich", "sqlite3", "ssl", "starlette", "urllib.request", "uvicorn", "watchdog", "yaml",
}  # fmt: skip
"""Third parties, and what is heavy of the standard library: pydantic and APScheduler took half the CPU of `status`."""

JUDGING: Final = {"asyncio", "blake3", "msgspec", "ssl"}
STATE: Final = {"msgspec", "sqlite3"}
CONFIGURATION: Final = {"apscheduler", "asyncio", "pydantic", "ssl"}  # asyncio is APScheduler's, ssl is asyncio's

BUDGETS: Final = {
    "--help": set[str](),
    "explain torn": set[str](),
    "status --state-dir state": STATE,
    "findings --state-dir state": STATE,
    "findings --state-dir state --show": STATE | {"blake3"},
    "acknowledge f0123456789 --reason known --state-dir state": STATE,
    "rebaseline t --reason known --state-dir state": STATE,
    "healthcheck --url http://127.0.0.1:1": {"ssl", "urllib.request"},
    "status --url http://127.0.0.1:1": {"ssl", "urllib.request"},
    "validate t.jsonl": JUDGING,
    "validate --state-dir state t.jsonl": JUDGING | STATE,
    "salvage t.jsonl --output saved": {"blake3", "msgspec"},
    "append written.jsonl": {"msgspec", "orjson"},
    "config check config.yml": CONFIGURATION | {"yaml"},
    "config schema": CONFIGURATION,
}

SCRIPT: Final = """
import json, sys
from auditwatch.cli.main import run
sys.stdin = open("t.jsonl")
run(sys.argv[1:])
sys.stdout.flush()
print("\\n" + json.dumps(sorted(sys.modules)))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A trail with a damaged line, the state of an agent that saw it, and a configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_bytes(b'{"a":1}\n{"a":\n')
    (tmp_path / "config.yml").write_text("trails: [t.jsonl]\n")
    assert run(["run", "--once", "--state-dir", "state", "t.jsonl"]) == 1
    capsys.readouterr()
    return tmp_path


@pytest.mark.parametrize("line", BUDGETS)
def test_a_command_loads_what_its_budget_says(line: str, place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *line.split()], cwd=place, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & WEIGHED - {"click"} == BUDGETS[line], done.stderr


def test_a_full_validation_of_a_file_loads_nothing_of_samples_segments_or_streams(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "validate", "t.jsonl"], cwd=place, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    others = {"validation.sample", "validation.cover", "validation.once.as_trail", "validation.once.stdin"}
    assert not loaded & {f"auditwatch.{name}" for name in others}
    assert "secrets" not in loaded


def test_every_command_that_needs_no_agent_has_a_budget() -> None:
    assert {line.split()[0] for line in BUDGETS} >= set(COMMANDS) - {"run", "demo"}
