"""`auditwatch salvage` in an operator's words: what it writes, what it says, how it exits, what it leaves alone."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auditwatch.cli.main import run
from auditwatch.trail.grid import GridDigest

WHOLE = b"".join(b'{"event": "TRADE_REJECTED", "details": {"n": %d}}\n' % number for number in range(100))
KILL_SWITCH = b'{"event": "KILL_SWITCH", "details": {"n": 1}}'
APPROVED = b'{"event": "TRADE_APPROVED", "details": {"n": 2}}'
CUT = APPROVED.index(b"PPROVED")
SPLICED = APPROVED[:CUT] + KILL_SWITCH + b"\n" + APPROVED[CUT:] + b"\n"
GLUED = b'{"event": "A"}{"event": "B"}\n\n\x00\x00{"event": "C"}\n{"event": "D\xff\n'


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_who_has_compressed_bytes_salvaged_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data, told in (("a.jsonl", GLUED, False), ("a.jsonl.1.gz", gzip.compress(GLUED), True)):
        assert run(["salvage", str(written(tmp_path / name, data)), "--output", str(tmp_path / f"{name}.out")]) == 0
        assert (f"{name}: its compressed bytes were read; unpack it" in capsys.readouterr().err) == told


def test_records_fragments_and_manifest_are_written_for_their_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = WHOLE + SPLICED + GLUED + b'{"pend'
    trail, out = written(tmp_path / "a.jsonl", data), tmp_path / "out"
    os.chmod(trail, 0o444)
    before = os.stat(trail)
    assert run(["salvage", str(trail), "--output", str(out), "--format", "json"]) == 0
    assert (os.stat(trail).st_mtime_ns, trail.read_bytes()) == (before.st_mtime_ns, data)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == dict.fromkeys(
        ["recovered.jsonl", "fragments.jsonl", "manifest.json"], 0o600
    )
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert json.loads(capsys.readouterr().out) == manifest
    recovered = lines(out / "recovered.jsonl")
    assert [(one["confidence"], one["method"], one["record"]["event"]) for one in recovered] == [
        ("inferred", "stitched", "TRADE_APPROVED"),
        ("likely", "record_head", "KILL_SWITCH"),
        ("certain", "line_start", "A"),
        ("certain", "behind_record", "B"),
        ("certain", "behind_nuls", "C"),
    ]
    for one, line in zip(recovered, (out / "recovered.jsonl").read_bytes().splitlines(), strict=True):
        raw = b"".join(data[s["offset"] : s["offset"] + s["length"]] for s in one["sources"])
        assert line.endswith(b', "record": ' + raw + b"}")
        assert [data[: s["offset"]].count(b"\n") + 1 for s in one["sources"]] == [s["line"] for s in one["sources"]]
    fragments = lines(out / "fragments.jsonl")
    assert [(one["kind"], one["line_kind"]) for one in fragments] == [
        ("blank", "blank"),
        ("nul_bytes", "nul_bytes"),
        ("beginning", "torn"),
    ]
    assert (fragments[2]["base64"], fragments[0]["text"]) == ("eyJldmVudCI6ICJE/w==", "")
    digest = GridDigest()
    digest.feed(data)
    source = manifest["source"]
    assert (source["bytes"], source["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert (source["digest"], source["path"]) == (digest.digest(), str(trail))
    assert (manifest["lines"], manifest["whole_lines"], manifest["damaged_lines"]) == (106, 100, 6)
    assert manifest["pending_bytes"] == 6
    assert manifest["recovered"]["by_confidence"] == {"certain": 3, "likely": 1, "inferred": 1}
    assert (manifest["recovered"]["records"], manifest["fragments"]["pieces"]) == (5, 3)
    for name, described in manifest["files"].items():
        content = (out / name).read_bytes()
        assert described == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert run(["validate", str(out / "recovered.jsonl"), str(out / "fragments.jsonl")]) == 0


@pytest.mark.parametrize(
    ("least", "events"),
    [
        ("certain", ["A", "B", "C"]),
        ("likely", ["KILL_SWITCH", "A", "B", "C"]),
        ("inferred", ["TRADE_APPROVED", "KILL_SWITCH", "A", "B", "C"]),
    ],
)
def test_the_merged_copy_has_in_place_of_damaged_lines_what_they_held(
    tmp_path: Path, least: str, events: list[str]
) -> None:
    trail = written(tmp_path / "a.jsonl", WHOLE + SPLICED + GLUED + WHOLE + b'{"pend')
    arguments = ["--output", str(tmp_path / "out"), "--merged", "--merged-confidence", least]
    assert run(["salvage", str(trail), *arguments]) == 0
    merged = (tmp_path / "out" / "merged.jsonl").read_bytes()
    assert merged.startswith(WHOLE)
    assert merged.endswith(WHOLE)
    between = merged[len(WHOLE) : -len(WHOLE)].splitlines()
    assert [json.loads(line)["event"] for line in between] == events
    assert run(["validate", str(tmp_path / "out" / "merged.jsonl")]) == 0


def test_the_text_says_how_many_where_and_what_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail = written(tmp_path / "a.jsonl", WHOLE + SPLICED + b'{"pend')
    assert run(["salvage", str(trail), "--output", str(tmp_path / "out"), "--merged"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{trail}: 2 records in 2 damaged lines (102 lines, ")
    for part in ("likely", "inferred", "merged.jsonl", str(tmp_path / "out"), "6 bytes after the last", "evidence"):
        assert part in said
    assert "KILL_SWITCH" not in said


def test_a_whole_trail_is_said_to_be_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in (("a", WHOLE), ("b", b"")):
        trail = written(tmp_path / name, data)
        assert run(["salvage", str(trail), "--output", str(tmp_path / f"{name}.out"), "--merged"]) == 0
        assert "every line of the trail is whole" in capsys.readouterr().out
        assert (tmp_path / f"{name}.out" / "merged.jsonl").read_bytes() == data


def test_a_torn_tail_is_salvaged_when_nobody_can_end_it(tmp_path: Path) -> None:
    trail = written(tmp_path / "a.jsonl", WHOLE + KILL_SWITCH)
    assert run(["salvage", str(trail), "--output", str(tmp_path / "out"), "--final", "--merged"]) == 0
    assert (tmp_path / "out" / "merged.jsonl").read_bytes() == WHOLE + KILL_SWITCH + b"\n"


def test_a_directory_that_is_taken_is_usage_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail = written(tmp_path / "a.jsonl", WHOLE + SPLICED)
    (tmp_path / "full").mkdir()
    written(tmp_path / "full" / "evidence", b"kept")
    (tmp_path / "empty").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for taken in ("full", "link", "a.jsonl", "missing/out", "a.jsonl/out"):
        assert run(["salvage", str(trail), "--output", str(tmp_path / taken)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["evidence"]
    assert run(["salvage", str(trail), "--output", str(tmp_path / "empty")]) == 0
    assert stat.S_IMODE((tmp_path / "empty").stat().st_mode) == 0o700
    assert run(["salvage", str(trail), "--output", str(tmp_path / "empty")]) == 2
    assert run(["salvage", str(trail)]) == 2


def test_a_trail_that_cannot_be_read_is_3_and_makes_no_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("missing", "pipe", "link", "."):
        assert run(["salvage", str(tmp_path / name), "--output", str(tmp_path / "out")]) == 3
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", [0, 1000, 60_000])
def test_a_disk_that_fills_up_is_3_and_leaves_nothing_that_looks_finished(tmp_path: Path, limit: int) -> None:
    trail = written(tmp_path / "a.jsonl", (WHOLE + SPLICED + GLUED) * 100)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "auditwatch", "salvage", str(trail), "--merged", "--output"]
    done = subprocess.run(
        [*command, str(tmp_path / "out")], preexec_fn=small_disk, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("auditwatch: ")
    assert "File too large; nothing was salvaged" in done.stderr
    assert not (tmp_path / "out").exists()
    (tmp_path / "kept").mkdir()
    subprocess.run([*command, str(tmp_path / "kept")], preexec_fn=small_disk, capture_output=True, check=False)
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_hostile_trail_takes_little_memory(tmp_path: Path) -> None:
    """Blank lines, an endless line, holes, lines that are only records, lines that are only brackets."""
    with open(tmp_path / "a.jsonl", "wb") as trail:
        trail.write(b"\n" * 5_000 + b"x" * (20 << 20) + b"\n")
        trail.write(b"{}" * 100_000 + b"\n" + b"[" * (1 << 18) + b"\n" + b'{"a":' * 40_000 + b"\n")
        trail.truncate(trail.tell() + (16 << 20))
    code = (
        "import resource, sys\n"
        "from auditwatch.cli.main import run\n"
        "import auditwatch.cli.salvage\n"
        "def peak(): return int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
        "before = peak()\n"
        f"status = run(['salvage', {str(tmp_path / 'a.jsonl')!r}, '--final', '--output', {str(tmp_path / 'out')!r}])\n"
        "print(status, peak() - before, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, grown_kib = map(int, done.stderr.split())
    assert status == 0
    assert grown_kib < 64 * 1024, f"{grown_kib} KiB"
