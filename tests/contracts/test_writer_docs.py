"""docs/writer.md: every block of code runs, the recipes do what they promise, the table of differences is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import UserDict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.testing import read_records
from auditwatch.trail.counters import FAILURES
from auditwatch.writer.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/writer.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TITLES = [code.strip().splitlines()[-1] for _, code in BLOCKS]


def block(part: str) -> str:
    (found,) = [code for _, code in BLOCKS if part in code]
    return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory to run the examples in."""
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_code_is_python():
    assert {language for language, _ in BLOCKS} == {"python"}
    assert len(BLOCKS) >= 7


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=TITLES)
def test_every_block_runs_by_itself_and_leaves_a_whole_trail(place, number):
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", BLOCKS[number][1]]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    for trail in place.glob("logs/*.jsonl"):
        read_records(trail)


def test_the_line_that_the_logging_example_shows_is_the_one_that_is_written(place):
    code = block("dictConfig")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=place, env=environment, check=True)
    shown = re.search(r"^# (\{.*\})$", code, re.MULTILINE)[1]
    line = (place / "logs/audit_trail.jsonl").read_text().rstrip("\n")
    assert re.sub(r'"timestamp":"[^"]+"', '"timestamp":"..."', line) == shown


def test_the_recipe_writes_what_the_original_wrote_but_for_blanks(place):
    from benchmarks.original import RiskManager

    details = {"symbol": "BTC-USD", "side": "buy", "quantity": 0.25, "none": None, "flags": [True, False]}
    RiskManager("logs/old.jsonl").write("TRADE_APPROVED", details)
    names: dict[str, type] = {}
    exec(block("class RiskManager"), names)
    names["RiskManager"]("logs/new.jsonl")._write_audit_log("TRADE_APPROVED", details)
    (old,), (new,) = read_records("logs/old.jsonl"), read_records("logs/new.jsonl")
    assert (
        datetime.fromisoformat(old.pop("timestamp")).utcoffset() == datetime.fromisoformat(new["timestamp"]).utcoffset()
    )
    assert list(new) == ["timestamp", *old]
    assert [new[name] for name in old] == list(old.values())


def test_the_old_text_is_kept_with_the_old_serialiser_and_what_is_no_json_is_still_refused(place):
    with AuditWriter("logs/a.jsonl", dumps=json.dumps, timestamp_field=None) as writer:
        writer.append({"event": "KILL_SWITCH", "text": "é"})
        with pytest.raises(AuditWriteError, match="not JSON"):
            writer.append({"price": float("nan")})
    assert Path("logs/a.jsonl").read_text() == '{"event": "KILL_SWITCH", "text": "\\u00e9"}\n'


def test_fail_closed_does_not_trade_without_its_record(place, capsys):
    names: dict[str, object] = {}
    exec(block("def approve"), names)
    approve, audit = names["approve"], names["audit"]
    assert approve({"symbol": "BTC-USD"}) is True
    audit.close()
    assert approve({"symbol": "ETH-USD"}) is False
    assert "not traded" in capsys.readouterr().out
    assert [record["details"]["symbol"] for record in read_records("logs/audit_trail.jsonl")] == ["BTC-USD"]


def test_fail_open_stops_trading_all_the_same_and_is_heard_of(place, caplog):
    names: dict[str, object] = {}
    exec(block("def stop_trading"), names)
    stop_trading, audit = names["stop_trading"], names["audit"]
    assert stop_trading("limit") == "stopped"
    audit.close()
    assert stop_trading("limit") == "stopped"
    assert caplog.messages == ["audit write failed (other, stored: no)"]


def table(heading: str) -> dict[str, list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0].lstrip("| "): row[1:] for row in rows[2:]}


def test_the_recipe_explains_every_line_of_the_original():
    source = (ROOT / "benchmarks/original.py").read_text().replace("self._path", "AUDIT_TRAIL_PATH")
    explained = list(table("Coming from `_write_audit_log`"))
    assert len(explained) == 9
    pieces = [piece for line in explained for piece in re.split(r"\.\.\.|: ", line.strip("`"))]
    assert [piece for piece in pieces if piece.strip(" ,)}") not in source] == []


def test_every_reason_of_a_failure_is_in_its_table():
    named = " ".join(table("How a write can fail"))
    assert set(re.findall(r"`(\w+)`", named)) == set(FAILURES)


def test_every_setting_is_named():
    assert [
        name for name in Settings.__slots__ if name != "path" and not re.search(rf"`{name}=?|\b{name}=", PAGE)
    ] == []


class Side(Enum):
    """A value that stands for another."""

    BUY = "buy"


@dataclass
class Limits:
    """A record with a member that orjson alone would leave out."""

    _position: int


def nested(levels: int) -> dict[str, object]:
    record: dict[str, object] = {}
    for _ in range(levels - 1):
        record = {"a": record}
    return record


MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
REFUSED = None
NO_ZONE = datetime(2026, 1, 1)  # noqa: DTZ001  that is the case

CASES = {
    "blanks": [({"a": 1, "b": 2}, '{"a": 1, "b": 2}', '{"a":1,"b":2}')],
    "letters beyond ASCII": [({"a": "é"}, '{"a": "\\u00e9"}', '{"a":"é"}')],
    "unpaired surrogates": [({"a": "\ud800"}, '{"a": "\\ud800"}', '{"a":"\\ud800"}')],
    "NaN, Infinity": [
        ({"a": float("nan")}, '{"a": NaN}', REFUSED),
        ({"a": [float("-inf")]}, '{"a": [-Infinity]}', REFUSED),
    ],
    "small numbers": [({"a": 1e-7}, '{"a": 1e-07}', '{"a":1e-7}')],
    "integers beyond 64 bits": [({"a": 2**70}, f'{{"a": {2**70}}}', f'{{"a":{2**70}}}')],
    "`datetime`, `date`, `time`": [
        ({"a": MIDNIGHT}, REFUSED, '{"a":"2026-01-01T00:00:00+00:00"}'),
        ({"a": date(2026, 1, 1)}, REFUSED, '{"a":"2026-01-01"}'),
        ({"a": time_of_day(12, 30)}, REFUSED, '{"a":"12:30:00"}'),
        ({"a": NO_ZONE}, REFUSED, REFUSED),
    ],
    "`Decimal`": [
        ({"a": Decimal("0.10")}, REFUSED, '{"a":"0.10"}'),
        ({"a": Decimal("NaN")}, REFUSED, REFUSED),
    ],
    "`UUID`, `Enum`": [
        ({"a": UUID(int=1)}, REFUSED, '{"a":"00000000-0000-0000-0000-000000000001"}'),
        ({"a": Side.BUY}, REFUSED, '{"a":"buy"}'),
    ],
    "dataclass": [(Limits(5), REFUSED, '{"_position":5}')],
    "other mappings": [({"a": UserDict(b=1)}, REFUSED, '{"a":{"b":1}}')],
    "keys that are not strings": [({"a": {1: 2, "1": 3}}, '{"a": {"1": 2, "1": 3}}', REFUSED)],
    "nested deeper than 512 levels": [
        (nested(512), json.dumps(nested(512)), json.dumps(nested(512), separators=(",", ":"))),
        (nested(513), json.dumps(nested(513)), REFUSED),
    ],
    "`_seq`, `_prev`, `_auditwatch` at the top": [
        ({"_seq": 1}, '{"_seq": 1}', REFUSED),
        ({"a": {"_seq": 1}}, '{"a": {"_seq": 1}}', '{"a":{"_seq":1}}'),
    ],
}
"""For each row of the table: records, and what the standard library and the writer make of them."""


def by_json(record: object) -> str | None:
    try:
        return json.dumps(record)
    except TypeError:
        return REFUSED


def by_writer(path: Path, record: object) -> str | None:
    reasons = []
    with AuditWriter(path, timestamp_field=None, on_failure=lambda error: reasons.append(error.reason)) as writer:
        writer.append(record)
    assert reasons in ([], ["unserialisable"])
    return REFUSED if reasons else path.read_text().splitlines()[-1]


def test_the_table_of_differences_has_a_case_for_every_row():
    assert set(table("Differences from `json.dumps`")) == {*CASES, "`timestamp`"}


@pytest.mark.parametrize("row", CASES)
def test_a_row_of_the_table_of_differences_is_true(tmp_path, row):
    for record, standard, ours in CASES[row]:
        assert by_json(record) == standard
        assert by_writer(tmp_path / "a.jsonl", record) == ours
    theirs_said, ours_said = table("Differences from `json.dumps`")[row]
    for said, results in (
        (theirs_said, [case[1] for case in CASES[row]]),
        (ours_said, [case[2] for case in CASES[row]]),
    ):
        assert ("refused" in said) == (REFUSED in results)


def test_the_timestamp_is_put_first_where_there_is_none(tmp_path):
    with AuditWriter(tmp_path / "a.jsonl") as writer:
        writer.append({"event": "X"})
        writer.append({"event": "X", "timestamp": "mine"})
    first, second = read_records(tmp_path / "a.jsonl")
    assert (list(first), list(second)) == (["timestamp", "event"], ["event", "timestamp"])
