"""What an agent says of all its trails at once."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from tests.agent.running import Agent


def statuses(agent: Agent) -> dict[str, dict[str, Any]]:
    """The status of each trail by its name."""
    return {trail["name"]: trail for trail in json.loads(agent.get("/api/v1/status"))["trails"]}


def violations(agent: Agent) -> dict[str, list[dict[str, Any]]]:
    """All open violations by the name of their trail."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in agent.findings("?limit=100000")["violations"]:
        if row["state"] == "open":
            found[row["trail"]].append(row)
    return found
