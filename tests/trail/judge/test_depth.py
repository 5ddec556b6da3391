"""How deeply lines nest, found quickly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge.depth import may_be_too_deep, too_deep
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import MAX_DEPTH, Rules

TEXTS = st.text(st.sampled_from('[]{}"\\,:a \n'), max_size=12)
VALUES = st.recursive(TEXTS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner))


def nested(depth: int, inside: str) -> str:
    return '{"a":[' * (depth // 2) + inside + "]}" * (depth // 2)


@given(VALUES, st.integers(0, 20), st.integers(480, 540), st.booleans())
def test_the_quick_look_misses_no_line_that_is_too_deep(value: object, copies: int, depth: int, wide: bool) -> None:
    text = json.dumps(value)
    line = nested(depth, ",".join([text] * (1 + copies * (40 if wide else 1)))).encode()
    assert not too_deep(line) or list(may_be_too_deep([b"{}", line])) == [1]


@pytest.mark.parametrize("text", ['"]', "]}", "[[", '\\"]', "\\\\", '",[', ""])
def test_a_long_list_of_small_objects_needs_no_closer_look(text: str) -> None:
    line = json.dumps({"legs": [{"note": text, "n": [n]} for n in range(2000)]}).encode()
    assert list(may_be_too_deep([line])) == []
    assert Judge(Rules()).kind_of(line) is None


@pytest.mark.parametrize("text", ['"]', "]}", '\\"]', ""])
def test_brackets_in_strings_hide_no_depth(text: str) -> None:
    part = json.dumps(text) + ","
    line = b'{"a":' + (("[" + part) * MAX_DEPTH).encode() + b"1" + b"]" * MAX_DEPTH + b"}"
    assert Judge(Rules()).kind_of(line) is Kind.TOO_DEEP
