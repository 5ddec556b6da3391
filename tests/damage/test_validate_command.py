"""`auditwatch validate` and `explain` in an operator's words: what they are given, what they say, how they exit."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auditwatch.cli.main import run
from auditwatch.trail.grid import BLOCK_BYTES
from auditwatch.trail.kinds import Kind, Violation

EVENTS = Path(__file__).parents[2].parent / "shared" / "data" / "windows-events.jsonl.gz"
FIELDS = [
    *["path", "mode", "verdict", "basis", "bytes", "lines", "records", "corrupt_lines", "torn_tail", "pending_bytes"],
    *["by_kind", "violations", "findings", "findings_total", "coverage", "sampled_lines", "sampled_by", "seed"],
    *["corrupt_ratio_upper_bound", "seconds", "digest", "error"],
]


def judged(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    status = run(["validate", "--format", "json", *map(str, arguments)])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_whole_trail_exits_0_with_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, (values,) = judged(capsys, written(tmp_path / "a.jsonl", b'{"a":1}\n' * 3))
    assert (status, values["verdict"], values["lines"], values["records"]) == (0, "whole", 3, 3)
    assert list(values) == FIELDS
    assert values["basis"] == ["format"]
    assert set(values["by_kind"]) == set(Kind)
    assert set(values["violations"]) == set(Violation)
    assert values["coverage"] == 1.0


def test_the_spliced_lines_of_two_writers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spliced = b'{"event": "TRADE_A{"event": "KILL_SWITCH", "details": {}}\nPPROVED", "details": {}}\n'
    status, (values,) = judged(capsys, written(tmp_path / "a.jsonl", b'{"a":1}\n' + spliced))
    assert (status, values["corrupt_lines"]) == (1, 2)
    assert [(found["line"], found["kind"], found["offset"]) for found in values["findings"]] == [
        (2, "interleaved", 8),
        (3, "torn", 66),
    ]
    assert values["findings"][0]["records_inside"] == 1


def test_one_flipped_bit_in_a_real_trail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not EVENTS.exists():
        pytest.skip("NOT RUN: the recorded events are not beside this checkout")
    trail = bytearray(gzip.decompress(EVENTS.read_bytes()))
    path = written(tmp_path / "events.jsonl", trail)
    assert judged(capsys, path)[0] == 0
    lines = bytes(trail).split(b"\n")
    offset = sum(map(len, lines[:19_999])) + 19_999
    trail[offset] ^= 1
    status, (values,) = judged(capsys, written(path, trail))
    assert (status, values["lines"], values["corrupt_lines"]) == (1, 32_706, 1)
    (found,) = values["findings"]
    assert (found["line"], found["offset"], found["length"]) == (20_000, offset, len(lines[19_999]))
    assert run(["validate", str(path)]) == 1
    assert f"line 20000, byte offset {offset}, length {len(lines[19_999])}" in capsys.readouterr().out


def test_a_line_still_being_written_is_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.jsonl", b'{"a":1}\n{"b":')
    status, (values,) = judged(capsys, path)
    assert (status, values["verdict"], values["pending_bytes"]) == (0, "whole", 5)
    status, (values,) = judged(capsys, "--final", path)
    assert (status, values["torn_tail"], values["lines"], values["bytes"]) == (1, 1, 1, 13)
    assert values["lines"] == values["records"] + values["corrupt_lines"] - values["torn_tail"]
    assert (values["findings"][0]["kind"], values["findings"][0]["line"]) == ("torn", 2)


def test_hygiene_damages_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, (values,) = judged(capsys, written(tmp_path / "a.jsonl", b"{}\n\n"))
    assert (status, values["verdict"], values["by_kind"]["blank"]) == (1, "damaged", 1)


def test_an_empty_file_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for mode in ("full", "sample"):
        status, (values,) = judged(capsys, "--mode", mode, "--digest", written(tmp_path / "a.jsonl", b""))
        assert (status, values["verdict"], values["lines"], values["coverage"]) == (0, "whole", 0, 1.0)


def test_what_cannot_be_looked_at_is_3_and_damage_beside_it_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path / "good.jsonl", b"{}\n")
    bad = written(tmp_path / "bad.jsonl", b"x\n")
    missing = tmp_path / "missing.jsonl"
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to(good)
    odd = [missing, tmp_path, tmp_path / "pipe.jsonl", tmp_path / "link.jsonl"]
    status, outcomes = judged(capsys, good, *odd)
    assert status == 3
    assert [outcome["verdict"] for outcome in outcomes] == ["whole", *["unchecked"] * 4]
    reasons = [outcome["error"]["reason"] for outcome in outcomes[1:]]
    assert reasons == ["missing", "directory", "not_regular", "symlink"]
    assert judged(capsys, missing, bad, good)[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [["--mode", "half"], ["--lines", "0"], ["--require", "a:text"], ["--require", 'a"b'], ["--jobs", "0"], []],
)
def test_a_wrong_command_line_is_2(tmp_path: Path, arguments: list[str]) -> None:
    paths = [str(written(tmp_path / "a.jsonl", b"{}\n"))] if arguments else []
    assert run(["validate", *arguments, *paths]) == 2


def test_required_fields_and_strict_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.jsonl", b'{"at":"2025-01-01T00:00:00Z","n":1}\n{"at":"now","n":1}\n{"n":1,"n":2}\n')
    for mode in ("full", "sample"):
        asked = ["--mode", mode, "--strict", "--require", "n:integer"]
        status, (values,) = judged(capsys, *asked, path)
        assert (status, values["by_kind"]["duplicate_key"], values["corrupt_lines"]) == (1, 1, 1)
        status, (values,) = judged(capsys, *asked, "--require", "at:datetime", path)
        assert (values["by_kind"]["schema"], values["records"]) == (2, 1)


def test_a_sample_says_what_it_rests_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.jsonl", b'{"a":1}\n' * 5000)
    arguments = ["--mode", "sample", "--lines", "50", "--seed", "4", path]
    status, (values,) = judged(capsys, *arguments)
    assert (status, values["mode"], values["sampled_lines"], values["sampled_by"]) == (0, "sample", 50, "lines")
    assert (values["seed"], values["lines"], values["coverage"]) == (4, 50, 0.01)
    assert 0.05 < values["corrupt_ratio_upper_bound"] < 3 / 50
    again = judged(capsys, *arguments)[1][0]
    assert {**again, "seconds": 0} == {**values, "seconds": 0}
    run(["validate", "--mode", "sample", str(path)])
    assert "95 % confidence" in capsys.readouterr().out


def test_a_sample_of_damage_names_places_without_line_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "a.jsonl", b"x\n" * 1000)
    status, (values,) = judged(capsys, "--mode", "sample", "--lines", "10", path)
    assert (status, values["corrupt_lines"], values["corrupt_ratio_upper_bound"]) == (1, 10, 1.0)
    assert {found["line"] for found in values["findings"]} == {None}


def piped(data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "auditwatch", "validate", *arguments, "-"]
    return subprocess.run(command, input=data, capture_output=True, check=False)


def test_what_follows_the_last_newline_of_standard_input_is_pending_unless_final(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = b'{"a":1}\n' * (BLOCK_BYTES // 4) + b"x\n"
    result = piped(data, "--format", "json", "--digest")
    values = json.loads(result.stdout)
    assert (result.returncode, values["path"], values["corrupt_lines"]) == (1, "-", 1)
    _, (beside,) = judged(capsys, "--digest", written(tmp_path / "a.jsonl", data))
    assert values["digest"] == beside["digest"]
    assert piped(b'{"a":1}\n').returncode == 0
    pending = piped(b'{"a":1}\n{"a":1}')
    assert (pending.returncode, b"7 bytes after the last newline" in pending.stdout) == (0, True)
    torn = json.loads(piped(b'{"a":1}\n{"a":1}', "--final", "--format", "json").stdout)
    assert (torn["verdict"], torn["torn_tail"], torn["pending_bytes"]) == ("damaged", 1, 0)
    assert piped(b'{"a":1}', "--final").returncode == 1


def test_a_path_that_cannot_be_read_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(tmp_path / "none.jsonl")
    assert run(["validate", absent]) == 3
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{absent}: UNCHECKED\n  could not check   ")
    assert printed.err == ""
    assert run(["validate", "--format", "json", absent]) == 3
    printed = capsys.readouterr()
    assert (json.loads(printed.out)["verdict"], len(printed.err.splitlines())) == ("unchecked", 1)


def test_the_digest_ignores_pending_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, (whole, pending, other) = judged(
        capsys,
        "--digest",
        written(tmp_path / "a", b"{}\n"),
        written(tmp_path / "b", b"{}\n{"),
        written(tmp_path / "c", b"{} \n"),
    )
    assert whole["digest"] == pending["digest"] != other["digest"]
    assert whole["digest"].startswith("b3-4m:")


@pytest.mark.parametrize("kind", [*Kind, *Violation])
def test_every_kind_is_explained(kind: Kind | Violation, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", kind.value]) == 0
    assert capsys.readouterr().out.startswith(f"{kind.value}\n")


def test_an_unknown_kind_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "bad_luck"]) == 2


def test_progress_is_for_a_person_and_results_keep_their_own_stream(tmp_path: Path) -> None:
    trail = written(tmp_path / "a.jsonl", b'{"a":1}\n' * 2_000_000)
    person, terminal = pty.openpty()
    with os.fdopen(person, "rb", buffering=0) as screen:
        with os.fdopen(terminal, "wb") as stderr:
            command = [sys.executable, "-m", "auditwatch", "validate", str(trail), "--digest"]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=False)
        seen = screen.read(1 << 16)
    assert result.stdout.startswith(f"{trail}: WHOLE".encode())
    assert b"\x1b" not in result.stdout
    assert b"WHOLE" not in seen
    assert b"15.3/15.3 MiB" in seen


def test_no_progress_is_written_where_nobody_watches(tmp_path: Path) -> None:
    trail = written(tmp_path / "a.jsonl", b"{}\n")
    command = [sys.executable, "-m", "auditwatch", "validate", str(trail)]
    assert subprocess.run(command, capture_output=True, check=False).stderr == b""
