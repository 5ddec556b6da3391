"""Each test has its own agent, state directory and trail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.running import Agents, records


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Agents]:
    started = Agents(tmp_path)
    yield started
    started.end_all()


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A trail of three whole lines, known as `risk`."""
    path = tmp_path / "risk.jsonl"
    path.write_bytes(records(3))
    return path
