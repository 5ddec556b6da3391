"""Functions fit a hand: the sizes of all bodies in the package, as the contributors' page promises them."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "auditwatch"


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def sizes() -> Iterator[tuple[int, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield body_lines(node), f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"


def test_functions_fit_a_hand() -> None:
    found = sorted(sizes())
    lines = [size for size, _ in found]
    assert len(lines) > 300
    assert statistics.median(lines) <= 6
    assert lines[int(len(lines) * 0.9)] <= 20
    assert found[-1][0] <= 50, found[-1]
