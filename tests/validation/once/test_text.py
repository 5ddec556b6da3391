"""The text a person reads, the JSON a program reads, and the page that explains both."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditwatch.cli.explain import example_text
from auditwatch.ledger.runs import Mode
from auditwatch.trail.causes import CAUSES
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.once.outcome import MAX_FINDINGS, Outcome, found_in
from auditwatch.validation.once.text import report_text

PAGE = Path(__file__).parents[3] / "docs" / "defects.md"


def outcome_of(data: bytes, *, final: bool = False) -> Outcome:
    scan = Scan(Rules())
    scan.feed(data)
    report = scan.finish(final)
    findings = found_in(report.defects, "a", "a.jsonl")
    return Outcome("a.jsonl", Mode.FULL, report=report, findings=findings, coverage=1.0, seconds=1.0)


def test_the_verdict_comes_first() -> None:
    assert report_text(outcome_of(b"{}\n")).startswith("a.jsonl: WHOLE, 1 line, none corrupt")
    assert report_text(outcome_of(b"{}\nx\n")).startswith("a.jsonl: DAMAGED, 2 lines, 1 corrupt")
    unread = Outcome("a.jsonl", Mode.FULL, trouble=Trouble("missing", "a.jsonl: No such file"))
    assert report_text(unread).startswith("a.jsonl: UNCHECKED")


def test_the_text_says_what_was_not_judged() -> None:
    text = report_text(outcome_of(b"{}\n"))
    assert "not judged        whether records were removed" in text
    assert "missing lines cannot be detected" in text


def test_pending_bytes_are_whole_and_said() -> None:
    outcome = outcome_of(b'{}\n{"a":')
    assert outcome.verdict == "whole"
    assert "5 bytes after the last newline" in report_text(outcome)


def test_adjacent_lines_of_one_kind_are_one_place() -> None:
    text = report_text(outcome_of(b"{}\nx\nx\nx\n[]\nx\n{}\nx\n"))
    assert "lines 2 to 4, byte offset 3, length 5" in text
    assert [line.split()[0] for line in text.splitlines() if "byte offset" in line] == [
        *["invalid_json", "not_object", "invalid_json", "invalid_json"]
    ]


def test_contents_never_appear() -> None:
    assert "SECRET" not in report_text(outcome_of(b'{"SECRET": \n'))


def test_a_hostile_name_cannot_reach_the_terminal() -> None:
    assert "\x1b" not in report_text(Outcome("\x1b[2J", Mode.FULL, trouble=Trouble("missing", "\x1b[2J")))


def test_findings_are_cut_and_their_total_is_not() -> None:
    values = outcome_of(b"x\n" * (MAX_FINDINGS + 10)).as_json()
    findings = values["findings"]
    assert isinstance(findings, list)
    assert (len(findings), values["findings_total"]) == (MAX_FINDINGS, MAX_FINDINGS + 10)


def test_json_has_every_kind_and_every_violation() -> None:
    values = outcome_of(b"{}\n").as_json()
    assert values["by_kind"] == dict.fromkeys(map(str, Kind), 0)
    assert values["violations"] == dict.fromkeys(map(str, Violation), 0)


def section(kind: Kind | Violation) -> str:
    start = PAGE.read_text().split(f"## {kind.value}\n", 1)[1]
    return start.split("\n#", 1)[0]


@pytest.mark.parametrize("kind", [*Kind, *Violation])
def test_the_page_says_what_the_command_says(kind: Kind | Violation) -> None:
    cause, text = CAUSES[kind], section(kind)
    example = "" if cause.example is None else example_text(cause.example)
    for fact in (cause.meaning, cause.usual_cause, cause.remedy, example):
        assert fact in text


def test_the_page_has_the_kinds_in_their_order() -> None:
    titles = [line[3:] for line in PAGE.read_text().splitlines() if line.startswith("## ")]
    assert titles == [*map(str, Kind), *map(str, Violation)]
