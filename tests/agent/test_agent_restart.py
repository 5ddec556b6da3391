"""The agent is stopped, killed and started again: it neither forgets, nor counts twice, nor reports as new again."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, command, records, until

pytestmark = pytest.mark.concurrency

COUNTS = (
    "trail_lines",
    "trail_verified_bytes",
    "trail_appended_bytes_total",
    "trail_appended_lines_total",
    "trail_corrupt_lines",
    "trail_corrupt_lines_inherited",
    "trail_corrupt_lines_detected_total",
    "trail_last_corrupt_line_timestamp_seconds",
    "trail_corrupt_lines_acknowledged",
    "validation_runs_total",
    "trail_rotations_total",
)


def counts(agent: Agent) -> dict[str, float]:
    scrape = agent.metrics()
    return {name: sum(value for _, value in scrape[name]) for name in COUNTS}


def damaged(agents: Agents, trail: Path) -> Agent:
    """An agent that has seen two inherited and two new damaged lines."""
    append(trail, SPLICED)
    agent = agents.start(trail).follows(trail)
    append(trail, SPLICED + records(4))
    until(lambda: agent.value("trail_corrupt_lines") == 4)
    return agent


@pytest.mark.parametrize("ending", ["SIGTERM", "kill -9"])
def test_a_restart_shows_what_was_known_and_reports_nothing_as_new(agents: Agents, trail: Path, ending: str) -> None:
    agent = damaged(agents, trail)
    before, findings = counts(agent), agent.findings()["findings"]
    assert before["trail_corrupt_lines_inherited"] == 2
    assert before["trail_corrupt_lines_detected_total"] == 2
    assert agent.log().count("interleaved") == 1
    if ending == "SIGTERM":
        agent.stop()
    else:
        agent.kill()
    again = agents.start(trail)
    assert counts(again) == before  # from the very first scrape on
    again.follows(trail)
    assert counts(again) == before
    assert [found["id"] for found in again.findings()["findings"]] == [found["id"] for found in findings]
    assert [found["first_seen"] for found in again.findings()["findings"]] == [f["first_seen"] for f in findings]
    log = again.stop()
    assert "WARNING" not in log
    assert "damaged" not in log


def test_what_was_appended_while_nobody_looked_is_judged_once_and_is_new(agents: Agents, trail: Path) -> None:
    agent = damaged(agents, trail)
    before = counts(agent)
    agent.stop()
    append(trail, records(2) + b"not JSON\n")
    agent = agents.start(trail).follows(trail)
    after = counts(agent)
    assert after["trail_appended_lines_total"] == before["trail_appended_lines_total"] + 3
    assert after["trail_corrupt_lines_detected_total"] == 3
    assert after["trail_corrupt_lines_inherited"] == 2
    assert agent.log().count("invalid_json") == 1


def test_a_line_appended_just_before_sigterm_is_counted_exactly_once(agents: Agents, trail: Path) -> None:
    for number in range(1, 4):
        agent = agents.start(trail).follows(trail)
        append(trail, records(1, number))
        agent.stop()
        stored = command("status", "--state-dir", agent.state_dir, "--format", "json")
        assert f'"lines": {number}' in stored.stdout, "the last look came before the exit"
    agent = agents.start(trail).follows(trail)
    assert agent.value("trail_appended_lines_total") == 3
    assert agent.value("trail_lines") == 6


def test_sigint_ends_as_cleanly_as_sigterm(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    agent.process.send_signal(signal.SIGINT)
    assert agent.process.wait(10) == 0
    assert "Traceback" not in agent.log()


def test_a_signal_at_any_moment_of_the_start_ends_without_a_traceback(agents: Agents, trail: Path) -> None:
    for step in range(8):
        agent = agents.start(trail)
        try:  # the time it may take is the moment of the signal
            agent.process.wait(step * 0.1)
        except subprocess.TimeoutExpired:
            agent.process.send_signal(signal.SIGTERM)
        # Before the command is known, SIGTERM ends this process like any other.
        assert agent.process.wait(10) in (0, 143, -signal.SIGTERM), agent.log()
        assert "Traceback" not in agent.log()


def test_sigterm_in_the_middle_of_a_long_history_ends_in_time_and_the_next_start_goes_on(
    agents: Agents, trail: Path
) -> None:
    append(trail, (records(100_000) + b"an old scar\n") * 10)
    agent = agents.start(trail)
    until(lambda: agent.value("trail_size_bytes") == trail.stat().st_size)  # the first look is stored
    append(trail, SPLICED)
    agent.stop()
    agent = agents.start(trail).follows(trail)
    assert (agent.value("trail_corrupt_lines"), agent.value("trail_corrupt_lines_inherited")) == (12, 10)
    assert agent.value("trail_appended_lines_total") == agent.value("trail_corrupt_lines_detected_total") == 2
    agent.stop()


def test_acknowledged_damage_stays_acknowledged(agents: Agents, trail: Path) -> None:
    agent = damaged(agents, trail)
    done = command("acknowledge", "--trail", "risk", "--all", "--reason", "known", "--state-dir", agent.state_dir)
    assert done.returncode == 0, done.stderr
    agent.kill()
    agent = agents.start(trail).follows(trail)
    assert agent.value("trail_corrupt_lines") == 0
    assert agent.value("trail_corrupt_lines_acknowledged") == 4
    assert agent.value("trail_corrupt_lines_detected_total") == 2


def test_another_file_under_the_same_name_is_another_trail(agents: Agents, trail: Path, tmp_path: Path) -> None:
    damaged(agents, trail).stop()
    other = tmp_path / "other.jsonl"
    append(other, records(1))
    agent = agents.start(f"risk={other}").follows(other)
    assert agent.value("trail_corrupt_lines") == 0
    agent.stop()
    agent = agents.start(f"risk={trail}").follows(trail)
    assert agent.value("trail_corrupt_lines") == 4


def test_other_rules_at_a_restart_forget_no_history(agents: Agents, trail: Path, tmp_path: Path) -> None:
    append(trail, records(100))
    agents.start(trail).follows(trail).stop()
    with trail.open("r+b") as file:
        file.truncate(len(records(50)))
    config = tmp_path / "strict.yml"
    config.write_text(f"trails: [{{name: {trail.stem}, path: {trail}, strict: true}}]\n")
    agent = agents.start("-c", config)
    until(lambda: agent.value("trail_violations", kind="truncated") == 1)
    until(lambda: agent.value("trail_lines") == 50)
    assert agent.value("trail_violations") == 1
