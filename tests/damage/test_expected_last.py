"""`auditwatch validate --expect-last`: a record that a witness remembers must be there."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from auditwatch.cli.main import run
from auditwatch.trail.kinds import Violation
from auditwatch.trail.stamp import NOTHING_BEFORE, Stamp, format_stamp


def stamped(numbers: range, size: int = 0) -> list[bytes]:
    """Lines of a chain, without their newlines."""
    lines: list[bytes] = []
    for n in numbers:
        prev = hashlib.sha256(lines[-1]).hexdigest() if lines else NOTHING_BEFORE
        lines.append(b'{"event":"TRADE %d %s",' % (n, b"x" * size) + format_stamp(Stamp(n, prev)))
    return lines


LINES = stamped(range(1, 31))


def witness(line: bytes, seq: int) -> str:
    return f"{seq}:{hashlib.sha256(line).hexdigest()}"


def judged(capsys: pytest.CaptureFixture[str], expected: str, *arguments: str | Path) -> tuple[int, set[str], str]:
    status = run(["validate", "--format", "json", "--expect-last", expected, *map(str, arguments)])
    values = json.loads(capsys.readouterr().out)
    run(["validate", "--expect-last", expected, *map(str, arguments)])
    kinds = {kind for kind, count in values["violations"].items() if count}
    assert set(values["violations"]) == set(Violation)
    return status, kinds, capsys.readouterr().out


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    path = tmp_path / "risk.jsonl"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


@pytest.mark.parametrize("seq", [1, 17, 30])
def test_what_is_there_is_said(trail: Path, capsys: pytest.CaptureFixture[str], seq: int) -> None:
    status, kinds, text = judged(capsys, witness(LINES[seq - 1], seq), trail)
    assert (status, kinds) == (0, set())
    assert f"record {seq} is there, with the expected hash" in text


def test_a_tail_that_was_cut_off(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail.write_bytes(b"\n".join(LINES[:20]) + b"\n")
    status, kinds, text = judged(capsys, witness(LINES[29], 30), trail)
    assert (status, kinds) == (1, {"truncated"})
    assert "DAMAGED" in text
    assert "the end of the trail was cut off" in text


def test_a_record_that_was_removed(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail.write_bytes(b"\n".join(LINES[:16] + LINES[17:]) + b"\n")
    assert judged(capsys, witness(LINES[16], 17), trail)[:2] == (1, {"sequence_gap"})


def test_a_removed_record_is_told_from_a_cut_tail_also_where_the_last_line_has_no_stamp(
    trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail.write_bytes(b"\n".join(LINES[:16] + LINES[17:]) + b'\n{"event":"without a stamp"}\n' * 2)
    assert judged(capsys, witness(LINES[16], 17), trail)[:2] == (1, {"sequence_gap"})
    trail.write_bytes(b"\n".join(LINES[:16]) + b'\n{"quoted":{"_seq":99,"_prev":"' + b"0" * 64 + b'"},"n":1}\n')
    assert judged(capsys, witness(LINES[16], 17), trail)[:2] == (1, {"truncated"})


@pytest.mark.parametrize("seq", [17, 30])
def test_what_was_searched_for_is_not_called_undetectable(
    trail: Path, capsys: pytest.CaptureFixture[str], seq: int
) -> None:
    trail.write_bytes(b"\n".join(LINES[:20]) + b"\n")
    text = judged(capsys, witness(LINES[seq - 1], seq), trail)[2]
    assert "missing lines cannot be detected" not in text
    assert "only the expected record was searched for" in text


def test_a_record_that_was_rewritten(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail.write_bytes(trail.read_bytes().replace(b"TRADE 17 ", b"TRADE 71 "))
    assert judged(capsys, witness(LINES[16], 17), trail)[:2] == (1, {"rewritten"})


def test_a_number_inside_a_record_is_no_stamp(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with trail.open("ab") as file:
        file.write(b'{"quoted":{"_seq":99,"_prev":"' + b"0" * 64 + b'"}}\n')
    assert judged(capsys, witness(LINES[29], 99), trail)[:2] == (1, {"truncated"})


def test_it_is_found_in_an_older_segment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "risk.jsonl.1.gz").write_bytes(gzip.compress(b"\n".join(LINES[:15]) + b"\n"))
    (tmp_path / "risk.jsonl").write_bytes(b"\n".join(LINES[15:]) + b"\n")
    assert judged(capsys, witness(LINES[3], 4), "--as-trail", tmp_path)[:2] == (0, set())
    assert judged(capsys, witness(LINES[3], 31), "--as-trail", tmp_path)[:2] == (1, {"truncated"})


def test_lines_that_lie_over_the_edges_of_reads_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = stamped(range(1, 12), size=100_001)
    trail = tmp_path / "a.jsonl"
    trail.write_bytes(b"\n".join(lines) + b"\n")
    for seq, line in enumerate(lines, 1):
        assert judged(capsys, witness(line, seq), trail)[:2] == (0, set())


@pytest.mark.parametrize("value", ["17", "17:abc", "0:" + "0" * 64, "x:" + "0" * 64, ":" + "0" * 64])
def test_what_names_no_record_is_refused(trail: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    assert run(["validate", "--expect-last", value, str(trail)]) == 2
    assert "write the number of a record" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--mode", "sample"], ["-"], ["other.jsonl"]])
def test_it_means_one_trail_read_in_full(trail: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(["validate", "--expect-last", witness(LINES[0], 1), str(trail), *arguments]) == 2
    assert "one file, or --as-trail" in capsys.readouterr().err
