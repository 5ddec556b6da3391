"""`auditwatch validate --as-trail`: several files, some compressed, are the segments of one trail."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from auditwatch.cli.main import run
from auditwatch.trail.ids import finding_id

NUMBERED = "risk-20260101T00000000000{0}Z-000000000{0}.jsonl"
SPLICED = b'{"event": "TRADE_A{"event": "KILL_SWITCH"}\n'


def judged(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    status = run(["validate", "--as-trail", "--format", "json", *map(str, arguments)])
    (line,) = capsys.readouterr().out.splitlines()
    return status, json.loads(line)


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    status = run(["validate", "--as-trail", *map(str, arguments)])
    done = capsys.readouterr()
    return status, done.out + done.err


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """Three segments, the oldest compressed, the active one with bytes that still lack their newline."""
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / f"{NUMBERED.format(3)}.gz").write_bytes(gzip.compress(b'{"n":1}\n{"n":2}\n'))
    (directory / NUMBERED.format(4)).write_bytes(b'{"n":3}\n')
    (directory / "risk.jsonl").write_bytes(b'{"n":4}\n{"n":5}\n{"n":')
    (directory / ".risk.jsonl.counters").write_bytes(b"AUDITW01")
    return directory


def test_who_has_compressed_bytes_judged_is_told_so(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = trail / f"{NUMBERED.format(3)}.gz"
    run(["validate", str(archive)])
    assert f"{archive}: its compressed bytes were judged; --as-trail judges" in capsys.readouterr().err
    run(["validate", "--as-trail", str(archive)])
    assert "compressed bytes" not in capsys.readouterr().err


def test_a_directory_is_one_trail(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, values = judged(capsys, trail)
    assert (status, values["verdict"], values["path"]) == (0, "whole", str(trail))
    assert (values["lines"], values["records"], values["pending_bytes"], values["coverage"]) == (5, 5, 5, 1.0)
    assert values["bytes"] == 5 * len(b'{"n":1}\n')
    _, text = said(capsys, trail)
    names = [f"{NUMBERED.format(3)}.gz", NUMBERED.format(4), "risk.jsonl"]
    assert [text.index(name) for name in names] == sorted(text.index(name) for name in names)
    assert "3 segments" in text


def test_damage_is_placed_in_its_segment(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / f"{NUMBERED.format(3)}.gz").write_bytes(gzip.compress(b'{"n":1}\n' + SPLICED))
    (trail / "risk.jsonl").write_bytes(SPLICED)
    status, values = judged(capsys, trail)
    assert (status, values["corrupt_lines"], values["lines"]) == (1, 2, 4)
    assert [(found["segment"], found["line"], found["offset"]) for found in values["findings"]] == [
        (f"{NUMBERED.format(3)}.gz", 2, 8),
        ("risk.jsonl", 1, 0),
    ]
    assert values["findings"][1]["id"] == finding_id("risk", 0, values["findings"][1]["sha256"])
    assert f"{NUMBERED.format(3)}.gz, line 2, byte offset 8" in said(capsys, trail)[1]


def test_only_the_last_segment_may_end_without_a_newline(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / NUMBERED.format(4)).write_bytes(b'{"n":3}\n{"n":')
    status, values = judged(capsys, trail)
    assert (status, values["by_kind"]["torn"], values["torn_tail"], values["pending_bytes"]) == (1, 1, 1, 5)
    assert values["lines"] == values["records"] + values["corrupt_lines"] - values["torn_tail"]
    assert judged(capsys, trail, "--final")[1]["torn_tail"] == 2


def test_files_are_taken_in_the_order_given(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [trail / "risk.jsonl", trail / NUMBERED.format(4)]
    status, values = judged(capsys, *paths)
    assert (status, values["torn_tail"], values["pending_bytes"], values["path"]) == (1, 1, 0, str(paths[1]))


def test_a_hole_in_the_numbers_of_segments_is_a_violation(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / NUMBERED.format(4)).rename(trail / NUMBERED.format(6))
    status, values = judged(capsys, trail)
    assert (status, values["verdict"], values["violations"]["segment_missing"]) == (1, "damaged", 2)
    assert "2 segments missing, going by the numbers in their names" in said(capsys, trail)[1]


def test_a_cut_archive_is_named_and_hides_no_other_segment(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = b"".join(b'{"n":%d,"x":"%x"}\n' % (n, n * n) for n in range(5000))
    whole = gzip.compress(content)
    archive = trail / f"{NUMBERED.format(3)}.gz"
    archive.write_bytes(whole[: len(whole) * 2 // 3])
    (trail / NUMBERED.format(4)).write_bytes(SPLICED)
    status, values = judged(capsys, trail)
    assert (status, values["verdict"], values["error"], values["coverage"]) == (1, "damaged", None, 2 / 3)
    assert values["violations"]["archive_cut"] == 1
    assert [(found["segment"], found["kind"]) for found in values["findings"]] == [(NUMBERED.format(4), "interleaved")]
    assert (values["torn_tail"], values["by_kind"]["torn"], values["pending_bytes"]) == (0, 0, 5)
    assert values["lines"] - 3 == values["records"] - 2 > 1000
    _, text = said(capsys, trail)
    assert f"archive_cut       {archive.name}: damaged or cut off after" in text
    assert "every line that could be read" in text
    assert f"auditwatch: {archive.name}: damaged or cut off after" in text


@pytest.mark.parametrize("left", [0, 3, 10])
def test_an_archive_cut_at_its_very_start_is_named(trail: Path, capsys: pytest.CaptureFixture[str], left: int) -> None:
    archive = trail / f"{NUMBERED.format(3)}.gz"
    archive.write_bytes(archive.read_bytes()[:left])
    status, values = judged(capsys, trail)
    assert (status, values["violations"]["archive_cut"], values["lines"]) == (1, 1, 3)
    assert f"{archive.name}: damaged or cut off after 0 bytes" in said(capsys, trail)[1]


def test_a_segment_that_cannot_be_looked_at_hides_no_other(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / NUMBERED.format(5)).mkdir()
    status, values = judged(capsys, trail)
    assert (status, values["verdict"], values["error"]["reason"], values["lines"]) == (3, "unchecked", "directory", 5)
    (trail / NUMBERED.format(4)).write_bytes(SPLICED)
    status, values = judged(capsys, trail)
    assert (status, values["verdict"], values["error"]["reason"]) == (1, "damaged", "directory")
    text = said(capsys, trail)[1]
    assert "could not check" in text
    assert "interleaved" in text


def test_the_map_shows_damage_where_it_is_in_the_trail(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / NUMBERED.format(4)).write_bytes(b'{"n":3}\n' * 100)
    (trail / "risk.jsonl").write_bytes(b'{"n":3}\n' * 98 + b'{"n":3\n\n')
    drawn = next(line for line in said(capsys, trail)[1].splitlines() if line.startswith("  map"))
    assert drawn.split()[1] == "." * 59 + "X"


def test_an_earlier_segment_without_a_last_newline_is_named(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / NUMBERED.format(4)).write_bytes(b'{"n":3}\n{"n":')
    assert f"torn tail         {NUMBERED.format(4)}: its last line was never completed" in said(capsys, trail)[1]


def test_what_a_witness_remembers_may_be_where_an_archive_is_cut(
    trail: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = trail / f"{NUMBERED.format(3)}.gz"
    archive.write_bytes(archive.read_bytes()[:-9])
    status, values = judged(capsys, trail, "--expect-last", f"7:{'0' * 64}")
    assert (status, values["error"]["reason"]) == (1, "io_error")
    assert (values["violations"]["archive_cut"], values["violations"]["truncated"]) == (1, 0)


def test_zstandard_segments_are_read_and_a_cut_is_noticed(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zstd = pytest.importorskip("backports.zstd", reason="NOT RUN: no zstd here")
    archive = trail / f"{NUMBERED.format(3)}.zst"
    (trail / f"{NUMBERED.format(3)}.gz").unlink()
    whole = zstd.compress(b'{"n":1}\n' + SPLICED)
    archive.write_bytes(whole)
    status, values = judged(capsys, trail)
    assert (status, values["findings"][0]["segment"], values["lines"]) == (1, archive.name, 5)
    archive.write_bytes(whole[:-3])
    status, values = judged(capsys, trail)
    assert (status, values["violations"]["archive_cut"], values["lines"] >= 3) == (1, 1, True)


def test_without_the_library_the_message_says_what_to_install(
    trail: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("compression", "compression.zstd", "backports", "backports.zstd"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    (trail / f"{NUMBERED.format(2)}.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    status, text = said(capsys, trail)
    assert (status, "pip install 'auditwatch[zstd]'" in text) == (3, True)


def test_a_directory_of_several_trails_must_be_told_apart(trail: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trail / "other.jsonl").write_bytes(b"{}\n")
    status, text = said(capsys, trail)
    assert (status, "name the files, oldest first" in text) == (2, True)


@pytest.mark.parametrize("option", [["--mode", "sample"], ["--digest"], ["-"]])
def test_what_makes_no_sense_for_several_files_is_refused(
    trail: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert said(capsys, trail / "risk.jsonl", *option)[0] == 2
