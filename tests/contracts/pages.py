"""What a page of documentation names: paths, tests, and words of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("auditwatch", "benchmarks", "fuzz", "tests")
_SUFFIXES = r"\.(?:py|md|yml|json|toml|sh|service|html|js|css)"
_PLACEHOLDER = re.compile(r"\b(?:NAME|NNNN)\b")


def spans(text: str) -> list[str]:
    """Everything in backticks, blocks of code left out."""
    return re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def named_paths(text: str) -> Iterator[str]:
    """Paths from the root of the repository that a page names, in backticks or in the commands of its blocks."""
    words = [word for span in spans(text) for word in span.split()]
    words += [word for line in text.splitlines() if "pytest" in line for word in line.strip(" `").split()]
    for word in words:
        path = word.strip("`,;:()").partition("::")[0].rstrip(".")
        if _is_path(path) and not _PLACEHOLDER.search(path):
            yield path


def _is_path(word: str) -> bool:
    first = word.partition("/")[0]
    is_below = "/" in word and (ROOT / first).is_dir() and bool(first)
    return bool(re.fullmatch(r"[\w./-]+", word)) and (is_below or bool(re.fullmatch(rf"[\w./-]+{_SUFFIXES}", word)))


def links(page: Path) -> list[Path]:
    """Files that a page links to."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    return [(page.parent / target).resolve() for target in targets if "://" not in target]


def missing(page: Path) -> list[str]:
    """Paths and tests that a page names, and files it links to, that are not there."""
    text = page.read_text()
    absent = [path for path in named_paths(text) if not (ROOT / path).exists() and not (page.parent / path).exists()]
    absent += [str(target) for target in links(page) if not target.exists()]
    return absent + [name for name in re.findall(r"\b(test_\w+)\b(?!\.py|/)", text) if name not in tests()]


@cache
def tests() -> frozenset[str]:
    """The name of every test."""
    paths = (ROOT / "tests").rglob("*.py")
    return frozenset(name for path in paths for name in re.findall(r"\bdef (test_\w+)", path.read_text()))


@cache
def words_of_code() -> frozenset[str]:
    """Every word in the package, in what is beside it and in the alerts, and the names of all modules."""
    paths = [*(ROOT / "alerts").glob("*.yml"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
    text = "\n".join(path.read_text() for path in paths)
    return frozenset(re.findall(r"\w+", text)) | {path.stem for path in paths}
