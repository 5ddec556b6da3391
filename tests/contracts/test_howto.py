"""Checklists and guides: what they name is there, and each has its steps and its check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditwatch.cli.main import COMMANDS
from tests.contracts.pages import ROOT, links, missing, spans, words_of_code

INDEX = ROOT / "docs/howto/README.md"
PAGES = sorted(set(INDEX.parent.glob("*.md")) - {INDEX})

EXAMPLES = {"trail_unlisted_lines", "not_a_number", "read_bytes", "Noted", "kinds"}
"""What the checklists add: the one thing they name that is not there."""

ELSEWHERE = {"gridPos", "_bytes", "_seconds", "_ratio", "_timestamp_seconds", "_total"}
"""Words of another program, and ends of words."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
checklists = pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem.startswith("add-")], ids=lambda page: page.stem
)
guides = pytest.mark.parametrize(
    "page", [page for page in PAGES if not page.stem.startswith("add-")], ids=lambda page: page.stem
)


def test_the_index_links_every_page() -> None:
    assert sorted(set(links(INDEX)) - {ROOT / "CONTRIBUTING.md"}) == PAGES


@pages
def test_every_path_and_every_test_that_is_named_is_there(page: Path) -> None:
    assert missing(page) == []


@pages
def test_every_name_of_the_code_that_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    named = [name for span in spans(text) for name in re.findall(r"^(?!.*\.(?:md|py)$)([A-Za-z_][\w.]*)", span)]
    parts = {part for name in named for part in name.split(".") if re.search(r"_|[a-z][A-Z]|^[A-Z]", part)}
    assert parts - EXAMPLES - ELSEWHERE - words_of_code() == set()


@checklists
def test_it_has_numbered_steps_and_ends_with_the_commands_that_check_them(page: Path) -> None:
    title, steps, check = re.split(r"^## (?:Steps|Check)\n", page.read_text(), flags=re.MULTILINE)
    assert title.startswith("# Add ")
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", steps, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    commands = check.strip("\n").splitlines()
    assert all(command.startswith("    .venv/bin/") for command in commands)
    assert any("pytest" in command for command in commands)
    assert any("make lint" in command for command in commands)


@guides
def test_a_guide_has_numbered_steps_and_ends_with_commands_that_exist(page: Path) -> None:
    _, steps, check = re.split(r"^## (?:Steps|Check)\n", page.read_text(), flags=re.MULTILINE)
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", steps, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) != []
    words = [command.split() for command in check.strip("\n").splitlines()]
    assert all(command.startswith("    ") for command in check.strip("\n").splitlines())
    assert {name for program, name, *_ in words if program == "auditwatch"} <= set(COMMANDS)
    assert {program for program, *_ in words} <= {"auditwatch", "logrotate"}


def test_the_guide_to_rotation_explains_every_word_of_the_configuration_that_is_shipped() -> None:
    shipped = (ROOT / "deploy/logrotate/auditwatch").read_text()
    text = (INDEX.parent / "rotate.md").read_text()
    named = set(re.findall(r"^    (?:# )?([a-z]+)(?: \S+)?$", shipped, re.MULTILINE))
    assert {"nocreate", "dateext", "delaycompress", "rotate", "postrotate"} <= named
    explained = {span.split()[0] for span in spans(text)}
    assert {"nocreate", "dateext", "delaycompress", "notifempty", "rotate", "copytruncate", "create"} <= explained
