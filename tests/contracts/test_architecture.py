"""The architecture document is the house as it stands: every module, and pictures drawn from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contracts.pictures import DOCUMENT, PICTURES, drawn_into

PACKAGE = Path(__file__).parents[2] / "auditwatch"
TEXT = DOCUMENT.read_text()
ROOMS = dict(re.findall(r"^\| `([\w/]+)/` \| .+? \| (.*) \|$", TEXT, re.MULTILINE))


def modules(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}


def test_the_table_has_a_row_for_every_package() -> None:
    packages = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py")} - {"."}
    assert set(ROOMS) == packages


@pytest.mark.parametrize("package", ROOMS)
def test_a_row_names_the_modules_of_its_folder(package: str) -> None:
    named = re.findall(r"`(\w+)`", ROOMS[package])
    assert sorted(named) == sorted(modules(PACKAGE / package))


def test_modules_beside_the_packages_are_named() -> None:
    (beside,) = re.findall(r"^Beside the packages: (.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)`", beside)) == modules(PACKAGE) - {"_version"}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_has_its_place(name: str) -> None:
    assert TEXT.count(f"<!-- picture: {name} -->\n```text\n") == 1


def test_the_pictures_are_those_of_the_code() -> None:
    assert drawn_into(TEXT) == TEXT, "python -m tests.contracts.pictures draws them again"
