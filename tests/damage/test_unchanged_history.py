"""History that an agent judged is hashed, not parsed; the verdict is that of a first validation."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditwatch.cli.main import run
from auditwatch.state.blocks import BLOCKS_NAME, BlockStore
from auditwatch.state.store import trail_key
from auditwatch.trail.grid import BLOCK_BYTES, Block
from auditwatch.trail.rules import Rules
from tests.agent.running import command

LINE = b'{"event":"TRADE_APPROVED","n":"%07d"}\n'


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    path = tmp_path / "risk.jsonl"
    lines = [LINE % n for n in range(2 * BLOCK_BYTES // len(LINE % 0) + 99)]
    lines[7] = b'{"event":"TRADE_A{"event":"KILL_SWITCH"}\n'
    path.write_bytes(b"".join(lines))
    return path


def looked(trail: Path, state: Path) -> subprocess.CompletedProcess[str]:
    done = command("run", trail, "--state-dir", state, "--once")
    assert done.returncode == 1, done.stderr
    return done


def judged(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert run(["validate", "--format", "json", *map(str, arguments)]) == 1
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    del values["seconds"]
    return values


def forged(state: Path, trail: Path, k: int) -> Block:
    """The agent's memory of a block, made to say something that only memory can say."""
    with closing(BlockStore.open(state)) as blocks:
        key, rules = trail_key("risk", str(trail)), Rules().reports_id
        block = blocks.block(key, 1, rules, k)
        assert block is not None
        false = replace(block, report=replace(block.report, records=block.report.records - 5))
        blocks.record(key, 1, rules, [false])
    return block


def test_the_verdict_is_that_of_a_first_validation(
    trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(trail, tmp_path / "state")
    first = judged(capsys, trail, "--digest")
    again = judged(capsys, trail, "--digest", "--state-dir", tmp_path / "state")
    assert again == first | {"basis": ["format", "recorded_history"]}
    run(["validate", "--state-dir", str(tmp_path / "state"), str(trail)])
    assert "2 of 2 recorded blocks unchanged (8.0 MiB hashed, not parsed)" in capsys.readouterr().out
    forged(tmp_path / "state", trail, 1)
    assert judged(capsys, trail, "--state-dir", tmp_path / "state")["records"] == first["records"] - 5


def test_a_sample_is_drawn_by_lines_where_the_agent_counted_them(
    trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(trail, tmp_path / "state")
    asked = ["validate", "--format", "json", "--mode", "sample", "--seed", "3", str(trail)]
    found = []
    for more in ([], ["--state-dir", str(tmp_path / "state")], ["--state-dir", str(tmp_path / "state")]):
        assert run([*asked, *more]) == 0
        found.append(json.loads(capsys.readouterr().out) | {"seconds": 0})
    assert [values["sampled_by"] for values in found] == ["bytes", "lines", "lines"]
    assert found[1] == found[2]


def test_what_changed_since_is_judged_and_said(trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looked(trail, tmp_path / "state")
    with trail.open("r+b") as file:
        file.seek(BLOCK_BYTES + 1000)
        file.write(b"\n")
    found, alone = judged(capsys, trail, "--state-dir", tmp_path / "state"), judged(capsys, trail)
    assert found["violations"] == alone["violations"] | {"rewritten": 1}
    assert found | {"violations": {}} == alone | {"violations": {}}
    run(["validate", "--state-dir", str(tmp_path / "state"), str(trail)])
    said = capsys.readouterr().out
    assert "1 of 2 recorded blocks unchanged" in said
    assert "1 block changed or missing, starting at block 1" in said
    assert re.search(r"rewritten +bytes \d+ to \d+ are not what the agent had judged", said)


@pytest.fixture
def whole(trail: Path, tmp_path: Path) -> Path:
    """The trail without its damaged line, as an agent knows it."""
    trail.write_bytes(trail.read_bytes().replace(b'"TRADE_A{"event":"KILL_SWITCH"}', b'"TRADE_APPROVED"}'))
    assert command("run", trail, "--state-dir", tmp_path / "state", "--once").returncode == 0
    return trail


def verdict(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[str, set[str]]:
    status = run(["validate", "--format", "json", *map(str, arguments)])
    values = json.loads(capsys.readouterr().out)
    assert status == (values["verdict"] == "damaged")
    return values["verdict"], {kind for kind, count in values["violations"].items() if count}


def test_a_small_trail_has_a_history_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail, state = tmp_path / "small.jsonl", tmp_path / "state"
    trail.write_bytes(b"".join(LINE % n for n in range(1000)))
    assert command("run", trail, "--state-dir", state, "--once").returncode == 0
    with trail.open("ab") as file:
        file.write(LINE % 1000)
    assert verdict(capsys, "--state-dir", state, trail) == ("whole", set())
    run(["validate", "--state-dir", str(state), str(trail)])
    assert "all that the agent had judged, are as they were" in capsys.readouterr().out
    with trail.open("r+b") as file:
        file.seek(500 * len(LINE % 0) + (LINE % 0).index(b"0"))
        file.write(b"8")
    assert verdict(capsys, "--state-dir", state, trail) == ("damaged", {"rewritten"})


@pytest.mark.parametrize("is_trail", [False, True])
def test_a_whole_file_with_another_history_is_damaged(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], is_trail: bool
) -> None:
    asked = [*(["--as-trail"] if is_trail else []), "--state-dir", tmp_path / "state", whole]
    assert verdict(capsys, *asked) == ("whole", set())
    data = bytearray(whole.read_bytes())
    data[data.index(b'"n":"') + 5] = ord("8")  # as long as before, well-formed, and in the head
    whole.write_bytes(data)
    assert verdict(capsys, *asked) == ("damaged", {"rewritten"})
    assert verdict(capsys, whole) == ("whole", set())
    whole.write_bytes(data[: 2 * BLOCK_BYTES + 200])
    with whole.open("rb+") as file:
        file.truncate(bytes(data).rfind(b"\n", 0, BLOCK_BYTES) + 1)
    assert verdict(capsys, *asked) == ("damaged", {"truncated"})


def test_what_is_watched_now_counts_and_not_what_was_watched_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail, state = tmp_path / "small.jsonl", tmp_path / "state"
    for number, name in enumerate(("z", "b")):
        trail.write_bytes(b"".join(LINE % n for n in range(number, 1000)))
        assert command("run", f"{name}={trail}", "--state-dir", state, "--once").returncode == 0
    assert verdict(capsys, "--state-dir", state, trail) == ("whole", set())


def test_a_new_file_after_a_rotation_has_no_history_yet(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole.rename(f"{whole}.1")
    whole.write_bytes(b"".join(b'{"new":%d,"x":"%s"}\n' % (n, b"y" * 100) for n in range(90_000)))
    assert whole.stat().st_size > 2 * BLOCK_BYTES
    assert verdict(capsys, "--state-dir", tmp_path / "state", whole) == ("whole", set())


def test_a_copy_of_the_file_in_its_place_still_has_its_history(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(whole.read_bytes())
    data[BLOCK_BYTES + 30 + bytes(data[BLOCK_BYTES + 30 :]).index(b'"n":"') + 5] ^= 1
    whole.unlink()
    whole.write_bytes(data)
    assert verdict(capsys, "--state-dir", tmp_path / "state", whole) == ("damaged", {"rewritten"})


def test_other_rules_find_no_verdicts_and_the_same_history(
    trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looked(trail, tmp_path / "state")
    asked = [trail, "--require", "event:string"]
    known = {"basis": ["format", "recorded_history"]}
    assert judged(capsys, *asked, "--state-dir", tmp_path / "state") == judged(capsys, *asked) | known
    run(["validate", "--state-dir", str(tmp_path / "state"), *map(str, asked)])
    assert "nothing about this file under these rules: every line was parsed" in capsys.readouterr().out


def test_a_directory_without_state_is_said(trail: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--state-dir", str(tmp_path / "none"), str(trail)]) == 3
    assert "no intact state to read here" in capsys.readouterr().err


def test_the_agent_believes_its_memory_where_the_bytes_are_the_same(trail: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    looked(trail, state)
    block = forged(state, trail, 0)
    looked(trail, state)
    with closing(BlockStore.open(state)) as blocks:  # had it parsed the block, it would know better now
        key = trail_key("risk", str(trail))
        assert blocks.block(key, 1, Rules().reports_id, 0) != block
        assert blocks.count(key, 1, Rules().reports_id) == 2


def test_an_agent_that_cannot_keep_blocks_says_so_and_goes_on(trail: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    BlockStore.open(state).close()
    with closing(sqlite3.connect(state / BLOCKS_NAME)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON blocks BEGIN SELECT RAISE(ABORT, 'no room'); END")
    done = looked(trail, state)
    assert done.stderr.count("the next full validation will parse blocks that it could have hashed") == 1
    assert "no room" in done.stderr
    assert "1 open" in done.stdout


def test_the_agent_finds_a_byte_that_changed_deep_in_history(trail: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    looked(trail, state)
    with trail.open("r+b") as file:
        file.seek(BLOCK_BYTES + 1000)
        file.write(b"\x00")
    looked(trail, state)
    listed = command("findings", "--state-dir", state, "--format", "json")
    assert [found["kind"] for found in json.loads(listed.stdout)["findings"]] == ["interleaved", "nul_bytes"]
