"""The page on robustness against the fault programme: suites, commands, known writers, tools."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.known_writers import WITHOUT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/robustness.md").read_text()
SUITES = sorted(path.relative_to(ROOT) for path in (ROOT / "tests/faults").glob("test_*.py"))
ROWS = dict(re.findall(r"^\| `(tests/faults/test_\w+\.py)` \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE))


def test_the_page_tells_of_every_suite_and_of_no_other() -> None:
    assert sorted(ROWS) == [str(suite) for suite in SUITES]


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_a_suite_catches_the_known_writers_that_the_page_says(suite: Path) -> None:
    text = (ROOT / suite).read_text()
    assert {fault for fault in WITHOUT if f'"{fault}"' in text} == set(ROWS[str(suite)].split("; "))


def test_together_the_suites_catch_all_known_writers() -> None:
    assert {fault for faults in ROWS.values() for fault in faults.split("; ")} == set(WITHOUT)


def test_whatever_the_page_names_is_there() -> None:
    for path, name in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", PAGE):
        assert f"def {name}" in (ROOT / path).read_text()
    assert re.search(r"^faults:.*\n\tAUDITWATCH_FAULTS=long ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_continuous_integration_installs_what_the_suites_need() -> None:
    needed = re.search(r"^What it needs: (.*?), and a kernel", PAGE, re.MULTILINE)
    assert needed is not None
    script = (ROOT / ".ci/run").read_text()
    assert [tool for tool in needed[1].split(", ") if f" {tool}" not in script] == []
    assert script.index("abilities.py") < script.index("apt-get install") < script.rindex("abilities.py")
