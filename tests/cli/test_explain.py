"""`auditwatch explain`: every kind, violation, reason and alert, by whatever way its name is typed."""

from __future__ import annotations

from typing import get_args

import pytest

from auditwatch.cli.main import run
from auditwatch.errors import Reason
from auditwatch.runbooks import runbook, runbook_names
from auditwatch.trail.counters import REASONS
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.reasons import UNREADABLE_CAUSES, WRITE_CAUSES

Capture = pytest.CaptureFixture[str]


def explained(capsys: Capture, *name: str) -> str:
    assert run(["explain", *name]) == 0
    return capsys.readouterr().out


def refused(capsys: Capture, name: str) -> str:
    assert run(["explain", name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize("alert", runbook_names())
def test_an_alert_is_its_runbook_with_or_without_the_prefix_in_any_case(alert: str, capsys: Capture) -> None:
    short = alert.removeprefix("Auditwatch")
    for name in (alert, short, alert.lower(), short.upper()):
        assert explained(capsys, name) == runbook(alert)


def test_every_reason_is_explained() -> None:
    assert tuple(UNREADABLE_CAUSES) == get_args(Reason)
    assert tuple(WRITE_CAUSES) == REASONS


@pytest.mark.parametrize("reason", [*get_args(Reason), *REASONS])
def test_a_reason_says_what_it_is_and_what_to_do(reason: str, capsys: Capture) -> None:
    said = explained(capsys, reason)
    assert said.startswith(reason)
    assert "what to do" in said


def test_a_reason_of_both_lists_is_told_for_each(capsys: Capture) -> None:
    said = explained(capsys, "permission")
    assert "permission (why a trail could not be looked at)\n" in said
    assert "permission (why a write failed)\n" in said


def test_a_kind_may_be_typed_in_any_case(capsys: Capture) -> None:
    assert explained(capsys, "Nul-Bytes").startswith("nul_bytes\n")
    assert explained(capsys, "TORN") == explained(capsys, "torn")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("interleavd", "interleaved"),
        ("TrailDamage", "AuditwatchTrailDamaged"),
        ("auditwatchtrailsilnt", "AuditwatchTrailSilent"),
        ("sequencegab", "sequence_gap"),
    ],
)
def test_a_slip_is_pointed_to_the_name_that_was_meant(typed: str, meant: str, capsys: Capture) -> None:
    assert f"did you mean {meant}?" in refused(capsys, typed)


def test_what_is_like_nothing_gets_no_suggestion_and_the_way_to_the_list(capsys: Capture) -> None:
    said = refused(capsys, "\x1b[31mbad_luck")
    assert "did you mean" not in said
    assert "\x1b" not in said
    assert "`auditwatch explain` lists them" in said


def test_without_a_name_everything_is_listed(capsys: Capture) -> None:
    listed = [line.split()[0] for line in explained(capsys).splitlines() if line.startswith("  ")]
    assert listed == [*Kind, *Violation, *get_args(Reason), *REASONS, *runbook_names()]
    assert all(len(line.split()) > 2 for line in explained(capsys).splitlines() if line.startswith("  "))
