"""The metrics: the contract, what is exported, what dashboards and alerts use, and what the documents say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditwatch.ledger.damage import Finding, ViolationRow
from auditwatch.ledger.runs import Mode
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import Policy, Standing, TrailState
from auditwatch.ledger.writes import Counts, Writes
from auditwatch.trail.counters import REASONS
from auditwatch.trail.kinds import HYGIENE, Kind, Violation
from auditwatch.web.collector import Exposition
from auditwatch.web.metrics import ALL_METRICS
from auditwatch.web.snapshot import AgentStatus, Snapshot, TrailSnapshot, Volume

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alerts" / "auditwatch.rules.yml"
RULE_TESTS = ROOT / "alerts" / "auditwatch.test.yml"
DASHBOARD = ROOT / "dashboards" / "auditwatch.json"

NOT_BUILT_YET = {
    "auditwatch_trail_sequence_last",
    "auditwatch_trail_unreconciled_records",
}
"""Names of the contract that nothing feeds: neither exported nor documented until something does."""

NAMES = """
    build_info
    trail_up
    trail_size_bytes trail_lines
    trail_segments trail_segments_size_bytes
    trail_verified_bytes trail_unverified_bytes trail_pending_bytes
    trail_pending_seconds trail_oldest_unverified_seconds
    trail_appended_bytes_total trail_appended_lines_total
    trail_last_append_timestamp_seconds trail_first_seen_timestamp_seconds trail_expected_append_interval_seconds
    trail_corrupt_lines trail_corrupt_lines_inherited trail_corrupt_lines_acknowledged
    trail_corrupt_lines_detected_total trail_last_corrupt_line_timestamp_seconds
    trail_violations trail_violations_acknowledged
    trail_sequence_last
    trail_unreconciled_records
    trail_rotations_total trail_segments_expired_total trail_segments_expired_unverified_total
    trail_oldest_proof_seconds trail_rehash_interval_seconds
    trail_volume_free_bytes trail_volume_size_bytes trail_volume_free_inodes
    writes_total write_failures_total
    write_failures_open write_last_failure_timestamp_seconds
    write_lock_wait_seconds writer_counters_up
    validation_runs_total validation_errors_total
    validation_duration_seconds
    validation_last_attempt_timestamp_seconds validation_last_success_timestamp_seconds validation_interval_seconds
    validation_due_timestamp_seconds
    validation_last_corrupt_lines validation_running validation_progress_ratio
    sample_corrupt_ratio_upper_bound
    detection_latency_seconds
    watcher_up watcher_polling
    watcher_rescans_total scheduler_missed_runs_total
    selftest_last_success_timestamp_seconds selftest_failures_total
    state_writable state_created_timestamp_seconds state_save_failures_total state_resets_total state_step
    worker_cpu_seconds_total worker_max_resident_bytes
    collector_errors_total config_last_reload_successful config_last_reload_success_timestamp_seconds config_hash
"""
WITHOUT_AN_AGENT = {"AuditwatchAgentDown", "AuditwatchAgentAbsent", "AuditwatchHeartbeat"}
"""Alerts on an agent that does not answer, or on none: a link to it would lead nowhere."""

CONTRACT = {f"auditwatch_{name}" for name in NAMES.split()}
"""Every metric that people outside rely on."""

LABELS = {
    "trail_corrupt_lines": {"trail", "kind"},
    "trail_violations": {"trail", "kind"},
    "trail_corrupt_lines_detected_total": {"trail", "kind"},
    "trail_last_corrupt_line_timestamp_seconds": {"trail"},
    "writes_total": {"trail"},
    "write_failures_total": {"trail", "reason"},
    "write_failures_open": {"trail"},
    "write_lock_wait_seconds": {"trail"},
    "writer_counters_up": {"trail"},
    "validation_runs_total": {"trail", "mode"},
    "validation_due_timestamp_seconds": {"trail", "mode"},
    "validation_duration_seconds": {"mode"},
    "detection_latency_seconds": set(),
    "scheduler_missed_runs_total": {"reason"},
    "build_info": {"version", "python_version"},
}


def exported() -> dict[str, Any]:
    return {metric.name: metric for metric in ALL_METRICS}


def promtool(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("NOT RUN: promtool is missing: apt-get install prometheus")
    return subprocess.run([tool, *arguments], input=given, capture_output=True, check=False, cwd=ROOT, timeout=100)


def used(text: str) -> set[str]:
    """Names of metrics in a query, histograms by their family."""
    names = set(re.findall(r"\bauditwatch_\w+", RECORDED.sub("", text)))
    histograms = {metric.name for metric in ALL_METRICS if metric.type == "histogram"}
    return {stem if (stem := re.sub(r"_(bucket|sum|count)$", "", name)) in histograms else name for name in names}


def rules(kind: str = "alert") -> list[dict[str, Any]]:
    """The rules that raise an alert, or those that record a series (`record`)."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


RECORDED = re.compile(r"\b\w+:auditwatch_\w+:\w+\b")
"""Names of recorded series: whose they are, what they are of, and what was done."""


def test_every_metric_of_the_contract_is_exported_or_known_not_to_be_built_yet() -> None:
    assert set(exported()) | NOT_BUILT_YET == CONTRACT
    assert not set(exported()) & NOT_BUILT_YET
    assert [name for name in NOT_BUILT_YET if name in (ROOT / "docs/metrics.md").read_text()] == []
    assert len(exported()) == len(ALL_METRICS)


def test_counters_and_only_counters_end_in_total() -> None:
    assert [m.name for m in ALL_METRICS if (m.type == "counter") != m.name.endswith("_total")] == []


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_those_of_the_contract(name: str) -> None:
    assert set(exported()[f"auditwatch_{name}"].labels) == LABELS[name]


def test_promtool_accepts_a_scrape() -> None:
    finding = Finding("f0", 3, 30, 9, Kind.TORN, "", 0, False, 1.0, 1.0)
    segment = Segment(1, "a.jsonl", 1, 1, 100, 1.0, judged=80, read=90, lines=3, findings=(finding,))
    violation = ViolationRow("v0", Violation.TRUNCATED, "a.jsonl", "", 1.0)
    state = TrailState("risk", Policy(""), standing=Standing.PRESENT, active=segment, violations=(violation,))
    state = replace(state, writes=Writes("ab", total=Counts(3, lock_waits=(1,) * 8)))
    trail = TrailSnapshot("risk", "/a.jsonl", state, volume=Volume(1, 2, 3))
    snapshot = Snapshot(1.0, 1, AgentStatus("0.1.0", "3.11.7", 1.0), (trail,))
    text, _ = Exposition(lambda: snapshot).scrape()
    checked = promtool("check", "metrics", given=text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_promtool_accepts_the_rules() -> None:
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stderr.decode()


def test_the_rules_do_what_their_tests_say() -> None:
    checked = promtool("test", "rules", str(RULE_TESTS))
    assert checked.returncode == 0, (checked.stdout + checked.stderr).decode()


def test_alerts_use_only_what_is_exported_or_recorded() -> None:
    recorded = {rule["record"] for rule in rules("record")}
    for rule in [*rules(), *rules("record")]:
        texts = [rule["expr"], *rule.get("annotations", {}).values()]
        assert used(rule["expr"]) or RECORDED.search(rule["expr"]), rule
        assert set().union(*map(used, texts)) <= set(exported()), rule
        assert {name for text in texts for name in RECORDED.findall(text)} <= recorded, rule


def test_what_is_recorded_is_used_in_the_same_group_so_that_it_is_never_a_round_old() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        recorded = {rule["record"] for rule in group["rules"] if "record" in rule}
        asked = {name for rule in group["rules"] for name in RECORDED.findall(rule["expr"])}
        assert asked == recorded


def test_alerts_follow_their_rules() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Auditwatch")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        links = {"page_url", "runbook_url"} if rule["alert"] not in WITHOUT_AN_AGENT else set()
        assert set(rule["annotations"]) == {"summary", "description", "action", "command", *links}
        assert "keep_firing_for" not in rule, "it would outlive an acknowledgement"


def test_no_alert_fakes_a_zero_or_counts_an_age_while_the_agent_is_away() -> None:
    for rule in [*rules(), *rules("record")]:
        assert not re.search(r"vector\(|\btime\(\)", rule["expr"]), rule
    for rule in rules("record"):
        assert rule["record"].endswith("_seconds:age")
        assert "timestamp(" in rule["expr"]
    assert "vector(" not in DASHBOARD.read_text()


def test_the_hygiene_kinds_of_rules_and_dashboard_are_those_of_the_code() -> None:
    for text in (RULES.read_text(), DASHBOARD.read_text()):
        lists = re.findall(r'kind[!=]~\\?"([^"\\]*)', text)
        assert lists
        assert [kinds for kinds in lists if sorted(kinds.split("|")) != sorted(HYGIENE)] == []


def test_only_new_damage_that_is_no_hygiene_violations_and_failed_writes_are_critical() -> None:
    critical = {rule["alert"]: rule["expr"] for rule in rules() if rule["labels"]["severity"] == "critical"}
    assert set(critical) == {"AuditwatchTrailDamaged", "AuditwatchTrailViolation", "AuditwatchWriteFailures"}
    assert used(critical["AuditwatchWriteFailures"]) == {"auditwatch_write_failures_open"}
    left_out = re.findall(r'kind!~"([^"]*)"', critical["AuditwatchTrailDamaged"])
    assert [set(kinds.split("|")) for kinds in left_out] == [set(HYGIENE)] * 2
    assert "- last_over_time(auditwatch_trail_corrupt_lines_inherited" in critical["AuditwatchTrailDamaged"]


def test_every_state_gauge_in_an_alert_is_bridged_over_a_restart() -> None:
    gauges = {metric.name for metric in ALL_METRICS if metric.type == "gauge"} - {"auditwatch_build_info"}
    for rule in rules():
        bridged = re.findall(r"last_over_time\((auditwatch_\w+)(?:\{[^}]*\})?\[15m\]\)", rule["expr"])
        # Over a day, restarts or not:
        bridged += re.findall(r"resets\((auditwatch_state_step)\[1d\]\)", rule["expr"])
        bridged += re.findall(
            r'max_over_time\((auditwatch_trail_violations)\{kind="state_lost"\}\[1d\]\)', rule["expr"]
        )
        named = [name for name in re.findall(r"\bauditwatch_\w+", RECORDED.sub("", rule["expr"])) if name in gauges]
        assert sorted(named) == sorted(name for name in bridged if name in gauges), rule["alert"]
        recorded = [f"last_over_time({name}[15m])" for name in RECORDED.findall(rule["expr"])]
        assert [age for age in recorded if age not in rule["expr"]] == [], rule["alert"]


def test_the_alerts_document_names_every_alert_and_no_other() -> None:
    text = (ROOT / "docs" / "operate" / "alerts.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"], rule.get("for", "at once")) for rule in rules()]
    assert set(re.findall(r"\bAuditwatch\w+", text)) == {rule["alert"] for rule in rules()}


def test_dashboards_use_only_what_is_exported_and_have_no_panel_without_a_query() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert panels
    for panel in panels:
        for target in panel["targets"]:
            assert used(target["expr"]), panel["title"]
            assert used(target["expr"]) <= set(exported()), panel["title"]


def test_dashboard_variables_come_from_metrics_that_are_always_there() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["instance"]["definition"] == "label_values(auditwatch_build_info, instance)"
    for text in re.findall(r"\$\{?(\w+)\}?", DASHBOARD.read_text()):
        assert text in {*variables, "__rate_interval", "__all"}
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"] if "datasource" in panel} == {"${datasource}"}


def test_the_metrics_document_has_every_metric_as_it_is() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]+|-) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(m.name, m.type, ", ".join(m.labels) or "-", m.help) for m in ALL_METRICS]
    assert all(f"`{value}`" in text for value in (*Kind, *Violation, *Mode, *REASONS))
