"""The checklists: what they name is there, and each has its steps and its check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contracts.pages import ROOT, links, missing, spans, words_of_code

INDEX = ROOT / "docs/howto/README.md"
PAGES = sorted(set(INDEX.parent.glob("*.md")) - {INDEX})

EXAMPLES = {"trail_unlisted_lines", "not_a_number", "read_bytes", "Noted", "kinds"}
"""What the checklists add: the one thing they name that is not there."""

ELSEWHERE = {"gridPos", "_bytes", "_seconds", "_ratio", "_timestamp_seconds", "_total"}
"""Words of another program, and ends of words."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def test_the_index_links_every_checklist() -> None:
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


@pages
def test_it_has_numbered_steps_and_ends_with_the_commands_that_check_them(page: Path) -> None:
    title, steps, check = re.split(r"^## (?:Steps|Check)\n", page.read_text(), flags=re.MULTILINE)
    assert title.startswith("# Add ")
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", steps, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    commands = check.strip("\n").splitlines()
    assert all(command.startswith("    .venv/bin/") for command in commands)
    assert any("pytest" in command for command in commands)
    assert any("make lint" in command for command in commands)
