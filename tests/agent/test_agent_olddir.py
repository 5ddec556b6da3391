"""Segments that are moved to another directory, by the real logrotate: no alarm, and each line is judged once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, configuration, records, until
from tests.agent.test_agent_logrotate import Logrotate, judged

pytestmark = pytest.mark.concurrency

# The trail of the fixture has three lines.

SETTINGS = {
    "create": "create",
    "create, compress": "create\ncompress",
    "nocreate, compress, delaycompress": "nocreate\ncompress\ndelaycompress",
    "create, compress, dateext": "create\ncompress\ndateext\ndateformat -%Y%m%d-%s",
}


@pytest.fixture
def old(trail: Path) -> Path:
    directory = trail.parent / "old"
    directory.mkdir()
    return directory


@pytest.fixture
def rotated(tmp_path: Path, trail: Path, old: Path, request: pytest.FixtureRequest) -> Logrotate:
    return Logrotate(tmp_path, trail, f"{SETTINGS[request.param]}\nolddir {old}")


def start(agents: Agents, trail: Path) -> Agent:
    entry = f"{{path: {trail}, segments: [old/risk*]}}"
    return agents.start("-c", configuration(trail.parent / "auditwatch.yml", [entry])).follows(trail)


@pytest.mark.parametrize("rotated", SETTINGS, indirect=True)
def test_rotations_into_another_directory_watched_and_not(
    agents: Agents, trail: Path, old: Path, rotated: Logrotate
) -> None:
    append(trail, records(100))
    agent = start(agents, trail)
    for number in range(1, 4):
        append(trail, records(100, start=number * 1000))
        rotated.run()
        append(trail, records(10, start=number * 1000 + 500))
        until(lambda: judged(agent) == 103 + number * 110)  # noqa: B023  asked at once
    assert agent.value("trail_rotations_total") == 3
    assert {segment["directory"] for segment in agent.status()["segments"]} == {str(old), None}
    agent.stop()
    for number in range(2):
        append(trail, records(100, start=(number + 4) * 1000) + (SPLICED if number else b""))
        rotated.run()
    append(trail, records(10, start=6000))
    agent = start(agents, trail)
    until(lambda: judged(agent) == 103 + 330 + 200 + 2 + 10)
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_detected_total") == 2
    assert agent.value("trail_appended_lines_total") == 330 + 212


@pytest.mark.parametrize("rotated", SETTINGS, indirect=True)
def test_another_place_is_found_that_nobody_named(agents: Agents, trail: Path, rotated: Logrotate) -> None:
    """Compressed at once, the file itself is never seen there: the kernel says where it had its last name."""
    append(trail, records(100))
    agent = agents.start(trail).follows(trail)
    append(trail, records(100, start=1000))
    rotated.run()
    append(trail, records(10, start=2000))
    until(lambda: judged(agent) == 203 + 10)
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_appended_lines_total") == 110


def test_lines_of_a_segment_in_another_directory_can_be_shown(agents: Agents, trail: Path, old: Path) -> None:
    (old / "risk-first.gz").write_bytes(gzip.compress(records(5) + SPLICED))
    agent = start(agents, trail)
    until(lambda: judged(agent) == 10)
    shown = command("findings", "--show", "--state-dir", agent.state_dir)
    assert "KILL_SWITCH" in shown.stdout


def test_what_leaves_the_other_directory_is_missed(agents: Agents, trail: Path, old: Path) -> None:
    for number in (1, 2):
        (old / f"risk.jsonl.{number}").write_bytes(records(5))
    agent = start(agents, trail)
    until(lambda: judged(agent) == 13)
    (old / "risk.jsonl.1").unlink()
    append(trail, records(1))
    until(lambda: agent.value("trail_violations", kind="segment_missing") == 1)
    assert judged(agent) == 9


def test_links_in_the_other_directory_are_not_followed(agents: Agents, trail: Path, old: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SPLICED)
    (old / "risk.jsonl.1").symlink_to(secret)
    (old / "risk.jsonl.2").write_bytes(records(2))
    agent = start(agents, trail)
    until(lambda: judged(agent) == 5)
    assert agent.value("trail_corrupt_lines") == 0
