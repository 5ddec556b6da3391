"""One word, one meaning: a public name of a module is defined once in the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE = Path(__file__).parents[2] / "auditwatch"

TWICE: Final = {
    "command": "one file a command: what `auditwatch.cli.main` runs has this name in each of them",
    "main": "the entry of a module that is run: the command line, a worker, a producer of the demo",
    "open_trail": "files and writer are strangers: one opens for reading and refuses symlinks, one opens for appending",
}
"""Names that are defined more than once, each with its reason; five at the most."""


def public_names(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))


def defined() -> dict[str, set[str]]:
    places: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for name in public_names(ast.parse(path.read_text())):
            if not name.startswith("_"):
                places[name].add(str(path.relative_to(PACKAGE)))
    return places


def test_a_public_name_is_defined_once() -> None:
    assert {name: places for name, places in defined().items() if len(places) > 1 and name not in TWICE} == {}


def test_every_exception_is_one() -> None:
    places = defined()
    assert [name for name in TWICE if len(places[name]) < 2] == []
    assert len(TWICE) <= 5
