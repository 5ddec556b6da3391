"""What is wrong with a line, by native code where it was built and by Python: both say the same of every line."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge import depth, grammar
from auditwatch.trail.judge import explain as explaining
from auditwatch.trail.judge.native import NATIVE
from auditwatch.trail.rules import MAX_DEPTH, Rules
from tests.trail.judge.test_kinds_twice import SCRAPS, small_trail
from tests.trail.judge.test_sieves import VECTORS, mutated

RULES = Rules(max_line_bytes=700)


@contextmanager
def explained_by(native: object) -> Iterator[None]:
    """Within this context the native code is this one, or there is none; nothing is remembered from before."""
    grammar.walk_value.cache_clear()
    explaining._misplaced_head.cache_clear()
    with (
        mock.patch.object(grammar, "NATIVE", native),
        mock.patch.object(depth, "NATIVE", native),
        mock.patch.object(explaining, "NATIVE", native),
    ):
        yield


def said_of(line: bytes) -> tuple[object, ...]:
    walks = [grammar.walk_value(line, at) for at in (0, len(line) // 2)]
    heads = [
        explaining._misplaced_head(line, walk.start, len(line) if walk.error is None else walk.error) for walk in walks
    ]
    levels = depth.too_deep(line), depth.is_unbalanced(line)
    return explaining.explain(line, RULES), explaining.records_inside(line), levels, walks, heads


def differently_explained(lines: list[bytes]) -> list[bytes]:
    with explained_by(NATIVE):
        one = [said_of(line) for line in lines]
    with explained_by(None):
        other = [said_of(line) for line in lines]
    return [line for line, first, second in zip(lines, one, other, strict=True) if first != second]


def test_vectors_are_explained_alike() -> None:
    assert differently_explained(VECTORS) == []


@given(SCRAPS)
def test_scraps_are_explained_alike(line: bytes) -> None:
    assert differently_explained([line]) == []


@given(st.binary(max_size=40))
def test_any_bytes_are_explained_alike(line: bytes) -> None:
    assert differently_explained([line]) == []


@pytest.mark.parametrize("seed", range(8))
def test_mutated_lines_are_explained_alike(seed: int) -> None:
    source = random.Random(seed)
    assert differently_explained([mutated(source, [*small_trail(), *VECTORS]) for _ in range(400)]) == []


@pytest.mark.parametrize("at", range(3))
def test_every_cut_and_flipped_line_is_explained_alike(at: int) -> None:
    line = [*small_trail()[:3]][at]
    cuts = [line[:end] for end in range(len(line))] + [line[start:] for start in range(len(line))]
    flips = [line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :] for at in range(len(line)) for bit in range(8)]
    assert differently_explained(cuts + flips + [cut + line for cut in cuts]) == []


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 4096, 4097, 9000])
@pytest.mark.parametrize("nest", [lambda n: b"[" * n + b"]" * n, lambda n: b'{"":' * n + b"0" + b"}" * n, b"[".__mul__])
def test_deep_lines_are_explained_alike(levels: int, nest: Callable[[int], bytes]) -> None:
    assert differently_explained([nest(levels), nest(levels) + b"]", b'{"a":"x{"b":' + nest(levels) + b"}"]) == []


@pytest.mark.parametrize(("name", "arguments"), [("value", (3,)), ("value", (-1,)), ("head", (0, 3)), ("head", (3, 0))])
def test_offsets_outside_the_line_are_refused(name: str, arguments: tuple[int, ...]) -> None:
    if NATIVE is not None:
        with pytest.raises(ValueError, match="not in the buffer"):
            getattr(NATIVE, name)(b"{}", *arguments)
