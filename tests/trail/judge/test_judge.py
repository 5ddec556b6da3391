"""The judge: the right kind for a line, from its bytes and the rules alone."""

from __future__ import annotations

import itertools
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.causes import CAUSES
from auditwatch.trail.judge.field_types import lacks_required
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import MAX_LINE_BYTES, FieldType, Rules

SUITE = Path(__file__).parents[3].parent / "shared" / "data" / "JSONTestSuite"
JUDGE = Judge(Rules())
STRICT = Judge(Rules(strict=True))


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"{}", None),
        (b' {"a":1}\t\r', None),
        (b'{"a":"\\ud800"}', None),
        (b'{"\\udc00":1}', None),
        (b'{"a":1e400,"b":' + b"9" * 5000 + b"}", None),
        (b'{"a":1,"a":2}', None),
        ('{"a":"é漢😀"}'.encode(), None),
        (b"", Kind.BLANK),
        (b" \t\r", Kind.BLANK),
        (b"\x0c", Kind.INVALID_JSON),
        (b'\xef\xbb\xbf{"a":1}', Kind.BYTE_ORDER_MARK),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}', Kind.BYTE_ORDER_MARK),
        (b'\xef\xbb\xbf{"a":', Kind.TORN),
        (b"\xef\xbb\xbf", Kind.BLANK),
        (b'\x00\x00{"a":1}', Kind.NUL_BYTES),
        (b"[" * 600 + b"\x00", Kind.NUL_BYTES),
        (nested(512), None),
        (nested(513), Kind.TOO_DEEP),
        (b"[" * 513, Kind.TOO_DEEP),
        (b"[" * 512, Kind.TORN),
        (b"]" * 600 + b"[" * 513, Kind.TOO_DEEP),
        (b'{"a":"' + b"[" * 5000 + b'"}', None),
        (b"[][]" * 400, Kind.INVALID_JSON),
        (b"[1]", Kind.NOT_OBJECT),
        (b"12", Kind.NOT_OBJECT),
        (b"null", Kind.NOT_OBJECT),
        (b'{"a":1}{"b":2}', Kind.CONCATENATED),
        (b'{"a":1} {} \t{"b":{"c":[]}}\r', Kind.CONCATENATED),
        (b'{"a":1}{"b":2', Kind.INTERLEAVED),
        (b'{"a":1}{"b":2}x', Kind.INTERLEAVED),
        (b'{"a":"x{"b":1}', Kind.INTERLEAVED),
        (b'{"a":"x{ "b" : 1}', Kind.INTERLEAVED),
        (b'{"a":12{"b":1}', Kind.INTERLEAVED),
        (b'{"a":1.{"b":1}', Kind.INTERLEAVED),
        (b'{"a":tr{"b":1}', Kind.INTERLEAVED),
        (b'{"a":"\\{"b":1}', Kind.INTERLEAVED),
        (b'{"a":"\\u00{"b":1}', Kind.INTERLEAVED),
        (b'{"a":1,{"b":1}', Kind.INTERLEAVED),
        (b'{{"b":1}', Kind.INTERLEAVED),
        (b'{"a":{"b":1}', Kind.TORN),
        (b'PPROVED", "x": 1}', Kind.TORN),
        (b'"x": {"y": 1}}', Kind.TORN),
        (b'{"a":"\xe6\xbc', Kind.TORN),
        (b"}{", Kind.TORN),
        (b'{"a":"caf\xe9"}', Kind.INVALID_UTF8),
        (b'{"a":"\xed\xa0\x80"}', Kind.INVALID_UTF8),
        (b'{"a":"\xc0\xaf"}', Kind.INVALID_UTF8),
        (b'{"a":NaN}', Kind.INVALID_JSON),
        (b'{"a":-Infinity}', Kind.INVALID_JSON),
        (b"{'a':1}", Kind.INVALID_JSON),
        (b'{"a":1,}', Kind.INVALID_JSON),
        (b'{"a":01}', Kind.INVALID_JSON),
        (b'{"a":"\x01"}', Kind.INVALID_JSON),
        (b"START", Kind.INVALID_JSON),
    ],
)
def test_a_line_has_the_first_kind_that_matches(line: bytes, kind: Kind | None) -> None:
    assert JUDGE.kind_of(line) == kind


def test_the_two_spliced_lines_of_the_origin_are_interleaved_and_torn() -> None:
    first = b'{"event": "TRADE_A{"event": "KILL_SWITCH", "details": {"reason": "drawdown", "limit": 0.1}}'
    second = b'PPROVED", "details": {"symbol": "BTC-USD", "quantity": 0.5}}'
    assert [JUDGE.kind_of(first), JUDGE.kind_of(second)] == [Kind.INTERLEAVED, Kind.TORN]


def test_a_line_may_have_exactly_max_line_bytes() -> None:
    line = b'{"a":"' + b"x" * (MAX_LINE_BYTES - 8) + b'"}'
    assert [JUDGE.kind_of(line), JUDGE.kind_of(line + b" ")] == [None, Kind.OVERSIZE]


def test_a_small_limit_is_kept_for_short_lines_too() -> None:
    judge = Judge(Rules(max_line_bytes=8))
    assert [judge.kind_of(b'{"a":12}'), judge.kind_of(b'{"a":123}')] == [None, Kind.OVERSIZE]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b'{"a":1,"a":2}', Kind.DUPLICATE_KEY),
        (b'{"a":1,"\\u0061":2}', Kind.DUPLICATE_KEY),
        (b'{"x":[{"a":1},{"b":{"c":1,"c":1}}]}', Kind.DUPLICATE_KEY),
        (b'{"x":[{"a":1},{"a":2}],"a":3}', None),
        (b'{"a":"a\\":","b":"a\\":"}', None),
        (b'{"a":{"a":{"a":1}}}', None),
        (b'{"a":1,"a":', Kind.TORN),
    ],
)
def test_strict_rules_find_a_key_twice_in_one_object(line: bytes, kind: Kind | None) -> None:
    assert STRICT.kind_of(line) == kind


GOOD_AND_BAD = {
    FieldType.STRING: ([b'"x"', b'"\\ud800"', b'""'], [b"1", b"null", b"[]"]),
    FieldType.INTEGER: ([b"1", b"-0", b"9" * 400], [b"1.0", b"1e2", b'"1"', b"true"]),
    FieldType.NUMBER: ([b"1", b"1.5", b"1e400", b"-" + b"9" * 5000], [b'"1"', b"true", b"null"]),
    FieldType.BOOLEAN: ([b"true", b"false"], [b"1", b'"true"', b"null"]),
    FieldType.OBJECT: ([b"{}", b'{"a":[1]}'], [b"[]", b"null"]),
    FieldType.ARRAY: ([b"[]", b'[1,{"a":2}]'], [b"{}", b'"[]"']),
    FieldType.ANY: ([b"null", b"[]", b'"x"'], []),
    FieldType.DATETIME: (
        [
            b'"2025-10-07T12:00:00Z"',
            b'"2025-10-07t12:00:00.123456789z"',
            b'"2024-02-29 23:59:60+23:59"',
            b'"2000-02-29T00:00:00-00:00"',
            b'"2025-10-07T12:00:00\\u005a"',
        ],
        [
            b'"2025-10-07T12:00:00"',
            b'"2025-10-07T12:00:00+0000"',
            b'"2025-02-29T12:00:00Z"',
            b'"1900-02-29T12:00:00Z"',
            b'"2025-10-07T24:00:00Z"',
            b'"2025-10-07T12:00:00.Z"',
            b'"2025-10-07T12:00:00Z\\n"',
            b'"2025-10-07"',
            b"1759838400",
        ],
    ),
    FieldType.DATETIME_NAIVE: ([b'"2025-10-07T12:00:00.5"'], [b'"2025-10-07T12:00:00Z"', b'"noon"']),
}


@pytest.mark.parametrize("kind", list(FieldType))
def test_a_required_field_has_its_type(kind: FieldType) -> None:
    good, bad = GOOD_AND_BAD[kind]
    judge = Judge(Rules(require=(("the field", kind),)))
    assert [judge.kind_of(b'{"a":[],"the field": ' + value + b"}") for value in good] == [None] * len(good)
    assert [judge.kind_of(b'{"the field":' + value + b"}") for value in bad] == [Kind.SCHEMA] * len(bad)


def test_a_missing_field_is_schema_and_the_last_of_two_counts() -> None:
    judge = Judge(Rules(require=(("a", FieldType.INTEGER),)))
    assert judge.kind_of(b'{"b":1}') == Kind.SCHEMA
    assert judge.kind_of(b'{"b":{"a":1}}') == Kind.SCHEMA
    assert judge.kind_of(b'{"a":"x","a":1}') is None
    assert judge.kind_of(b'{"a":1,"\\u0061":"x"}') == Kind.SCHEMA
    assert judge.kind_of(b'{"a":1,"\\u0061":1,"a":"x"}') == Kind.SCHEMA


def test_own_records_of_the_writer_are_exempt_from_required_fields() -> None:
    judge = Judge(Rules(require=(("user", FieldType.STRING),)))
    assert judge.kind_of(b'{"event":"auditwatch.recovered","_auditwatch":{"v":1,"kind":"recovered"}}') is None
    assert judge.kind_of(b'{"event":"x","_auditwatch":true}') == Kind.SCHEMA


def test_the_suite_of_json_vectors_is_judged_as_its_names_say() -> None:
    if not SUITE.is_dir():
        pytest.skip("NOT RUN: the JSON test suite is not beside this checkout")
    seen: Counter[str] = Counter()
    for path in SUITE.glob("*.json"):
        kind = JUDGE.kind_of(path.read_bytes())
        seen[path.name[0]] += 1
        if path.name.startswith("n_"):
            assert kind not in (None, Kind.NOT_OBJECT), path.name
        if path.name.startswith("y_"):
            assert kind in (None, Kind.NOT_OBJECT), path.name
    assert (seen["n"], seen["y"]) == (188, 95)


def at_stack_depth(levels: int, line: bytes) -> Kind | None:
    return JUDGE.kind_of(line) if levels == 0 else at_stack_depth(levels - 1, line)


@pytest.mark.parametrize("levels", [0, 300, 600, 800])
def test_the_verdict_does_not_depend_on_how_deep_the_caller_is(levels: int) -> None:
    levels = min(levels, sys.getrecursionlimit() - 200)
    assert at_stack_depth(levels, nested(512)) is None
    assert at_stack_depth(levels, nested(513)) == Kind.TOO_DEEP
    assert at_stack_depth(levels, nested(400) + nested(400)) == Kind.CONCATENATED


def is_whole_for_the_standard_library(line: bytes) -> bool:
    """A slow judge that shares nothing with ours: RFC 8259 through `json`, with what that lets pass forbidden."""

    def forbid(name: str) -> None:
        raise ValueError(name)

    try:
        text = line.decode("utf-8")
        value = json.loads(text, parse_constant=forbid, parse_int=str, parse_float=str)
    except ValueError:
        return False
    return isinstance(value, dict) and not text.startswith("\ufeff")


PIECES = st.sampled_from(
    [
        *[b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b'\\"', b"{}", b"[]", b'""', b'"a":', b'{"a":', b'"x"'],
        *[b'{"a":1}', b'{"event":"X","n":[1,2.5e3,{"k":null}]}', b"1", b"-", b"0", b".5", b"e9", b"1e400", b"true"],
        *[
            b"tru",
            b"null",
            b"NaN",
            b"\x00",
            b"\r",
            b" ",
            b"\t",
            b"\x0b",
            b"\xef\xbb\xbf",
            b"\\ud800",
            b"\\u00",
            b"\xc3",
        ],
        *[
            "é".encode(),
            "漢".encode(),
            b"\xff",
            b"\xed\xa0\x80",
            b"\xe2\x80\xa8",
            b"\x7f",
            b"\x1f",
            b"'",
            b"/",
            b"9" * 30,
        ],
    ]
)
LINES = st.one_of(
    st.lists(PIECES, max_size=12).map(b"".join),
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b" ")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


@given(LINES)
def test_an_independent_judge_agrees_on_whole_or_not(line: bytes) -> None:
    assert (JUDGE.kind_of(line) is None) == is_whole_for_the_standard_library(line)


@given(st.lists(LINES, max_size=8))
def test_lines_judged_together_get_the_verdicts_of_lines_judged_alone(lines: list[bytes]) -> None:
    alone = [(index, kind) for index, line in enumerate(lines) if (kind := JUDGE.kind_of(line))]
    assert list(JUDGE.damaged(lines)) == alone


@pytest.mark.parametrize("kind", list(Kind))
def test_the_example_of_each_kind_is_of_that_kind(kind: Kind) -> None:
    rules = Rules(require=(("timestamp", FieldType.DATETIME),)) if kind == Kind.SCHEMA else Rules(strict=True)
    example = CAUSES[kind].example
    assert example is not None
    assert Judge(rules).kind_of(example) == kind


OFFSETS = [
    "Z",
    "z",
    "+00:00",
    "-23:59",
    "+0000",
    "-0530",
    "+00",
    "",
    "+24:00",
    " Z",
    "+00:00:00",
    "-00\\u003a00",
    "+00\\u00300",
]
TIMES = ["12:00:00", "12:00:00.123456789", "23:59:60", "24:00:00", "12:00", "12:00:00.", "12:00:00,5", "120000"]
DAYS = ["2025-10-07T", "2025-02-29t", "2024-02-29 ", "0000-01-01T", "20251007T", "2025-10-7T", "2025\\u002d10-07T"]


@pytest.mark.parametrize("kind", [FieldType.DATETIME, FieldType.DATETIME_NAIVE])
def test_dates_are_what_the_pattern_says_whatever_the_decoder_takes_for_one(kind: FieldType) -> None:
    rules = Rules(require=(("t", kind),))
    dates = ["".join(parts) for parts in itertools.product(DAYS, TIMES, OFFSETS)]
    lines = [b'{"t":"%s","n":"-1234"}' % date.encode() for date in dates]
    lacking = [index for index, line in enumerate(lines) if lacks_required(line, rules.require)]
    assert 0 < len(lacking) < len(lines)
    assert list(Judge(rules).damaged(lines)) == [(index, Kind.SCHEMA) for index in lacking]
    assert [Judge(rules).kind_of(line) for line in lines] == [
        Kind.SCHEMA if index in set(lacking) else None for index in range(len(lines))
    ]
