"""The life of each alert, played by promtool: fires, stays silent, born bad, reset, target gone, restart, acknowledged.

`alerts/auditwatch.test.yml` holds what the alerts say and what is special about one; here all of them are put through
the same histories. A history is a word, a letter a minute: `g` all is well, `b` what the alert is about, `_` no scrape,
`n` an agent that begins anew, to which nothing has happened yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contracts.test_metrics import RULE_TESTS, RULES, promtool, rules

Value = Callable[[int, float], float]
"""From the second and the value before."""

BAD_MINUTES = 45
GAP_MINUTES = 6
REMEMBERED_MINUTES = 15
"""How long the rules remember what an agent said that is gone."""

ALONE = 'alertname!="AuditwatchHeartbeat"'


@dataclass(frozen=True)
class Life:
    """What an alert looks at.

    Attributes:
        gauges: Series to its value while all is well and while it is not.
        counters: Series to how much it rises a minute while all is well and while it is not.
        bad_minutes: After how long it surely fires.
        lasts: Minutes for which an event is reported that is over.
        is_born: Whether it fires if it was never otherwise.
    """

    gauges: Mapping[str, tuple[Value | float, Value | float]] = field(default_factory=dict)
    counters: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bad_minutes: int = BAD_MINUTES
    lasts: int = 0
    is_born: bool = True

    def histories(self) -> dict[str, str]:
        bad = "b" * self.bad_minutes
        return {
            "silent": "g" * 3 * self.bad_minutes,
            "fires": "g" * 10 + bad,
            "born": bad,
            "restart": "g" * 10 + bad + "_" * GAP_MINUTES + "b" * 30,
            "gone": bad + "_" * (self.lasts + 2 * REMEMBERED_MINUTES),
            "acknowledged": bad + "g" * (self.lasts + 10),
            "reset": bad + "n" * (self.lasts + 10),
            "away": bad + "_" * GAP_MINUTES + "g" * (self.lasts + 10),
        }


def now(second: int, _: float) -> float:
    return float(second)


def begun(second: int, before: float) -> float:
    return before or second or 30.0


def stays(_: int, before: float) -> float:
    return before


def was_due(_: int, before: float) -> float:
    return min(before, 60.0) or 60.0


UP = {'trail_up{trail="risk"}': (1.0, 1.0)}

LIVES = {
    "TrailDamaged": Life(
        {
            'trail_corrupt_lines{trail="risk",kind="torn"}': (0.0, 2.0),
            'trail_corrupt_lines_inherited{trail="risk",kind="torn"}': (0.0, 0.0),
            'trail_violations{trail="risk",kind="truncated"}': (0.0, 0.0),
            'trail_corrupt_lines{trail="risk",kind="blank"}': (0.0, 0.0),
            'trail_corrupt_lines_inherited{trail="risk",kind="blank"}': (0.0, 0.0),
        }
    ),
    "TrailViolation": Life(
        {
            'trail_violations{trail="risk",kind="truncated"}': (0.0, 1.0),
            'trail_corrupt_lines{trail="risk",kind="torn"}': (0.0, 5.0),
            'trail_corrupt_lines_inherited{trail="risk",kind="torn"}': (0.0, 0.0),
        }
    ),
    "TrailTornTail": Life({'trail_pending_seconds{trail="risk"}': (0.0, 301.0)}),
    "TrailInheritedDamage": Life(
        {
            'trail_corrupt_lines{trail="risk",kind="torn"}': (0.0, 7.0),
            'trail_corrupt_lines_inherited{trail="risk",kind="torn"}': (0.0, 7.0),
        }
    ),
    "TrailHygiene": Life(
        {
            'trail_corrupt_lines{trail="risk",kind="blank"}': (2.0, 9.0),
            'trail_corrupt_lines_inherited{trail="risk",kind="blank"}': (2.0, 2.0),
        }
    ),
    "WriteFailures": Life({'write_failures_open{trail="risk"}': (0.0, 3.0)}),
    "LockWaitsLong": Life(
        counters={
            'write_lock_wait_seconds_bucket{trail="risk",le="1.0"}': (100.0, 100.0),
            'write_lock_wait_seconds_bucket{trail="risk",le="+Inf"}': (100.0, 101.0),
        },
        lasts=15,
    ),
    "WriterCountersDown": Life(
        {'writer_counters_up{trail="risk"}': (1.0, 0.0), **UP},
        {'writes_total{trail="risk"}': (5.0, 0.0)},
        is_born=False,  # where nobody ever counted, nothing is missing
    ),
    "TrailDown": Life(
        {
            'trail_up{trail="risk"}': (1.0, 0.0),
            # What follows from it pages neither beside it nor instead of it.
            'trail_last_append_timestamp_seconds{trail="risk"}': (now, stays),
            'trail_first_seen_timestamp_seconds{trail="risk"}': (begun, begun),
            'trail_expected_append_interval_seconds{trail="risk"}': (900.0, 900.0),
            'trail_oldest_unverified_seconds{trail="risk"}': (0.0, 5000.0),
            'trail_oldest_proof_seconds{trail="risk"}': (10.0, 5000.0),
            'trail_rehash_interval_seconds{trail="risk"}': (3600.0, 3600.0),
            'validation_due_timestamp_seconds{trail="risk",mode="full"}': (now, was_due),
            'validation_interval_seconds{trail="risk",mode="full"}': (3600.0, 3600.0),
            'validation_last_attempt_timestamp_seconds{trail="risk",mode="full"}': (now, now),
            'validation_last_success_timestamp_seconds{trail="risk",mode="full"}': (now, stays),
            'validation_running{trail="risk",mode="full"}': (0.0, 0.0),
            'watcher_up{trail="risk"}': (1.0, 0.0),
            'writer_counters_up{trail="risk"}': (1.0, 0.0),
        },
        {'writes_total{trail="risk"}': (5.0, 0.0)},
    ),
    "TrailSilent": Life(
        {
            'trail_last_append_timestamp_seconds{trail="risk"}': (now, stays),
            'trail_first_seen_timestamp_seconds{trail="risk"}': (begun, begun),
            'trail_expected_append_interval_seconds{trail="risk"}': (900.0, 900.0),
            **UP,
        }
    ),
    "VerificationBehind": Life({'trail_oldest_unverified_seconds{trail="risk"}': (30.0, 901.0), **UP}),
    "ReverificationBehind": Life(
        {
            'trail_oldest_proof_seconds{trail="risk"}': (10.0, 3700.0),
            'trail_rehash_interval_seconds{trail="risk"}': (3600.0, 3600.0),
            **UP,
        }
    ),
    "ValidationOverdue": Life(
        {
            'validation_due_timestamp_seconds{trail="risk",mode="full"}': (now, was_due),
            'validation_interval_seconds{trail="risk",mode="full"}': (3600.0, 3600.0),
            'validation_running{trail="risk",mode="full"}': (0.0, 0.0),
            **UP,
        }
    ),
    "ValidationFailing": Life(
        {
            'validation_last_attempt_timestamp_seconds{trail="risk",mode="full"}': (now, now),
            'validation_last_success_timestamp_seconds{trail="risk",mode="full"}': (now, stays),
            'validation_running{trail="risk",mode="full"}': (0.0, 0.0),
            **UP,
        }
    ),
    "WatcherDown": Life({'watcher_up{trail="risk"}': (1.0, 0.0), **UP}),
    "VolumeNearlyFull": Life(
        {
            'trail_volume_free_bytes{trail="risk"}': (50.0, 4.0),
            'trail_volume_size_bytes{trail="risk"}': (100.0, 100.0),
            'write_failures_open{trail="risk"}': (0.0, 0.0),
        }
    ),
    "StateNotWritable": Life({"state_writable{}": (1.0, 0.0)}),
    "SelftestFailing": Life(
        {"selftest_last_success_timestamp_seconds{}": (now, stays), "process_start_time_seconds{}": (begun, begun)},
        {"selftest_failures_total{}": (0.0, 1.0)},
        bad_minutes=150,  # long enough for a test that is missed
        lasts=60,
    ),
    "SelftestMissed": Life(
        {"selftest_last_success_timestamp_seconds{}": (now, stays), "process_start_time_seconds{}": (begun, begun)},
        {"selftest_failures_total{}": (0.0, 0.0)},
        bad_minutes=150,
    ),
    "ConfigReloadFailed": Life({"config_last_reload_successful{}": (1.0, 0.0)}),
    "CollectorErrors": Life(counters={"collector_errors_total{}": (0.0, 1.0)}, lasts=15),
    "DetectionSlow": Life(
        counters={
            'detection_latency_seconds_bucket{le="1.0"}': (6.0, 0.0),
            'detection_latency_seconds_bucket{le="10.0"}': (6.0, 6.0),
            'detection_latency_seconds_bucket{le="+Inf"}': (6.0, 6.0),
        },
        lasts=15,
    ),
}

OTHER_LIVES = {"AgentDown", "AgentAbsent", "Heartbeat", "StateReset", "StateStepFell"}
"""About an agent that is not there, or about a day: alerts/auditwatch.test.yml has their histories."""


def series(life: Life, instance: str, history: str) -> list[dict[str, str]]:
    """As promtool takes them; a gap begins as Prometheus marks it, and counters begin at 0 after it."""
    named = {name: list(_gauge(*states, history)) for name, states in life.gauges.items()}
    named |= {name: list(_counter(*rises, history)) for name, rises in life.counters.items()}
    return [_written(name, instance, values, history) for name, values in named.items()]


def _gauge(well: Value | float, bad: Value | float, history: str) -> Iterator[float]:
    value = 0.0
    for minute, letter in enumerate(history):
        state = bad if letter == "b" else well
        before = 0.0 if letter == "n" != history[minute - 1] else value
        if letter != "_":
            value = state(60 * minute, before) if callable(state) else state
        if letter == "n" and state is now:
            value = 0.0
        yield value


def _counter(well: float, bad: float, history: str) -> Iterator[float]:
    total = 0.0
    for letter in history:
        total = 0.0 if letter in "_n" else total + (bad if letter == "b" else well)
        yield total


def _written(name: str, instance: str, values: list[float], history: str) -> dict[str, str]:
    prefix = "" if name.startswith("process_") else "auditwatch_"
    labels = f'job="auditwatch",instance="{instance}",'
    shown = [f"{value:.0f}" if letter != "_" else "_" for value, letter in zip(values, history, strict=True)]
    written = re.sub(r"(?<=\d )_", "stale", " ".join(shown))
    return {"series": prefix + name.replace("{", "{" + labels).replace(",}", "}"), "values": written}


def only(alert: str, instance: str, minute: int, *, fires: bool) -> dict[str, object]:
    """Whether this instance fires this alert then, and no other."""
    expected = [{"labels": f'{{alertname="Auditwatch{alert}"}}', "value": 1}] if fires else []
    query = f'count by (alertname) (ALERTS{{alertstate="firing",instance="{instance}",{ALONE}}})'
    return {"expr": query, "eval_time": f"{minute}m", "exp_samples": expected}


def checks(alert: str, life: Life) -> list[dict[str, object]]:
    bad, after = life.bad_minutes, life.bad_minutes + life.lasts
    patience = next(int(rule.get("for", "0m")[:-1]) for rule in rules() if rule["alert"] == f"Auditwatch{alert}")
    began = f'ALERTS_FOR_STATE{{alertname="Auditwatch{alert}",instance="restart"}}'
    same = f"count({began} == {began} offset {GAP_MINUTES + 20}m)"
    return [
        *(only(alert, "silent", minute, fires=False) for minute in range(5, 3 * bad, 10)),
        only(alert, "fires", 9, fires=False),
        only(alert, "fires", 9 + patience, fires=False),
        only(alert, "fires", 9 + bad, fires=True),
        only(alert, "born", bad - 1, fires=life.is_born),
        only(alert, "restart", 9 + bad, fires=True),
        only(alert, "restart", 9 + bad + GAP_MINUTES, fires=True),
        only(alert, "restart", 9 + bad + GAP_MINUTES + 20, fires=True),
        {"expr": same, "eval_time": f"{9 + bad + GAP_MINUTES + 20}m", "exp_samples": [{"labels": "{}", "value": 1}]},
        only(alert, "gone", bad - 1, fires=life.is_born),
        only(alert, "gone", bad + 8, fires=life.is_born),
        only(alert, "gone", after + REMEMBERED_MINUTES + 5, fires=False),
        only(alert, "acknowledged", after + (1 if life.lasts else 0), fires=False),
        only(alert, "acknowledged", after + 9, fires=False),
        only(alert, "reset", after + (1 if life.lasts else 0), fires=False),
        only(alert, "reset", after + 9, fires=False),
        only(alert, "away", after + GAP_MINUTES + 1, fires=False),
        only(alert, "away", after + GAP_MINUTES + 9, fires=False),
    ]


def test_every_alert_has_its_life() -> None:
    named = {f"Auditwatch{name}" for name in LIVES.keys() | OTHER_LIVES}
    assert named == {rule["alert"] for rule in rules()}
    assert [name for name in OTHER_LIVES if f"Auditwatch{name}" not in RULE_TESTS.read_text()] == []


@pytest.mark.parametrize("alert", LIVES)
def test_an_alert_lives_as_it_should(alert: str, tmp_path: Path) -> None:
    life = LIVES[alert]
    group = {
        "name": alert,
        "interval": "1m",
        "input_series": [one for name, history in life.histories().items() for one in series(life, name, history)],
        "promql_expr_test": checks(alert, life),
    }
    tests = tmp_path / "life.yml"
    tests.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [group]}))
    played = promtool("test", "rules", str(tests))
    assert played.returncode == 0, (played.stdout + played.stderr).decode()
