"""The glossary: every term is a package, a module, a class, a member, a function or a metric that is there."""

from __future__ import annotations

import importlib
import re
from enum import Enum
from types import ModuleType
from typing import Any

import pytest

from auditwatch.web.metrics import ALL_METRICS
from tests.contracts.pages import ROOT, missing

PAGE = ROOT / "docs/glossary.md"
ROWS = re.findall(r"^\| ([^|`]+) \| ([^|]+) \| (`[^|]+`) \|$", PAGE.read_text(), re.MULTILINE)
METRICS = {metric.name for metric in ALL_METRICS}
ELSEWHERE = {"Kind": "defects.md", "Violation": "defects.md"}
"""Enumerations whose members have a page of their own."""

rows = pytest.mark.parametrize(("term", "meaning", "code"), ROWS, ids=[term for term, _, _ in ROWS])


def resolved(name: str) -> Any:
    """What a dotted name below the package means; an attribute of a frozen value counts by its annotation."""
    found: Any = importlib.import_module("auditwatch")
    for part in name.split("."):
        found = inside(found, part)
    return found


def inside(place: Any, part: str) -> Any:
    if isinstance(place, ModuleType) and not hasattr(place, part):
        return importlib.import_module(f"{place.__name__}.{part}")
    return place.__annotations__[part] if part in getattr(place, "__annotations__", {}) else getattr(place, part)


def test_every_row_of_the_page_is_read() -> None:
    assert len(ROWS) == PAGE.read_text().count("\n| ") - PAGE.read_text().count("\n| term |")
    assert len({term for term, _, _ in ROWS}) == len(ROWS) > 80


@rows
def test_a_term_is_where_the_page_says(term: str, meaning: str, code: str) -> None:
    for name in re.findall(r"`([^`]+)`", code):
        assert name in METRICS or resolved(name) is not None


@rows
def test_a_closed_set_is_named_in_full(term: str, meaning: str, code: str) -> None:
    for name in re.findall(r"`([^`]+)`", code):
        found = None if name in METRICS else resolved(name)
        if isinstance(found, type) and issubclass(found, Enum) and found.__name__ not in ELSEWHERE:
            assert {member.value for member in found} <= set(re.findall(r"`(\w+)`", meaning))


@rows
def test_a_meaning_is_a_sentence_or_two(term: str, meaning: str, code: str) -> None:
    assert meaning.endswith(".")
    assert len(meaning) <= 220


def test_terms_are_in_order_in_each_section() -> None:
    for section in PAGE.read_text().split("\n## ")[1:]:
        terms = re.findall(r"^\| ([^|`]+) \| .* \| `", section, re.MULTILINE)
        assert terms == sorted(terms)


def test_its_links_lead_somewhere() -> None:
    assert missing(PAGE) == []
