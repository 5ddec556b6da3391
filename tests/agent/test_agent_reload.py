"""SIGHUP: the new configuration is taken whole, or the old one is kept whole."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, configuration, records, until

pytestmark = pytest.mark.concurrency


def reload(agent: Agent) -> None:
    """Send SIGHUP and wait until the agent has said what it made of it."""
    said = agent.log().count("SIGHUP: ")
    agent.process.send_signal(signal.SIGHUP)
    until(lambda: agent.log().count("SIGHUP: ") > said)


def trails_of(agent: Agent) -> list[str]:
    return sorted(labels["trail"] for labels, _ in agent.metrics()["trail_up"])


@pytest.fixture
def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.jsonl"
    append(path, records(5))
    return path


def test_trails_join_and_leave_and_what_is_known_of_them_stays(
    agents: Agents, trail: Path, other: Path, tmp_path: Path
) -> None:
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}}}"])
    agent = agents.start("-c", config).follows(trail)
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines", trail="risk") == 2)
    configuration(config, [f"{{name: risk, path: {trail}}}", f"{{name: other, path: {other}}}"])
    reload(agent)
    agent.follows(other, "other")
    assert trails_of(agent) == ["other", "risk"]
    assert agent.value("trail_corrupt_lines_detected_total", trail="risk") == 2
    configuration(config, [f"{{name: other, path: {other}}}"])
    reload(agent)
    assert trails_of(agent) == ["other"]
    append(trail, b"not JSON\n")
    configuration(config, [f"{{name: risk, path: {trail}}}"])
    reload(agent)
    agent.follows(trail)
    assert trails_of(agent) == ["risk"]
    assert agent.value("trail_corrupt_lines", trail="risk") == 3
    assert agent.value("trail_corrupt_lines_detected_total", trail="risk") == 3
    assert agent.value("config_last_reload_successful") == 1
    agent.stop()


def test_a_broken_file_keeps_the_old_configuration_and_says_so(agents: Agents, trail: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}}}"])
    agent = agents.start("-c", config).follows(trail)
    before = {name: agent.value(name) for name in ("config_hash", "config_last_reload_success_timestamp_seconds")}
    config.write_text("trails: [{name: RISK}]\nsurprise: 1\n")
    reload(agent)
    assert agent.value("config_last_reload_successful") == 0
    assert {name: agent.value(name) for name in before} == before
    append(trail, SPLICED)
    until(lambda: agent.value("trail_corrupt_lines", trail="risk") == 2)
    configuration(config, [f"{{name: risk, path: {trail}, poll_interval: 2s}}"])
    reload(agent)
    assert agent.value("config_last_reload_successful") == 1
    assert agent.value("config_hash") != before["config_hash"]
    agent.stop()


def test_other_rules_judge_everything_again_and_count_nothing_twice(
    agents: Agents, trail: Path, tmp_path: Path
) -> None:
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}}}"])
    agent = agents.start("-c", config).follows(trail)
    append(trail, SPLICED + b'{"no":"event"}\n')
    until(lambda: agent.value("trail_lines") == 6)
    configuration(config, [f"{{name: risk, path: {trail}, require: {{event: string}}}}"])
    reload(agent)
    until(lambda: agent.value("trail_corrupt_lines", kind="schema") == 1)
    agent.follows(trail)
    assert agent.value("trail_corrupt_lines") == 3
    assert agent.value("trail_appended_lines_total") == 3
    assert agent.value("trail_corrupt_lines_detected_total", kind="interleaved") == 1
    agent.stop()


def test_reloads_in_a_row_under_load_leave_one_monitor_a_trail(agents: Agents, trail: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path / "a.yaml", [f"{{name: risk, path: {trail}}}"])
    agent = agents.start("-c", config).follows(trail)
    for number in range(20):
        append(trail, records(500) + b"not JSON\n")
        configuration(config, [f"{{name: risk, path: {trail}, poll_interval: {number + 1}s}}"])
        agent.process.send_signal(signal.SIGHUP)
    append(trail, records(1))
    agent.follows(trail)
    until(lambda: agent.value("trail_lines") == 3 + 20 * 501 + 1)
    assert agent.value("trail_corrupt_lines") == agent.value("trail_corrupt_lines_detected_total") == 20
    assert agent.value("trail_appended_lines_total") == 20 * 501 + 1
    log = agent.stop()
    assert log.count("invalid_json") <= 20


def test_without_a_file_there_is_nothing_to_reload(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    reload(agent)
    append(trail, records(1))
    agent.follows(trail)
    assert agent.value("config_last_reload_successful") == 1
    agent.stop()
