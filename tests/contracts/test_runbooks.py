"""Each alert has its runbook: pages of the package, which commands, the agent and the documentation share."""

from __future__ import annotations

import re
from itertools import chain

import click
import pytest

from auditwatch.cli.main import COMMANDS, auditwatch
from auditwatch.runbooks import runbook, runbook_names
from auditwatch.trail.kinds import Kind, Violation
from tests.contracts.pages import ROOT, links
from tests.contracts.test_metrics import WITHOUT_AN_AGENT, rules

INDEX = ROOT / "docs/operate/runbooks/README.md"
PAGES = sorted((ROOT / "auditwatch/runbooks").glob("*.md"))
SECTIONS = ["What it means", "How to look", "What to do", "What ends it"]


def severity(alert: str) -> str:
    """As its page says."""
    found = re.match(rf"# {alert}\n\nSeverity: (\w+)\.\n\n", runbook(alert))
    assert found is not None, alert
    return found[1]


def typed(page: str) -> list[str]:
    """The commands of ours that a page asks to type."""
    return re.findall(r"(?:`|^ {4})(auditwatch [^`\n]+)", page, re.MULTILINE)


def assert_can_be_typed(line: str) -> None:
    """Its command and its options are there."""
    program, *words = line.split()
    assert program == "auditwatch"
    assert words[0] in {*COMMANDS, "--version"}, line
    if words[0] == "explain":
        assert words[1] in {*Kind, *Violation, "KIND", *runbook_names()}, line
    given, known = options(words)
    assert given <= known, line


def options(words: list[str]) -> tuple[set[str], set[str]]:
    """The options in a command line, and those that the command has."""
    command: click.Command | None = auditwatch
    while isinstance(command, click.Group) and not words[0].startswith("-"):
        command = command.get_command(click.Context(command), words.pop(0))
    assert command is not None
    names = (param.opts for param in command.params if isinstance(param, click.Option))
    return {word for word in words if word.startswith("--")}, set(chain(*names))


def test_the_pages_are_found_by_name() -> None:
    assert runbook_names() == [page.stem for page in PAGES]
    with pytest.raises(KeyError):
        runbook("../__init__")


@pytest.mark.parametrize("alert", runbook_names())
def test_a_page_says_what_it_means_how_to_look_what_to_do_and_what_ends_it(alert: str) -> None:
    text = runbook(alert)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert severity(alert) in {"critical", "warning", "info"}
    assert set(re.findall(r"\bAuditwatch\w+", text)) <= set(runbook_names())


@pytest.mark.parametrize("alert", runbook_names())
def test_what_a_page_asks_to_type_is_there(alert: str) -> None:
    for line in typed(runbook(alert)):
        assert_can_be_typed(line)


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert {rule["alert"]: rule["labels"]["severity"] for rule in rules()} == {
        alert: severity(alert) for alert in runbook_names()
    }


def test_an_alert_leads_to_its_runbook_to_the_page_of_its_trail_and_to_one_command() -> None:
    for rule in rules():
        alert, notes = rule["alert"], rule["annotations"]
        if alert in WITHOUT_AN_AGENT:
            assert f"auditwatch explain {alert}" in notes["action"] + notes["command"]
        else:
            assert notes["runbook_url"] == f"http://{{{{ $labels.instance }}}}/runbooks/{alert}"
            page = "#trail-{{ $labels.trail }}" if "{{ $labels.trail }}" in notes["summary"] else ""
            assert notes["page_url"] == "http://{{ $labels.instance }}/" + page
        assert_can_be_typed(notes["command"].replace("{{ $labels.trail }}", "risk"))


def test_the_index_leads_to_every_page_and_gives_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\S+)\) \| (\w+) \|$", INDEX.read_text(), re.MULTILINE)
    assert sorted((name, found) for name, _, found in rows) == [(name, severity(name)) for name in runbook_names()]
    assert sorted(links(INDEX)) == PAGES
