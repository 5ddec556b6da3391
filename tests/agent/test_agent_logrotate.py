"""The real logrotate in its usual settings: no alarm, and every line that is in the files is judged exactly once."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from auditwatch import AuditWriter
from tests.agent.running import SPLICED, Agent, Agents, append, command, records, until

pytestmark = pytest.mark.concurrency

# The trail of the fixture has three lines.

SETTINGS = {
    "create, compress": "create\ncompress",
    "create, compress, delaycompress": "create\ncompress\ndelaycompress",
    "nocreate, compress": "nocreate\ncompress",
    "create, compress, dateext": "create\ncompress\ndateext\ndateformat -%Y%m%d-%s",
    "create": "create",
    "create, xz": "create\ncompress\ncompresscmd /usr/bin/xz\nuncompresscmd /usr/bin/unxz\ncompressext .xz",
}


SHIPPED = Path(__file__).parents[2] / "deploy" / "logrotate" / "auditwatch"


class Logrotate:
    """Rotates one trail, at once."""

    def __init__(self, directory: Path, trail: Path, settings: str, whole: str = "") -> None:
        self.trail = trail
        self.program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
        if self.program is None:
            pytest.skip("NOT RUN: logrotate is not installed")
        if "xz" in settings and shutil.which("xz") is None:
            pytest.skip("NOT RUN: xz is not installed")
        self.config = directory / "logrotate.conf"
        self.config.write_text(whole or f"{trail} {{\nrotate 100\nmissingok\nsu root root\n{settings}\n}}\n")
        self.config.chmod(0o644)
        self.status = directory / "logrotate.status"
        self.last = 0

    def run(self) -> None:
        """Its dated names have seconds: two rotations in one would have one name, which it refuses."""
        until(lambda: time.time() > self.last + 1.05)  # the clock of time(2) lags by a tick
        command = [str(self.program), "--force", "--state", str(self.status), str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.last = int(time.time())
        assert done.returncode == 0, done.stderr


def judged(agent: Agent) -> int:
    """Lines of all files that are there."""
    return int(sum(segment["lines"] for segment in agent.status()["segments"] if segment["bytes"]))


@pytest.fixture
def rotated(tmp_path: Path, trail: Path, request: pytest.FixtureRequest) -> Logrotate:
    return Logrotate(tmp_path, trail, SETTINGS[request.param])


@pytest.mark.parametrize("rotated", SETTINGS, indirect=True)
def test_rotations_while_the_agent_watches(agents: Agents, trail: Path, rotated: Logrotate) -> None:
    append(trail, records(100))
    agent = agents.start(trail).follows(trail)
    for number in range(1, 5):
        append(trail, records(100))
        rotated.run()
        append(trail, records(10))
        until(lambda: judged(agent) == 103 + number * 110)  # noqa: B023  asked at once
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines") == 2)
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_appended_lines_total") == 4 * 110 + 2
    assert agent.value("trail_corrupt_lines_detected_total") == 2
    assert agent.value("trail_rotations_total") == 4


@pytest.mark.parametrize("rotated", SETTINGS, indirect=True)
def test_rotations_while_the_agent_is_stopped(agents: Agents, trail: Path, rotated: Logrotate) -> None:
    append(trail, records(100))
    agents.start(trail).follows(trail).stop()
    for number in range(1, 4):
        append(trail, records(100) + (SPLICED if number == 2 else b""))
        rotated.run()
    append(trail, records(10))
    agent = agents.start(trail).follows(trail)
    until(lambda: judged(agent) == 103 + 300 + 2 + 10)
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_appended_lines_total") == 312
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_detected_total") == 2
    assert agent.value("trail_corrupt_lines_inherited") == 0


def shipped(directory: Path, trail: Path) -> Logrotate:
    """The file that is shipped, for this trail."""
    text = SHIPPED.read_text().replace("/var/log/trading/audit_trail.jsonl", str(trail))
    assert str(trail) in text
    return Logrotate(directory, trail, "", text)


def test_the_file_that_is_shipped_rotates_a_stamped_trail_without_an_alarm(agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "trail" / "risk.jsonl"
    trail.parent.mkdir(mode=0o700)
    logrotate = shipped(tmp_path, trail)
    with AuditWriter(trail, stamp=True) as audit:
        audit.append({"event": "START"})
        agent = agents.start(trail).follows(trail)
        for number in range(1, 5):
            for _ in range(100):
                audit.append({"event": "TRADE_APPROVED", "round": number})
            logrotate.run()
            audit.append({"event": "KILL_SWITCH"})
            until(lambda: agent.value("trail_rotations_total") == number)  # noqa: B023  asked at once
    agent.follows(trail)
    lines = 1 + 4 * 100 + 4 + 4  # each new file begins with the writer's own record
    until(lambda: judged(agent) == lines)
    assert (agent.value("trail_violations"), agent.value("trail_corrupt_lines")) == (0, 0)
    names = sorted(path.name for path in trail.parent.iterdir() if not path.name.startswith("."))
    assert [re.sub(r"\d+", "N", name) for name in names] == [*["risk-N-N.jsonl.gz"] * 3, "risk-N-N.jsonl", "risk.jsonl"]
    done = command("validate", "--as-trail", trail.parent)
    assert done.returncode == 0, done.stdout


def test_what_retention_takes_with_the_file_that_is_shipped_is_retention(agents: Agents, tmp_path: Path) -> None:
    trail = tmp_path / "trail" / "risk.jsonl"
    trail.parent.mkdir(mode=0o700)
    append(trail, records(10))
    logrotate = shipped(tmp_path, trail)
    logrotate.config.write_text(logrotate.config.read_text().replace("rotate 400", "rotate 2"))
    agent = agents.start(trail).follows(trail)
    for number in range(1, 5):
        append(trail, records(100))
        agent.follows(trail)
        logrotate.run()
        append(trail, records(10))
        until(lambda: agent.value("trail_rotations_total") == number)  # noqa: B023  asked at once
        agent.follows(trail)
    until(lambda: agent.value("trail_segments_expired_total") == 2)
    assert (agent.value("trail_violations"), agent.value("trail_segments_expired_unverified_total")) == (0, 0)


def test_compressed_history_is_judged_at_first_sight(agents: Agents, trail: Path) -> None:
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(records(50) + SPLICED))
    append(trail, records(10))
    agent = agents.start(trail).follows(trail)
    until(lambda: judged(agent) == 65)
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_inherited") == 2
    assert agent.value("trail_appended_lines_total") == 0


def test_a_compressed_copy_beside_its_segment_is_not_counted(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    append(trail, records(100) + SPLICED)
    agent.follows(trail)
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(trail.read_bytes()))
    trail.rename(f"{trail}.1")
    append(trail, records(10))
    until(lambda: judged(agent) == 115)
    agent.follows(trail)
    assert (agent.value("trail_corrupt_lines"), agent.value("trail_rotations_total")) == (2, 1)
    Path(f"{trail}.1").unlink()
    until(lambda: [s["name"] for s in agent.status()["segments"]] == ["risk.jsonl.1.gz", "risk.jsonl"], 60)
    assert judged(agent) == 115
    assert (agent.value("trail_corrupt_lines"), agent.value("trail_violations")) == (2, 0)


def test_the_lines_of_a_compressed_segment_can_be_shown(agents: Agents, trail: Path) -> None:
    append(trail, SPLICED)
    agent = agents.start(trail).follows(trail)
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(trail.read_bytes()))
    trail.unlink()
    append(trail, records(1))
    until(lambda: judged(agent) == 6)
    shown = command("findings", "--show", "--state-dir", agent.state_dir)
    assert "KILL_SWITCH" in shown.stdout
    assert agent.value("trail_violations") == 0


def test_a_trail_that_begins_like_a_compressed_file_is_a_damaged_trail(agents: Agents, trail: Path) -> None:
    """Only neighbours are unpacked: what is at the path of a trail is judged as it is."""
    trail.write_bytes(gzip.compress(b"x") + b"\n")
    agent = agents.start(trail).follows(trail)
    append(trail, records(2))
    until(lambda: agent.value("trail_lines") == trail.read_bytes().count(b"\n"))
    assert agent.value("trail_corrupt_lines") == trail.read_bytes().count(b"\n") - 2


def test_a_cut_archive_hides_nothing_else_and_is_read_once_it_is_whole(agents: Agents, trail: Path) -> None:
    whole = gzip.compress(b"".join(b'{"n":%d,"x":"%x"}\n' % (n, n * n) for n in range(5000)))
    archive = Path(f"{trail}.2.gz")
    archive.write_bytes(whole[: len(whole) // 2])
    Path(f"{trail}.1.gz").write_bytes(gzip.compress(records(50)))
    agent = agents.start(trail).follows(trail)
    until(lambda: judged(agent) == 53)
    append(trail, records(1))
    until(lambda: judged(agent) == 54)
    archive.write_bytes(whole)
    append(trail, records(1))
    until(lambda: judged(agent) == 5055, 90)
    assert agent.value("trail_violations") == 0
