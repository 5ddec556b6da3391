"""A symbolic link that moves from one file to the next is a rotation, if it may be followed: no alarm, no line lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.running import SPLICED, Agent, Agents, append, configuration, records, until


class Dated:
    """A directory of dated files, and a link to the newest of them."""

    def __init__(self, home: Path, place: str) -> None:
        self.home = home
        self.place = place
        self.link = home / "risk.jsonl"
        (home / place).mkdir(exist_ok=True)

    def day(self, number: int) -> Path:
        return self.home / self.place / f"risk-202611{number}.jsonl"

    def point(self, number: int) -> None:
        """As `ln -sfn` does it."""
        new = self.home / ".new"
        new.symlink_to(self.day(number).relative_to(self.home))
        new.rename(self.link)


@pytest.fixture(params=[".", "days"], ids=["beside it", "in another directory"])
def dated(tmp_path: Path, request: pytest.FixtureRequest) -> Dated:
    (tmp_path / "logs").mkdir()
    dated = Dated(tmp_path / "logs", request.param)
    append(dated.day(24), records(5))
    dated.point(24)
    return dated


def start(agents: Agents, dated: Dated) -> Agent:
    entry = f"{{name: risk, path: {dated.link}, follow_symlink: true}}"
    return agents.start("-c", configuration(agents.directory / "auditwatch.yml", [entry]))


def lines(agent: Agent) -> dict[str, int]:
    return {segment["name"]: segment["lines"] for segment in agent.status()["segments"]}


def test_it_moves_while_it_is_watched(agents: Agents, dated: Dated) -> None:
    agent = start(agents, dated).follows(dated.day(24))
    append(dated.day(24), records(5, start=10) + SPLICED)
    append(dated.day(25), records(3, start=20))
    dated.point(25)
    until(lambda: lines(agent) == {"risk-20261124.jsonl": 12, "risk.jsonl": 3})
    append(dated.day(25), records(2, start=30))
    until(lambda: agent.value("trail_appended_lines_total") == 12)
    assert agent.value("trail_rotations_total") == 1
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_corrupt_lines_detected_total") == 2


def test_it_moves_while_the_agent_is_stopped(agents: Agents, dated: Dated) -> None:
    start(agents, dated).follows(dated.day(24)).stop()
    append(dated.day(24), records(5, start=10) + SPLICED)
    append(dated.day(25), records(3, start=20))
    dated.point(25)
    agent = start(agents, dated)
    until(lambda: lines(agent) == {"risk-20261124.jsonl": 12, "risk.jsonl": 3})
    until(lambda: agent.value("trail_appended_lines_total") == 10)
    assert agent.value("trail_rotations_total") == 1
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_corrupt_lines_detected_total") == 2
