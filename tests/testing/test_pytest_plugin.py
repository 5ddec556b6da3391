"""The fixtures, as another project's pytest sees them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "auditwatch.pytest_plugin"

SUITE = """
import pytest
from auditwatch import AuditWriteError, AuditWriter
from auditwatch.testing import read_records

def test_one(audit_writer):
    assert isinstance(audit_writer, AuditWriter)
    audit_writer.append({"event": "KILL_SWITCH"})
    assert [record["event"] for record in audit_writer.records] == ["KILL_SWITCH"]

def test_the_next_one_starts_with_an_empty_trail(audit_writer):
    audit_writer.fail_with = "disk_full"
    with pytest.raises(AuditWriteError):
        audit_writer.append({"event": "KILL_SWITCH"})
    assert audit_writer.lines == []

def test_a_trail_on_disk(audit_trail):
    with AuditWriter(audit_trail) as writer:
        writer.append({"a": 1})
    assert [record["a"] for record in read_records(audit_trail)] == [1]
"""


def test_the_fixtures_work_in_another_project(tmp_path):
    (tmp_path / "test_it.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", NAME, "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


def test_pytest_finds_them_where_auditwatch_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {NAME: NAME}


def test_a_pytest_that_uses_none_of_them_does_not_load_the_writer():
    script = f"import sys, {NAME}\nprint('orjson' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout == "False\n"
