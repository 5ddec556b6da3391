"""run --once, status, findings and acknowledge on a real state directory, without an agent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditwatch.cli.main import run
from auditwatch.state.lock import AgentLock

TRAIL = b'{"event": "A"}\n{"event": "TRADE_A{"event": "KILL_SWITCH"}\nPPROVED"}\n{"event":\x1b[2J\xff\n{"event": "B"}\n'
Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def cli(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs one command on the state directory of the test; its status and what it printed."""

    def call(*arguments: str) -> tuple[int, str]:
        status = run([*arguments, "--state-dir", str(tmp_path / "state")])
        return status, capfd.readouterr().out

    return call


@pytest.fixture
def trail(tmp_path: Path, cli: Cli) -> Path:
    """A trail with three damaged lines that an agent has seen."""
    path = tmp_path / "risk.jsonl"
    path.write_bytes(TRAIL)
    assert cli("run", "--once", str(path))[0] == 1
    return path


def found(cli: Cli, *arguments: str) -> list[dict[str, Any]]:
    status, printed = cli("findings", "--format", "json", *arguments)
    assert status == 0
    listed: list[dict[str, Any]] = json.loads(printed)["findings"]
    return listed


def test_once_is_0_on_a_whole_trail_1_on_a_damaged_and_3_on_one_that_is_not_there(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "whole.jsonl").write_bytes(b"{}\n")
    (tmp_path / "damaged.jsonl").write_bytes(b"{\n")
    assert cli("run", "--once", str(tmp_path / "whole.jsonl"))[0] == 0
    assert cli("run", "--once", str(tmp_path / "damaged.jsonl"))[0] == 1
    assert cli("run", "--once", str(tmp_path / "none.jsonl"))[0] == 3


def test_once_writes_metrics_for_node_exporter(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{}\n{}\n")
    cli("run", "--once", str(tmp_path / "a.jsonl"), "--metrics-file", str(tmp_path / "a.prom"))
    assert 'auditwatch_trail_lines{trail="a"} 2' in (tmp_path / "a.prom").read_text()


@pytest.mark.usefixtures("trail")
def test_status_says_verdict_and_counts_and_is_1_only_when_asked(cli: Cli) -> None:
    status, printed = cli("status")
    assert status == 0
    assert printed.splitlines()[1].startswith("risk  damaged  ")
    assert "5 lines" in printed
    assert "3 open" in printed
    assert cli("status", "--exit-code")[0] == 3  # no agent answers
    assert json.loads(cli("status", "--format", "json")[1])["verdict"] == "damaged"


def test_the_worst_trails_come_first_and_all_are_counted(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "fine.jsonl").write_bytes(b"{}\n")
    (tmp_path / "risk.jsonl").write_bytes(TRAIL)
    asked = [str(tmp_path / name) for name in ("fine.jsonl", "gone.jsonl", "risk.jsonl")]
    assert cli("run", "--once", *asked)[0] == 1
    lines = cli("status")[1].splitlines()
    assert lines[0].startswith("no agent answers: ")
    assert [line.split()[0] for line in lines[1:-2] if not line.startswith(" ")] == ["risk", "gone", "fine"]
    assert lines[-2] == "3 trails: 1 damaged, 1 unchecked, 1 whole"
    assert [trail["name"] for trail in json.loads(cli("status", "--format", "json")[1])["trails"]] == [
        "risk",
        "gone",
        "fine",
    ]
    one = cli("status", "--trail", "fine")[1].splitlines()
    assert (one[1].split()[0], one[-1].split()[0]) == ("fine", "as")
    assert cli("status", "--trail", "none")[0] == 2


@pytest.mark.usefixtures("trail")
def test_findings_are_listed_in_parts(cli: Cli) -> None:
    every = found(cli)
    assert found(cli, "--limit", "1", "--offset", "1") == every[1:2]
    assert found(cli, "--inherited") == [row for row in every if row["inherited"]]
    assert cli("findings", "--limit", "1001")[0] == 2


@pytest.mark.usefixtures("trail")
def test_findings_give_places_and_no_contents(cli: Cli) -> None:
    status, printed = cli("findings")
    assert status == 0
    assert "line 2  offset 15" in printed
    assert printed.endswith("3 found\n")
    assert "KILL_SWITCH" not in printed
    assert cli("findings", "--exit-code")[0] == 3  # no agent answers


@pytest.mark.usefixtures("trail")
def test_findings_can_be_asked_for_by_trail_kind_and_time(cli: Cli) -> None:
    everything = found(cli)
    torn = found(cli, "--kind", "torn")
    assert 0 < len(torn) < len(everything) == 3
    assert found(cli, "--trail", "risk") == everything == found(cli, "--since", "1h")
    assert found(cli, "--since", "9999-01-01") == []
    assert cli("findings", "--trail", "other")[0] == 2


def test_show_prints_the_lines_with_control_characters_escaped(trail: Path, cli: Cli) -> None:
    _, printed = cli("findings", "--show")
    assert '    {"event": "TRADE_A{"event": "KILL_SWITCH"}\n' in printed
    assert r'    {"event":\x1b[2J\xff' in printed
    assert "\x1b" not in printed
    assert trail.read_bytes() == TRAIL


def test_show_prints_nothing_that_took_the_place_of_the_line(trail: Path, cli: Cli) -> None:
    trail.write_bytes(TRAIL.replace(b"KILL", b"XXXX"))
    _, printed = cli("findings", "--show")
    assert "XXXX" not in printed
    assert "(different bytes are there now)" in printed
    os.unlink(trail)
    assert "No such file" in cli("findings", "--show")[1]


@pytest.mark.usefixtures("trail")
def test_an_acknowledged_finding_is_no_longer_open_and_can_be_opened_again(cli: Cli) -> None:
    first, *others = (row["id"] for row in found(cli))
    assert cli("acknowledge", first, "--reason", "a crash\nin March", "--by", "ann")[0] == 0
    assert [row["id"] for row in found(cli, "--open")] == others
    noted = next(row for row in found(cli) if row["id"] == first)["acknowledgement"]
    assert (noted["by"], noted["reason"]) == ("ann", "a crash in March")
    assert cli("acknowledge", "--undo", first)[0] == 0
    assert len(found(cli, "--open")) == 3


@pytest.mark.usefixtures("trail")
def test_a_whole_trail_is_acknowledged_at_once(cli: Cli) -> None:
    assert cli("acknowledge", "--trail", "risk", "--all", "--reason", "seen")[0] == 0
    assert found(cli, "--open") == []
    assert all(
        trail["corrupt_lines"]["open"] == 0 for trail in json.loads(cli("status", "--format", "json")[1])["trails"]
    )


@pytest.mark.usefixtures("trail")
def test_an_unknown_id_or_trail_is_usage_and_changes_nothing(cli: Cli) -> None:
    known = found(cli)[0]["id"]
    assert cli("acknowledge", known, "f0000000000", "--reason", "r")[0] == 2
    assert cli("acknowledge", "--trail", "other", "--all", "--reason", "r")[0] == 2
    assert len(found(cli, "--open")) == 3


@pytest.mark.usefixtures("trail")
def test_an_agent_that_does_not_answer_is_3_and_the_request_counts_later(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditwatch.cli.asking.GRACE_SECONDS", 0.0)
    with AgentLock(str(tmp_path / "state")):
        assert cli("acknowledge", "--trail", "risk", "--all", "--reason", "r", "--poll-interval", "10ms")[0] == 3
    first = found(cli)[0]["id"]
    assert cli("acknowledge", first, "--reason", "r")[0] == 0
    assert found(cli, "--open") == []


def test_two_agents_cannot_share_a_state_directory(tmp_path: Path, trail: Path, cli: Cli) -> None:
    with AgentLock(str(tmp_path / "state")):
        assert cli("run", "--once", str(trail))[0] == 3
        assert cli("status")[0] == 0
