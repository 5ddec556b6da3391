"""logrotate's copytruncate, where the owner of the trail says that it is rotated like that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.running import Agents, append, configuration, records, until
from tests.agent.test_agent_logrotate import Logrotate, judged


@pytest.mark.parametrize("settings", ["copytruncate", "copytruncate\ncompress"], ids=["plain", "compressed"])
@pytest.mark.parametrize("is_running", [True, False], ids=["running", "stopped"])
def test_copytruncate_that_the_owner_accepts_is_a_rotation_with_a_warning(
    agents: Agents, trail: Path, tmp_path: Path, settings: str, is_running: bool
) -> None:
    rotated = Logrotate(tmp_path, trail, settings)
    entry = f"{{name: {trail.stem}, path: {trail}, rotation: copytruncate}}"
    config = configuration(tmp_path / "auditwatch.yml", [entry])
    append(trail, records(100))
    agent = agents.start("-c", config).follows(trail)
    for number in range(1, 3):
        append(trail, records(50, start=1000 * number))
        if not is_running:
            agent.stop()
        rotated.run()
        append(trail, records(10, start=1000 * number + 500))
        if not is_running:
            agent = agents.start("-c", config)
        until(lambda: judged(agent) == 103 + number * 60)  # noqa: B023  asked at once
    assert agent.value("trail_violations") == 0
    assert agent.value("trail_violations_acknowledged") >= 1
    assert agent.value("trail_appended_lines_total") == 120
    assert agent.value("trail_rotations_total") == 2
    assert "copied to" in agent.log()
