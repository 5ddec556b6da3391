"""Records against a JSON Schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from auditwatch.cli.main import run
from auditwatch.trail.judge.json_schema import check_schema
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.own import Recovered, format_own
from auditwatch.trail.rules import FieldType, Rules

pytest.importorskip("jsonschema_rs", reason="NOT RUN: no jsonschema-rs here")

SCHEMA = json.dumps(
    {
        "required": ["event"],
        "properties": {"event": {"enum": ["TRADE", "KILL"]}, "n": {"type": "integer", "minimum": 1}},
    }
)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"event":"TRADE","n":1}', None),
        (b'{"event":"TRADE","n":123456789012345678901234567890}', None),
        (b'{"event":"TRADE","other":"\\ud800"}', None),
        (b'{"event":"TRADE","n":0}', Kind.SCHEMA),
        (b'{"event":"OTHER"}', Kind.SCHEMA),
        (b'{"n":1}', Kind.SCHEMA),
        (b'{"event":"TRADE","\\ud800":1}', Kind.SCHEMA),
        (b'{"event":"TR', Kind.TORN),
        (b"[1]", Kind.NOT_OBJECT),
        (b'{"event":"TRADE"}{"event":"KILL"}', Kind.CONCATENATED),
    ],
)
def test_a_line_has_the_kind_that_the_schema_gives_it(line: bytes, kind: Kind | None) -> None:
    judge = Judge(Rules(schema=SCHEMA))
    assert judge.kind_of(line) == kind
    neighbours = [b'{"event":"TRADE"}', line, b'{"event":"KILL"}']
    assert list(judge.damaged(neighbours)) == ([(1, kind)] if kind else [])


def test_records_of_the_writer_itself_are_exempt() -> None:
    assert Judge(Rules(schema=SCHEMA)).kind_of(format_own("T", Recovered(0, 1, "ab" * 32))) is None
    assert Judge(Rules(schema=SCHEMA)).kind_of(b'{"_auditwatch":"forged"}') is Kind.SCHEMA


def test_required_fields_and_schema_both_hold() -> None:
    judge = Judge(Rules(schema=SCHEMA, require=(("at", FieldType.DATETIME),)))
    assert judge.kind_of(b'{"event":"TRADE"}') is Kind.SCHEMA
    assert judge.kind_of(b'{"event":"OTHER","at":"2026-01-01T00:00:00Z"}') is Kind.SCHEMA
    assert judge.kind_of(b'{"event":"TRADE","at":"2026-01-01T00:00:00Z"}') is None


def test_another_schema_is_another_set_of_rules() -> None:
    assert len({Rules().rules_id, Rules(schema="{}").rules_id, Rules(schema="true").rules_id}) == 3


@pytest.mark.parametrize(
    "schema",
    ["", "{", '{"type":"nothing"}', '{"$ref":"http://127.0.0.1:9/x"}', '{"$ref":"file:///etc/passwd"}', "[1]",
     "[" * 5000],
)  # fmt: skip
def test_what_cannot_be_used_is_said(schema: str) -> None:
    with pytest.raises(ValueError, match="not a usable JSON Schema"):
        check_schema(schema)


def test_the_command_says_what_is_wrong_with_a_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "schema.json").write_text("{")
    assert run(["validate", "--schema", str(tmp_path / "schema.json"), "-"]) == 2
    assert "--schema: not a usable JSON Schema" in capsys.readouterr().err


def test_without_the_library_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    (tmp_path / "schema.json").write_text('{"title":"never seen before"}')
    assert run(["validate", "--schema", str(tmp_path / "schema.json"), "-"]) == 2
    assert "pip install 'auditwatch[schema]'" in capsys.readouterr().err


def test_the_command_takes_it_from_a_file_and_workers_know_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schema.json").write_text(SCHEMA)
    trail = tmp_path / "a.jsonl"
    trail.write_bytes(b'{"event":"TRADE","text":"%s"}\n' % (b"x" * 1000) * 34_000 + b'{"event":"OTHER"}\n')
    asked = ["validate", "--format", "json", "--schema", str(tmp_path / "schema.json"), str(trail)]
    assert run(asked) == 1
    values = json.loads(capsys.readouterr().out)
    assert (values["by_kind"]["schema"], values["findings"][0]["line"]) == (1, 34_001)


@pytest.mark.parametrize("content", [b"\xff", b"no schema", None])
def test_a_file_that_holds_none_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = tmp_path / "schema.json"
    if content is not None:
        path.write_bytes(content)
    assert run(["validate", "--schema", str(path), str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
