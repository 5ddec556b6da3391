"""The example for Alertmanager: every alert reaches whom it should, and what only follows from another is inhibited."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditwatch.runbooks import runbook, runbook_names
from tests.agent.alerting import ROOT, ROUTES, RULES, Alertmanager, Webhook, needed, sent_to
from tests.agent.running import until

EXAMPLE = yaml.safe_load(ROUTES.read_text())
SEVERITIES: dict[str, str] = {
    rule["alert"]: rule["labels"]["severity"]
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
HEARTBEAT = "AuditwatchHeartbeat"
AT_ONCE = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    asked = [needed("amtool", "prometheus-alertmanager"), *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT)


def severity_in_runbook(alert: str) -> str:
    found = re.search(r"^Severity: (\w+)\.$", runbook(alert), re.MULTILINE)
    assert found is not None
    return found[1]


def receiver_of(alert: str, severity: str) -> str:
    labels = (f"alertname={alert}", f"severity={severity}", "job=auditwatch", "instance=host:9973", "trail=risk")
    done = amtool("config", "routes", "test", f"--config.file={ROUTES}", *labels)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_amtool_accepts_it() -> None:
    done = amtool("check-config", str(ROUTES))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", sorted({*SEVERITIES, *runbook_names()}))
def test_losses_page_and_everything_else_is_a_ticket(alert: str) -> None:
    severity = SEVERITIES.get(alert) or severity_in_runbook(alert)
    expected = "deadman" if alert == HEARTBEAT else "pager" if severity == "critical" else "ticket"
    assert receiver_of(alert, severity) == expected


def test_the_page_shows_what_its_commands_say() -> None:
    text = (ROOT / "docs/operate/alertmanager.md").read_text()
    shown = re.findall(r"^\$ amtool (.+)\n((?:[^$`].*\n)*)", text, re.MULTILINE)
    assert len(shown) == 2
    for arguments, output in shown:
        done = amtool(*arguments.split())
        assert done.returncode == 0, done.stderr
        assert not output or done.stdout.strip() == output.strip()


def test_what_another_program_alerts_of_pages_nobody_here() -> None:
    assert receiver_of("HostDown", "critical") == "ticket"


def test_no_secret_is_in_the_file() -> None:
    keys = set(re.findall(r"\b(\w*(?:key|password|token|secret|credentials)\w*):", ROUTES.read_text()))
    assert keys == {"routing_key_file", "auth_password_file", "credentials_file"}


def names_matching(matchers: list[str]) -> list[str]:
    """The alerts that the one matcher of a side means."""
    (matcher,) = matchers
    found = re.fullmatch(r'alertname (=~|=) "?(.+?)"?', matcher)
    assert found is not None, matcher
    pattern = re.escape(found[2]) if found[1] == "=" else found[2]
    return [name for name in sorted({*SEVERITIES, *runbook_names()}) if re.fullmatch(pattern, name)]


INHIBITED = [
    (source, target, rule.get("equal", []))
    for rule in EXAMPLE["inhibit_rules"]
    for source in names_matching(rule["source_matchers"])
    for target in names_matching(rule["target_matchers"])
]


def test_every_name_in_a_matcher_means_an_alert_and_damage_is_never_inhibited() -> None:
    for rule in EXAMPLE["inhibit_rules"]:
        for side in (rule["source_matchers"], rule["target_matchers"]):
            assert names_matching(side), side
            for word in re.findall(r"\((.+)\)", side[0]):
                for part in word.split("|"):
                    assert any(re.fullmatch(f"Auditwatch{part}", name) for name in {*SEVERITIES, *runbook_names()}), (
                        part
                    )
    assert {"AuditwatchTrailSilent", "AuditwatchTrailDown", "AuditwatchAgentDown"} <= {name for _, name, _ in INHIBITED}
    assert not [name for _, name, _ in INHIBITED if SEVERITIES.get(name) == "critical"]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture
def alertmanager(webhook: Webhook, tmp_path: Path) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path / "alertmanager", sent_to(webhook, AT_ONCE)) as started:
        until(lambda: started.get("/api/v2/status"))
        yield started


def fire(alertmanager: Alertmanager, *names: str, **labels: Any) -> None:
    until(
        lambda: alertmanager.send(
            *(
                {
                    "alertname": name,
                    "severity": SEVERITIES.get(name) or severity_in_runbook(name),
                    "job": "auditwatch",
                    "instance": "a:9973",
                    "trail": "risk",
                    **labels,
                }
                for name in names
            )
        )
    )


@pytest.mark.parametrize("source", sorted({source for source, _, _ in INHIBITED}))
def test_a_running_alertmanager_tells_the_cause_and_keeps_what_follows(
    alertmanager: Alertmanager, webhook: Webhook, source: str
) -> None:
    kept = {target for cause, target, _ in INHIBITED if cause == source}
    losses = {name for name, severity in SEVERITIES.items() if severity == "critical"}
    fire(alertmanager, source)
    until(lambda: (source, "risk") in webhook.firing())
    fire(alertmanager, *kept, *losses)
    expected = dict.fromkeys(kept, "suppressed") | dict.fromkeys({source, *losses}, "active")
    until(lambda: alertmanager.states() == expected)
    told = {(name, "risk") for name in {source, *losses}}
    until(lambda: told <= webhook.firing().keys())
    assert webhook.firing().keys() == told


def test_what_happens_to_another_trail_or_another_agent_is_told(alertmanager: Alertmanager, webhook: Webhook) -> None:
    fire(alertmanager, "AuditwatchTrailDown")
    fire(alertmanager, "AuditwatchAgentDown", instance="b:9973")
    until(lambda: len(webhook.firing()) == 2)
    fire(alertmanager, "AuditwatchTrailSilent", trail="orders")
    fire(alertmanager, "AuditwatchTrailSilent")
    until(lambda: ("AuditwatchTrailSilent", "orders") in webhook.firing())
    assert ("AuditwatchTrailSilent", "risk") not in webhook.firing()


def test_one_trail_is_one_page_whatever_is_wrong_with_it(alertmanager: Alertmanager) -> None:
    fire(alertmanager, "AuditwatchTrailDamaged", "AuditwatchWriteFailures")
    fire(alertmanager, "AuditwatchTrailDamaged", trail="orders")

    def pages() -> list[int]:
        groups = alertmanager.get("/api/v2/alerts/groups") or []
        return sorted(len(group["alerts"]) for group in groups if group["receiver"]["name"] == "pager")

    until(lambda: pages() == [1, 2])
