"""The trail is rotated by renaming: its findings stay, late lines are judged, the new file is growth."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.agent.running import Agents, append, configuration, records, until

pytestmark = pytest.mark.concurrency

WIDE = b'{"event":"PADDING","text":"' + b"x" * 80 + b'"}\n'


def test_a_rename_and_a_new_file_are_one_rotation_without_a_violation(agents: Agents, trail: Path) -> None:
    append(trail, WIDE)
    agent = agents.start(trail).follows(trail)
    append(trail, b"not JSON\n")
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    os.rename(trail, trail.with_name("risk.jsonl.1"))
    append(trail, records(2, 7))
    until(lambda: agent.value("trail_rotations_total") == 1)
    agent.follows(trail)
    assert (agent.value("trail_lines"), agent.value("trail_segments")) == (2, 1)
    assert agent.value("trail_appended_lines_total") == 3
    assert agent.value("trail_corrupt_lines") == 1
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_up") == 1
    agent.stop()


def test_a_late_append_to_the_renamed_file_is_judged(agents: Agents, trail: Path) -> None:
    append(trail, WIDE)
    agent = agents.start(trail).follows(trail)
    old = trail.with_name("risk.jsonl.1")
    os.rename(trail, old)
    append(trail, records(1))
    until(lambda: agent.value("trail_rotations_total") == 1)
    append(old, b"not JSON\n")
    until(lambda: agent.value("trail_corrupt_lines") == 1)
    assert agent.findings()["findings"][0]["segment"] == "risk.jsonl.1"
    agent.stop()


def test_rotated_away_and_no_new_file_yet_is_up(agents: Agents, trail: Path) -> None:
    append(trail, WIDE)
    agent = agents.start(trail).follows(trail)
    os.rename(trail, trail.with_name("risk.jsonl.1"))
    until(lambda: agent.value("trail_rotations_total") == 1)
    assert (agent.value("trail_up"), agent.value("trail_size_bytes"), agent.value("trail_violations")) == (1, 0, 0)
    agent.stop()


def test_three_rotations_while_nobody_looked(agents: Agents, trail: Path) -> None:
    append(trail, WIDE)
    agents.start(trail).follows(trail).stop()
    for number in range(3):
        append(trail, b"not JSON %d\n" % number + WIDE)
        os.rename(trail, trail.with_name(f"risk-2026010{number + 1}.jsonl"))
    append(trail, records(1))
    agent = agents.start(trail)
    until(lambda: agent.value("trail_rotations_total") == 3)
    until(lambda: agent.value("trail_unverified_bytes") == 0)
    assert agent.value("trail_segments") == 3
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_detected_total") == 3
    assert agent.value("trail_appended_lines_total") == 7
    assert (agent.value("trail_violations"), agent.value("trail_corrupt_lines_inherited")) == (0, 0)
    agent.stop()


def test_a_torn_tail_of_a_closed_segment_is_damage_after_its_grace(agents: Agents, trail: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}, pending_grace: 1s}}"])
    append(trail, WIDE + b'{"event":"cut')
    agent = agents.start("-c", config).follows(trail)
    assert agent.value("trail_corrupt_lines") == 0
    os.rename(trail, trail.with_name("risk.jsonl.1"))
    append(trail, records(1))
    until(lambda: agent.value("trail_corrupt_lines", kind="torn") == 1)
    agent.stop()
