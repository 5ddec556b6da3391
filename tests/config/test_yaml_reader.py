"""YAML without surprises."""

from __future__ import annotations

import itertools

import pytest

from auditwatch.config.yaml_reader import read_yaml


@pytest.mark.parametrize(
    "text",
    ["off", "on", "yes", "no", "1:30", "0100", "0x10", "0o17", "1_000", ".inf", ".nan", "2024-01-01", "1e", "<<"],
)
def test_what_looks_like_text_stays_text(text: str) -> None:
    assert read_yaml(f"key: {text}".encode()).value == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-12", -12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
    ],
)
def test_null_booleans_decimal_integers_and_floats_are_what_they_are(text: str, value: object) -> None:
    document = read_yaml(f"key: {text}".encode())
    assert (document.value, document.problems) == ({"key": value}, [])


def test_an_integer_is_no_float_and_a_boolean_no_integer() -> None:
    assert repr(read_yaml(b"[1, 1.0, true]").value) == "[1, 1.0, True]"


def test_quotes_make_text() -> None:
    assert read_yaml(b"""["1", 'true', "null"]""").value == ["1", "true", "null"]


def test_a_key_twice_is_a_problem_that_names_both_lines() -> None:
    (problem,) = read_yaml(b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n").problems
    assert (problem.line, problem.path, problem.message) == (
        5,
        ("b", "c"),
        "appears twice, first in line 3; remove one of them",
    )


def test_every_value_knows_its_line() -> None:
    document = read_yaml(b"a:\n  b:\n    - 1\n    - c: 2\n")
    assert [document.line(path) for path in [("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "c")]] == [1, 2, 4, 4]


def test_an_unknown_place_has_the_line_of_what_is_around_it() -> None:
    assert read_yaml(b"\na:\n  b: 1\n").line(("a", "missing", 3)) == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (b"a: [\n", 2, "is not YAML"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: 1\n---\nb: 2\n", 2, "another document"),
        (b"a: *nowhere\n", 1, "alias"),
        (b"a: \x00", 1, "is not YAML"),
        (b"1: x\n", 1, "a key must be text"),
        (b"? [a]\n: b\n", 1, "a key must be text"),
        (b"a: !!python/object:os.system x\n", 1, "has a tag"),
        (b"a: !!int abc\n", 1, "has a tag"),
        (b"[" * 5000, 1, "nested too deeply"),
        (b"a: &a [*a]\n", 1, "nested too deeply"),
    ],
)
def test_a_hostile_or_broken_file_is_one_problem_with_its_line(text: bytes, line: int, words: str) -> None:
    (problem,) = read_yaml(text).problems
    assert problem.line == line
    assert words in problem.message


def test_aliases_of_aliases_end_early() -> None:
    names = "abcdefghijkl"
    layers = "\n".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in itertools.pairwise(names))
    document = read_yaml(f"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n{layers}".encode())
    assert "aliases" in document.problems[0].message
    assert len(document.lines) < 101_000


def test_an_alias_is_read_as_what_it_names() -> None:
    assert read_yaml(b"a: &x {every: 1d}\nb: *x\n").value == {"a": {"every": "1d"}, "b": {"every": "1d"}}


def test_nothing_is_nothing() -> None:
    document = read_yaml(b"# only a comment\n")
    assert (document.value, document.problems) == (None, [])
