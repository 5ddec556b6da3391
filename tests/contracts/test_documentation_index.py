"""The index of the documentation leads to every page of it, and every link on every page leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.pages import ROOT, links, missing

INDEX = ROOT / "docs/README.md"
PAGES = sorted(
    {
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "examples").glob("*.md"),
    }
)


def test_the_index_leads_to_every_page_at_once_or_by_the_index_of_its_folder() -> None:
    linked = {INDEX, *links(INDEX)}
    linked |= {
        page for index in linked if index.name == "README.md" and index != ROOT / "README.md" for page in links(index)
    }
    assert [page for page in (ROOT / "docs").rglob("*") if page.is_file() and page not in linked] == []


def test_the_readme_leads_to_the_index() -> None:
    assert INDEX in links(ROOT / "README.md")


def test_what_the_index_names_is_there() -> None:
    assert missing(INDEX) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not target.exists()] == []
