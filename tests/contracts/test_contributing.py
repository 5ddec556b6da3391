"""What contributors read: every path is there, every fault has its test file, every variable is one that tests read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditwatch import __version__
from auditwatch.config.keys import DEFAULT_LISTEN_ADDRESS
from tests.contracts.pages import ROOT, links, missing

PAGES = ["CONTRIBUTING.md", "SECURITY.md", "RELEASING.md"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def section(title: str) -> str:
    return CONTRIBUTING.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("page", PAGES)
def test_everything_that_is_named_is_there(page: str) -> None:
    assert missing(ROOT / page) == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "RELEASING.md"])
def test_every_target_of_make_is_one(page: str) -> None:
    named = set(re.findall(r"`make ([\w.-]+)|^\$ make (\w+)", (ROOT / page).read_text(), re.MULTILINE))
    targets = {first or second for first, second in named if not (first or second).startswith(".venv")}
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)] == []


def test_every_failure_mode_is_in_the_table_from_fault_to_test() -> None:
    named = set(re.findall(r"`(tests/\w+/test_\w+\.py)`", section("Which test shows which fault")))
    folders = ("damage", "agent", "faults", "salvage")
    assert {
        str(path.relative_to(ROOT)) for name in folders for path in (ROOT / "tests" / name).glob("test_*.py")
    } == named


def test_every_folder_of_tests_is_named_or_mirrors_a_package() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("**/test_*.py"))}
    packages = {path.stem for path in (ROOT / "auditwatch").iterdir()}
    assert {name for name in folders - packages if f"`tests/{name}/`" not in section("Running tests")} == set()


def test_the_variables_are_those_that_tests_read() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    read = set(re.findall(r'os\.environ\.get\("(AUDITWATCH_\w+)"', code))
    assert set(re.findall(r"`(AUDITWATCH_\w+)=", section("What tests promise"))) == read


def test_the_test_that_is_named_by_a_word_is_one() -> None:
    file, word = re.findall(r"pytest -q (tests/\S+) -k (\w+)", CONTRIBUTING)[0]
    assert re.search(rf"def test_\w*{word}", (ROOT / file).read_text())


def test_the_example_of_a_first_change_leads_to_its_place() -> None:
    words = re.findall(r'grep -rn "([^"]+)" auditwatch` leads\s+to `([^`]+)`', CONTRIBUTING)
    ((searched, place),) = words
    found = [path for path in (ROOT / "auditwatch").rglob("*.py") if searched in path.read_text()]
    assert found == [ROOT / place]


def test_the_page_on_security_says_where_the_agent_listens() -> None:
    assert f"`{DEFAULT_LISTEN_ADDRESS}`" in (ROOT / "SECURITY.md").read_text()


def test_a_release_has_one_place_for_its_version_and_a_changelog_that_goes_on() -> None:
    text = "\n".join(path.read_text() for path in Path(ROOT / "auditwatch").rglob("*.py"))
    assert text.count(f'"{__version__}"') == 1
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_or_the_index_leads_to_each_page() -> None:
    linked = {*links(ROOT / "README.md"), *links(ROOT / "docs/README.md"), *links(ROOT / "CONTRIBUTING.md")}
    assert {ROOT / page for page in PAGES} <= linked
