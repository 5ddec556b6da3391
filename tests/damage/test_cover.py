"""`validate --mode sample --cover K/N`: with the sample every Nth block is judged, each block by one of N runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from auditwatch.cli.main import run
from auditwatch.trail.grid import BLOCK_BYTES
from tests.agent.running import command

LINE = b'{"event":"TRADE_APPROVED","n":"%09d","text":"' + b"x" * 960 + b'"}\n'
LENGTH = len(LINE % 0)
BLOCKS = 3
"""Sealed ones; another follows that is not."""


def line_in(k: int) -> int:
    """Number, from 0, of a line deep in block k."""
    return (k * BLOCK_BYTES + BLOCK_BYTES // 2) // LENGTH


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """One damaged line in each of four blocks, and bytes after the last newline."""
    lines = [LINE % n for n in range((BLOCKS * BLOCK_BYTES + BLOCK_BYTES // 2) // LENGTH + 99)]
    for k in range(BLOCKS + 1):
        lines[line_in(k)] = b"X" + lines[line_in(k)][1:]
    path = tmp_path / "risk.jsonl"
    path.write_bytes(b"".join(lines) + b'{"event":"PEND')
    return path


def judged(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """A sample whose seed draws none of the damaged lines."""
    asked = ["--format", "json", "--mode", "sample", "--lines", "10", "--seed", "1"]
    assert run(["validate", *asked, *map(str, arguments)]) in {0, 1}
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    return values


def offsets(values: dict[str, Any]) -> list[int]:
    assert values["findings_total"] == values["corrupt_lines"] == len(values["findings"])
    return [found["offset"] for found in values["findings"]]


def test_each_block_is_judged_by_one_run_of_so_many(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [line_in(k) * LENGTH for k in range(BLOCKS + 1)]
    assert offsets(judged(capsys, trail)) == []
    assert offsets(judged(capsys, trail, "--cover", "1/3")) == [places[0], places[3]]
    assert offsets(judged(capsys, trail, "--cover", "2/3")) == [places[1]]
    assert offsets(judged(capsys, trail, "--cover", "3/3")) == [places[2]]


def test_all_blocks_are_all_lines_and_none_counts_twice(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = judged(capsys, trail, "--cover", "1/1")
    lines = trail.read_bytes().count(b"\n")
    assert (values["lines"], values["records"], values["corrupt_lines"]) == (lines, lines - 4, 4)
    assert (values["bytes"], values["coverage"], values["pending_bytes"]) == (lines * LENGTH, 1.0, 14)
    values = judged(capsys, trail, "--cover", "1/1", "--final")
    assert (values["lines"], values["torn_tail"], values["corrupt_lines"]) == (lines, 1, 5)
    assert (values["bytes"], values["coverage"]) == (lines * LENGTH + 14, 1.0)


def test_the_bound_stays_that_of_the_sample_and_the_coverage_is_of_everything_judged(
    trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, beside = judged(capsys, trail), judged(capsys, trail, "--cover", "2/3")
    assert (alone["verdict"], beside["verdict"]) == ("whole", "damaged")
    same = ("mode", "seed", "sampled_lines", "sampled_by", "corrupt_ratio_upper_bound")
    assert [alone[key] for key in same] == [beside[key] for key in same]
    assert beside["coverage"] == beside["bytes"] / (trail.stat().st_size - 14)
    assert beside["lines"] == beside["records"] + 1
    assert BLOCK_BYTES // LENGTH < beside["lines"] < BLOCK_BYTES // LENGTH + 10
    run(["validate", "--mode", "sample", "--seed", "1", "--cover", "1/3", str(trail)])
    said = capsys.readouterr().out
    assert "and every line of 2 blocks of 4 MiB: share 1 of 3" in said
    assert " sampled lines" not in said


def test_the_agents_memory_of_whole_blocks_changes_no_verdict(
    trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("run", trail, "--state-dir", tmp_path / "state", "--once").returncode == 1
    alone = judged(capsys, trail, "--cover", "1/3")
    beside = judged(capsys, trail, "--cover", "1/3", "--state-dir", tmp_path / "state")
    assert offsets(alone) == offsets(beside)
    assert (alone["sampled_by"], beside["sampled_by"]) == ("bytes", "lines")


@pytest.mark.parametrize("share", ["0/3", "4/3", "1/1001", "1", "a/b", "1/3/5", "-1/3", "\u0661/\u0663"])
def test_what_is_no_share_is_refused(share: str, trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--mode", "sample", f"--cover={share}", str(trail)]) == 2
    assert "write K/N" in capsys.readouterr().err


def test_a_full_validation_covers_everything_anyway(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--cover", "1/3", str(trail)]) == 2
    assert "--cover needs --mode sample" in capsys.readouterr().err
