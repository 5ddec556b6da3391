"""The pictures of docs/architecture.md, drawn from the code.

`python -m tests.contracts.pictures` draws them into the document again.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from auditwatch.ledger import effects, events

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "architecture.md"
LEDGER: Final = ROOT / "auditwatch" / "ledger"
WIDTH: Final = 76


def floors() -> str:
    """The layers that `lint-imports` enforces, each a row of rooms that are strangers to one another."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = [[room.strip().removeprefix("auditwatch.") for room in layer.split("|")] for layer in layers]
    drawn = [_edge(rows[0])]
    for row, below in zip(rows, [*rows[1:], rows[-1]], strict=True):
        drawn += ["|" + "|".join(f" {room:<{width - 1}}" for room, width in _widths(row)) + "|", _edge(row, below)]
    return "\n".join(drawn)


def _widths(row: list[str]) -> list[tuple[str, int]]:
    free = WIDTH - 1 - len(row)
    return [(room, free // len(row) + (place < free % len(row))) for place, room in enumerate(row)]


def _edge(*rows: list[str]) -> str:
    edge = ["-"] * WIDTH
    for row in rows:
        at = 0
        for _, width in _widths(row):
            edge[at] = "+"
            at += width + 1
        edge[at] = "+"
    return "".join(edge)


def loop() -> str:
    """Each event, the module of the ledger that decides it, what that can ask for, and the event that answers."""
    modules = _imported("advance")
    rows = [("event", "decided in", "may ask for")]
    rows += [(event, modules[name], ", ".join(_asked(modules[name], name))) for event, name in _cases()]
    rows += [("", "", ""), ("effect", "", "answered by"), *((effect, "", answer) for effect, answer in _answers())]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = (
        f"{left:<{first}}  {'-->' if middle and middle != 'decided in' else '   '}  {middle:<{second}}"
        f"  {'-->' if left not in ('', 'event', 'effect') else '   '}  {right}"
        for left, middle, right in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _cases() -> Iterator[tuple[str, str]]:
    """Names of an event and of the function that `advance` hands it to."""
    known = [event.__name__ for event in get_args(events.Event)]
    for node in ast.walk(ast.parse((LEDGER / "advance.py").read_text())):
        if isinstance(node, ast.match_case):
            event = ast.unparse(node.pattern).removesuffix("()")
            assert event in known
            yield event, next(name for name in _called(node))


def _called(node: ast.AST) -> Iterator[str]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            yield call.func.id


def _imported(module: str) -> dict[str, str]:
    """Where the names come from that a module of the ledger imports from others."""
    tree = ast.parse((LEDGER / f"{module}.py").read_text())
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom) and "ledger" in (node.module or "")]
    return {name.name: (node.module or "").rpartition(".")[2] for node in nodes for name in node.names}


def _asked(module: str, function: str) -> list[str]:
    """Effects that a function makes, itself or by functions that it uses of its own module or of `wanted`."""
    homes = _imported(module)
    functions = {
        node.name: node
        for node in ast.parse((LEDGER / f"{module}.py").read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    reached, ahead = set[str](), [function]
    while ahead:
        name = ahead.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in functions:  # functions are handed over, too
            ahead += [node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)]
        elif homes.get(name) == "wanted":
            reached.add("Read")
    return [effect.__name__ for effect in get_args(effects.Effect) if effect.__name__ in reached]


def _answers() -> Iterator[tuple[str, str]]:
    """What each effect is answered with, as its docstring names it."""
    for effect in get_args(effects.Effect):
        answer = re.search(r"answer with `(\w+)`", effect.__doc__ or "")
        yield effect.__name__, answer[1] if answer else "nothing: what is stored is shown"


PICTURES: Final = {"floors": floors, "loop": loop}


def drawn_into(document: str) -> str:
    """The document with today's pictures."""
    for name, draw in PICTURES.items():
        pattern = rf"(<!-- picture: {name} -->\n```text\n).*?(```)"
        document = re.sub(
            pattern, lambda match, draw=draw: match[1] + draw() + "\n" + match[2], document, flags=re.DOTALL
        )
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(drawn_into(DOCUMENT.read_text()))
