"""docs/http.md describes the answers as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from auditwatch.ledger.damage import Finding, ViolationRow
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, Standing, TrailState
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.verdict import Trouble
from auditwatch.web.app import create_app
from auditwatch.web.snapshot import AgentStatus, Snapshot, TrailSnapshot
from auditwatch.web.status import findings_json, status_json

TEXT = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def snapshot() -> Snapshot:
    finding = Finding("f0", 3, 30, 9, Kind.TORN, "", 0, False, 1.0, 1.0)
    segment = Segment(1, "a.jsonl", 1, 1, 100, 1.0, judged=80, read=90, findings=(finding,))
    violation = ViolationRow("v0", Violation.TRUNCATED, "a.jsonl", "", 1.0)
    trouble = Trouble("permission", "no")
    state = TrailState(
        "risk", Policy(""), standing=Standing.UNREADABLE, trouble=trouble, active=segment, violations=(violation,)
    )
    return Snapshot(1.0, 1, AgentStatus("0", "3", 1.0), (TrailSnapshot("risk", "/a.jsonl", state),))


def keys(value: Any, *skipped: str) -> set[str]:
    """Keys of all objects inside, those under `skipped` left out: they are named by a kind or a mode."""
    if isinstance(value, list):
        return set().union(*(keys(one, *skipped) for one in value))
    if not isinstance(value, dict):
        return set()
    return set(value) | set().union(*(keys(v, *skipped) for k, v in value.items() if k not in skipped))


def test_every_key_of_both_answers_is_described() -> None:
    described = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", TEXT))))
    answers = [status_json(snapshot()), findings_json(snapshot())]
    found = keys(answers, "by_kind", "violations") | keys(answers[1])
    assert found <= described
    assert {"catching_up", "records_inside", "appended", "beyond"} <= found


def test_every_path_is_described() -> None:
    paths = {route.path for route in create_app(snapshot, bool, bool).routes}
    assert {re.sub(r"^/(static|runbooks)/.+", r"/\1/...", path) for path in paths} == set(
        re.findall(r"^\| `(/[^`]*)` \|", TEXT, re.MULTILINE)
    )
