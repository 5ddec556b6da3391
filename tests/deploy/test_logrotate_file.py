"""What is shipped for logrotate: it accepts the file without a word, and the file says what a trail needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SHIPPED = Path(__file__).parents[2] / "deploy" / "logrotate" / "auditwatch"
TRAIL = "/var/log/trading/audit_trail.jsonl"


def directives() -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in SHIPPED.read_text().splitlines())
    return dict((line + " ").split(" ", 1) for line in lines if line)


def test_logrotate_finds_no_fault_in_it(tmp_path: Path) -> None:
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("NOT RUN: logrotate is not installed")
    trail, config = tmp_path / "audit_trail.jsonl", tmp_path / "logrotate.conf"
    trail.write_bytes(b"{}\n")
    config.write_text(SHIPPED.read_text().replace(TRAIL, str(trail)))
    config.chmod(0o644)
    asked = [program, "--debug", "--state", str(tmp_path / "status"), str(config)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    objections = re.findall(r"(?i)\b(?:error|warning|bad|unknown|ignor)\w*.*", done.stderr)
    assert [line for line in objections if not line.startswith("warning: logrotate in debug mode does nothing")] == []
    assert f"considering log {trail}" in done.stderr


def test_it_renames_and_never_copies_and_gives_names_that_stay() -> None:
    found = {name: value.strip() for name, value in directives().items()}
    assert {"nocopytruncate", "nocopy", "dateext", "delaycompress", "notifempty", "missingok", "noolddir"} <= set(found)
    assert found["dateformat"].endswith("%s")
    assert found["extension"] == Path(TRAIL).suffix
    assert not {"copytruncate", "copy", "shred", "sharedscripts", "su", "postrotate"} & set(found)


def test_every_directive_has_its_reason_in_a_comment() -> None:
    blocks = re.findall(r"\n\n((?:    .+\n)+)", SHIPPED.read_text())
    assert all(block.lstrip().startswith("#") for block in blocks)


def test_it_is_for_the_trail_of_the_example_configuration() -> None:
    assert f"path: {TRAIL}" in (SHIPPED.parents[1] / "auditwatch.yml").read_text()
    assert f"\n{TRAIL} {{\n" in SHIPPED.read_text()
