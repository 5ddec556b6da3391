"""The decisions: numbered without gaps, all of one form, all in the index; what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contracts.pages import ROOT, missing

INDEX = ROOT / "docs/decisions/README.md"
RECORDS = sorted(set(INDEX.parent.glob("*.md")) - {INDEX})
HEADINGS = ["Context", "Decision", "Measured", "What gives way, and what was rejected", "What would reopen it"]
ROWS = re.findall(r"^\| \[(\d{4})\]\(([\w-]+\.md)\) \| ([^|]+) \| ([^|]+) \|$", INDEX.read_text(), re.MULTILINE)

records = pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)


def test_numbers_run_from_1_without_gaps() -> None:
    assert [path.name[:5] for path in RECORDS] == [f"{number:04}-" for number in range(1, len(RECORDS) + 1)]
    assert len(RECORDS) >= 12


def test_the_index_lists_every_record_by_its_title() -> None:
    titles = [path.read_text().splitlines()[0].removeprefix(f"# {path.name[:4]}: ") for path in RECORDS]
    listed = [row[:3] for row in ROWS]
    assert listed == [(path.name[:4], path.name, title) for path, title in zip(RECORDS, titles, strict=True)]


@records
def test_a_record_says_when_and_has_its_five_sections(record: Path) -> None:
    text = record.read_text()
    assert re.search(r"^Decided 20\d\d-\d\d-\d\d(?: and \d\d)?, commits? `[0-9a-f]{7}`", text, re.MULTILINE)
    title, *sections = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    assert title.startswith(f"# {record.name[:4]}: ")
    assert sections[::2] == HEADINGS
    assert all(section.strip() for section in sections[1::2])


@records
def test_everything_that_a_record_names_is_there(record: Path) -> None:
    assert missing(record) == []
    assert missing(INDEX) == []


def figures(text: str) -> set[str]:
    """Numbers with a decimal point or a comma, which are measurements and not names."""
    return set(re.findall(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d,])|(?<![\w.,])\d+\.\d+(?![\w.])", text))


@records
def test_a_figure_that_names_a_page_as_its_source_is_on_that_page(record: Path) -> None:
    for point in re.split(r"\n(?=- )|\n\n", record.read_text()):
        source = re.search(r"\(`(benchmarks/RESULTS\.md|docs/\w+\.md)`\)", point)
        if source:
            page = (ROOT / source[1]).read_text()
            assert [figure for figure in figures(point) if figure not in page] == []
