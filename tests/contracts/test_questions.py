"""The questions of docs/operate/questions.md, answered by promtool: before a fault, during it, after it, agent gone.

A history has four parts, a sample a minute: ten minutes that are well, forty with the fault, seventy without it again,
and two hours in which nobody answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contracts.test_metrics import ROOT, exported, promtool, used

PAGE = ROOT / "docs" / "operate" / "questions.md"
WELL, FAULT, AFTER, GONE = 10, 40, 70, 120
LAST_WEEK = 7 * 24 * 60
END = WELL + FAULT + AFTER

LABELS = 'job="auditwatch",instance="a:9532"'
TRAIL = LABELS + ',trail="risk"'

Value = Callable[[int], float]
"""What a series says in a minute of the history."""


@dataclass(frozen=True)
class Case:
    """What is played for a question, and what it answers.

    Attributes:
        series: Name with labels, and what it says.
        before, during, after: At the end of each part; None = no answer.
        gone: Once the agent is gone; None = no answer.
        since: How many minutes earlier the history begins.
    """

    series: dict[str, Value]
    before: float | None
    during: float | None
    after: float | None
    gone: float | None = None
    since: int = 0


def steady(value: float) -> Value:
    return lambda _: value


def step(well: float, fault: float) -> Value:
    """One value, another during the fault, the first again."""
    return lambda minute: fault if WELL <= minute < WELL + FAULT else well


def rises(well: float, fault: float) -> Value:
    """A counter: how much a minute adds, and how much during the fault."""
    return lambda minute: well * minute + (fault - well) * min(max(minute - WELL, 0), FAULT)


def of(name: str, labels: str = "", scope: str = TRAIL) -> str:
    return f"{name}{{{scope}{',' * bool(labels)}{labels}}}"


UP = {of("auditwatch_trail_up"): steady(1)}
INFO = {of("auditwatch_build_info", scope=LABELS): steady(1)}


def waits(name: str, scope: str) -> dict[str, Value]:
    """A histogram whose observations are all below 0.1 s, and all between 0.1 and 1 s during the fault."""
    fast = {"0.1": rises(10, 0), "1.0": rises(10, 10), "+Inf": rises(10, 10)}
    return {of(f"{name}_bucket", f'le="{le}"', scope): value for le, value in fast.items()}


CASES = {
    "Is damage open now?": Case(
        {
            of("auditwatch_trail_corrupt_lines", 'kind="torn"'): step(0, 2),
            of("auditwatch_trail_corrupt_lines", 'kind="blank"'): steady(0),
            of("auditwatch_trail_violations", 'kind="truncated"'): step(0, 1),
        },
        0,
        3,
        0,
    ),
    "Is it still happening?": Case(
        {of("auditwatch_trail_corrupt_lines_detected_total", 'kind="torn"'): rises(0, 2)}, 0, 20, 0
    ),
    "Was a record not written?": Case({of("auditwatch_write_failures_open"): step(0, 4)}, 0, 4, 0),
    "Is a trail quieter than it should be?": Case(
        {
            of("auditwatch_trail_last_append_timestamp_seconds"): lambda minute: (
                60 * (WELL if WELL <= minute < WELL + FAULT else minute)
            ),
            of("auditwatch_trail_first_seen_timestamp_seconds"): steady(1),
            of("auditwatch_trail_expected_append_interval_seconds"): steady(600),
        },
        0,
        (FAULT - 1) * 60 / 600,
        0,
    ),
    "Is a full validation overdue?": Case(
        {
            of("auditwatch_validation_due_timestamp_seconds", 'mode="full"'): lambda minute: (
                60 * (WELL if minute < WELL + FAULT else minute + 30)
            ),
            of("auditwatch_validation_due_timestamp_seconds", 'mode="sample"'): steady(0),
        },
        -60,
        (FAULT - 1) * 60,
        -1800,
    ),
    "Will the disk be full in four hours?": Case(
        {
            of("auditwatch_trail_volume_free_bytes"): lambda minute: (
                1e9 - 1e7 * min(max(minute - WELL, 0), FAULT) * (minute < WELL + FAULT)
            ),
            **UP,
        },
        0,
        1,
        0,
    ),
    "How does a trail grow, against last week?": Case(
        {
            of("auditwatch_trail_appended_bytes_total"): lambda minute: rises(100, 10)(minute) + 100 * LAST_WEEK,
            **UP,
        },
        1,
        (21 * 100 + 39 * 10) / (60 * 100),
        1,
        since=LAST_WEEK + 120,
    ),
    "What did writers acknowledge that is not in the file?": Case(
        {
            of("auditwatch_writes_total"): rises(60, 60),
            of("auditwatch_trail_appended_lines_total"): lambda minute: 60 * minute - min(max(minute - WELL, 0), 3),
            **UP,
        },
        0,
        3,
        0,
        since=120,
    ),
    "How long does an append wait for the lock?": Case(
        {**waits("auditwatch_write_lock_wait_seconds", TRAIL), **UP}, 0.099, 0.991, 0.099
    ),
    "How long until a line has its verdict?": Case(
        {**waits("auditwatch_detection_latency_seconds", LABELS), **INFO}, 0.099, 0.991, 0.099
    ),
    "What does the agent cost, with its workers?": Case(
        {
            of("process_cpu_seconds_total", scope=LABELS): rises(3, 3),
            of("auditwatch_worker_cpu_seconds_total", scope=LABELS): rises(0, 57),
            **INFO,
        },
        0.05,
        1.0,
        0.05,
        since=30,
    ),
    "Is an agent gone from discovery?": Case(INFO, None, None, None, gone=1),
    "Which share of the bytes was ever judged?": Case(
        {
            of("auditwatch_trail_verified_bytes"): step(800, 200),
            of("auditwatch_trail_size_bytes"): steady(600),
            of("auditwatch_trail_segments_size_bytes"): steady(200),
        },
        1,
        0.25,
        1,
    ),
    "Is an agent alive but blind?": Case(
        {
            of("up", scope=LABELS): steady(1),
            of("auditwatch_trail_up"): step(1, 0),
            of("auditwatch_watcher_up"): steady(1),
            of("auditwatch_trail_oldest_unverified_seconds"): steady(0),
            of("auditwatch_selftest_last_success_timestamp_seconds", scope=LABELS): lambda minute: 60 * minute,
            of("process_start_time_seconds", scope=LABELS): steady(0),
        },
        None,
        1,
        None,
    ),
}


def questions() -> dict[str, str]:
    """Each expression of the page, by its question."""
    return dict(re.findall(r"^## (.+?)\n\n```promql\n(.+?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def played(series: dict[str, Value], since: int) -> list[dict[str, str]]:
    minutes = range(-since, END)
    return [
        {"series": name, "values": " ".join(f"{value(minute):.12g}" for minute in minutes) + f" _x{GONE}"}
        for name, value in series.items()
    ]


def answers(query: str, minute: int, value: float | None) -> dict[str, object]:
    """That a query has this one value then, or no answer."""
    if value is None:
        return {"expr": f"count({query})", "eval_time": f"{minute}m", "exp_samples": []}
    low, high = value - 1e-3, value + 1e-3
    close = f"count((({query}) >= {low}) <= {high}) == count({query}) == 1"
    return {"expr": close, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}]}


def test_each_question_is_played() -> None:
    assert list(questions()) == list(CASES)


def test_questions_are_asked_of_metrics_that_are_exported() -> None:
    assert [name for query in questions().values() for name in used(query) if name not in exported()] == []


@pytest.mark.parametrize("question", CASES)
def test_a_question_is_answered_before_during_and_after_a_fault_and_not_by_an_agent_that_is_gone(
    question: str, tmp_path: Path
) -> None:
    case, query = CASES[question], questions()[question]
    ends: Sequence[tuple[int, float | None]] = (
        (WELL - 1, case.before),
        (WELL + FAULT - 1, case.during),
        (END - 1, case.after),
        (END + 30, case.gone),
    )
    group = {
        "name": question,
        "interval": "1m",
        "input_series": played(case.series, case.since),
        "promql_expr_test": [answers(query, case.since + minute, value) for minute, value in ends],
    }
    tests = tmp_path / "questions.yml"
    tests.write_text(json.dumps({"evaluation_interval": "1m", "tests": [group]}))
    told = promtool("test", "rules", str(tests))
    assert told.returncode == 0, (told.stdout + told.stderr).decode()
