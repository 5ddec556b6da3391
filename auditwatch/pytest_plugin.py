"""Fixtures for the tests of programs that write audit trails; pytest finds them wherever auditwatch is installed.

Every run of pytest there loads this module, so it imports the writer only when a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from auditwatch.testing import InMemoryAuditWriter


@pytest.fixture
def audit_writer() -> Iterator[InMemoryAuditWriter]:
    """An AuditWriter that keeps its lines in memory: see `auditwatch.testing`."""
    from auditwatch.testing import InMemoryAuditWriter  # noqa: PLC0415  only for tests that ask for it

    with InMemoryAuditWriter("audit_trail.jsonl") as writer:
        yield writer


@pytest.fixture
def audit_trail(tmp_path: Path) -> Path:
    """The path of a trail that does not exist yet; `auditwatch.testing.read_records` reads it."""
    return tmp_path / "audit_trail.jsonl"
