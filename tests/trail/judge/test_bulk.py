"""Many lines in one call: nothing passes that a slow judge would not pass line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.judge.pure import PureSieve
from auditwatch.trail.rules import MAX_DEPTH, FieldType, Rules
from tests.trail.judge.slow_judge import slow_kind

WHOLE = (
    b'{"event":"TRADE","tags":["a",[1,2.5e-3],{}],"none":null}\n'
    b' { "a" : [ ] , "b" : { "c" : "\\u00e9\\\\ {\\"" } }\t\r\n'
    b"{}\n"
    b'{"a":1,"b":[true,false],"n":{"m":[[{"k":"x,y"}]]}}\n'
)


def at_once(text: bytes, rules: Rules | None = None) -> int | None:
    return PureSieve(rules or Rules()).whole_lines(text)


def line_by_line(text: bytes) -> int | None:
    lines = text.split(b"\n")[:-1]
    return None if any(slow_kind(line) for line in lines) else len(lines)


def test_whole_lines_are_counted() -> None:
    assert at_once(WHOLE) == line_by_line(WHOLE) == 4


@pytest.mark.parametrize(
    "text",
    [
        b"{}{}\n\n",  # two damages that make up for each other: as many objects as newlines
        b"{},{}\n\n",
        b"{} {}\n\n",
        b'{},{}\n{"a":"x\ny"}\n',
        b'{},{}\n{"a":1\n"b":2}\n',
        b'{}{}\n{"a":\n1}\n',
        b'{}],[{}\n{"a":[[1\n2]]}\n',
        b'{}][{}\n{"a":[[1\n2]]}\n',
        b"{}]\n[{}\n",
        b"{}][{}\n]\n[{}\n",
        b'{"a":[{}\n{}]}\n{}][{}\n',
        b'{"a":[{}\n,{}]}\n{}][{}\n',
        b'{"a":"\n"}\n{}][{}\n',
        *[b"{}][{}\n", b"{}] [{}\n{}\n", b"{}][{}\n\n"],
        b"][{}\n{}][{}\n",
        b"{},{}\n",
        b"{}][\n",
        b'{},"x",{}\n{"a":[1\n2]}\n',
        b'{},"x"\n{"a":[1\n2]}\n',
        b'{},{}\n{"a":[1\n2]}\n',
        b'"x",{}\n{"a":[1\n2]}\n',
        b'{"a":[1\n2]}\n{},"x",{}\n',
        b'{"a":[1\n2]}\n"x",{}\n',
        b'{"a":[\n]}\n{}\n{}{}\n',
        b'{}{}\n{"a":\n}\n',
        b'{"a":\n}\n{} {}\n',
        b'{}"x"{}\n{"a":\n}\n',
        b'{} "0123456789abcdef" {}\n{"a":[\n]}\n',
        b'{"a":\n}\n"0123456789abcdef"{}\n',
        *[b"\n", b"\n\n", b" \n", b"{}\n\n", b"\n{}\n", b"[{}]\n", b"[{},{}]\n", b"1\n", b'"{}"\n', b"null\n{}\n"],
        *[
            b"{},\n",
            b"{},1\n",
            b",{}\n",
            b"{}\0\n",
            b"\xef\xbb\xbf{}\n",
            b'{"a":"\xff"}\n',
            b"{}\x0b\n",
            b'{"a":NaN}\n',
        ],
    ],
)
def test_what_only_looks_whole_in_the_sum_is_left_to_the_judge_of_lines(text: bytes) -> None:
    assert line_by_line(text) is None
    assert at_once(text) is None


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_no_byte_of_whole_lines_can_change_unseen(at: int) -> None:
    changed = {WHOLE[:at] + WHOLE[at + 1 :], WHOLE[:at] + b"\n" + WHOLE[at:]}
    changed |= {WHOLE[:at] + bytes([WHOLE[at] ^ 1 << bit]) + WHOLE[at + 1 :] for bit in range(8)}
    changed |= {WHOLE[:at] + byte + WHOLE[at + 1 :] for byte in (b"\n", b",", b"]", b"}", b"{", b'"')}
    for text in changed:
        if text.endswith(b"\n"):
            assert at_once(text) == line_by_line(text), text


TOKENS = st.sampled_from(
    [
        *[
            b"{}",
            b'{"a":1}',
            b'{"a":[1,{"b":[]}]}',
            b'{"a":',
            b'"b":2}',
            b'{"',
            b'"}',
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
        ],
        *[
            b"],[",
            b"][",
            b"][{",
            b"}][",
            b'"a"',
            b"1",
            b" ",
            b"\t",
            b"\r",
            b'\\"',
            b"\\",
            b"[[",
            b"]]",
            b"null",
            b'["a",{}]',
            b"[1",
        ],
    ]
)
TEXTS = st.lists(st.one_of(TOKENS, st.just(b"\n"), st.just(b"{}\n"), st.just(b'{"a":1}\n')), max_size=16).map(b"".join)


@given(TEXTS)
def test_any_text_is_whole_if_each_of_its_lines_is(text: bytes) -> None:
    assert at_once(text + b"\n") == line_by_line(text + b"\n")


@pytest.mark.parametrize(("levels", "lines"), [(MAX_DEPTH, 2), (MAX_DEPTH + 1, None)])
def test_a_line_among_others_may_nest_as_deep_as_alone(levels: int, lines: int | None) -> None:
    assert at_once(b'{}\n{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}\n") == lines


@pytest.mark.parametrize(("levels", "lines"), [(MAX_DEPTH, 2), (MAX_DEPTH + 1, None)])
def test_so_it_may_where_nothing_but_objects_nests(levels: int, lines: int | None) -> None:
    assert at_once(b"{}\n" + b'{"":' * (levels - 1) + b"{}" + b"}" * (levels - 1) + b"\n") == lines


@pytest.mark.parametrize(("longest", "lines"), [(40, 3), (39, None)])
def test_a_line_among_others_may_be_as_long_as_alone(longest: int, lines: int | None) -> None:
    assert at_once(b'{}\n{"a":"' + b"x" * 32 + b'"}\n{"a":"y"}\n', Rules(max_line_bytes=longest)) == lines


def test_required_fields_are_asked_of_every_line() -> None:
    rules = Rules(require=(("at", FieldType.DATETIME), ("n", FieldType.INTEGER)))
    good = b'{"at":"2025-10-07T12:00:00+00:00","n":1,"x":[1]}\n'
    assert at_once(good * 3, rules) == 3
    for bad in (good.replace(b"+00:00", b"+0000"), good.replace(b'"n":1', b'"n":"1"'), good.replace(b"at", b"to")):
        assert at_once(good + bad + good, rules) is None


DATES = [
    *[b"2025-10-07T12:00:00Z", b"2025-10-07T12:00:00.000001+00:00", b"2025-10-07T12:00:00-05:30"],
    *[b"2025-10-07T12:00:00+0000", b"2025-10-07T12:00:00-0530", b"2025-10-07T12:00:00+00", b"2025-10-07T12:00:00"],
    *[b"2025-10-07T12:00:00\\u002b0000", b"2025-10-07T12:00:00\\u002b00:00", b"2025-10-07T12:00:00+\\u0030000"],
    *[b"2025-13-07T12:00:00Z", b"2025-10-07", b"", b"now", b"\\u0032025-10-07T12:00:00Z", b"\xc3\xa9"],
    b"2025-10-07T12:00:00Z\\n2025-10-07T12:00:00Z",  # two dates in one string, three ways
    b'2025-10-07T12:00:00Z\\",\\"2025-10-07T12:00:00Z',
    b"2025-10-07T12:00:00Z\\u0022,\\u00222025-10-07T12:00:00Z",
    *[b"2025-10-07T12:00:00Z\\\\", b"2025-10-07T12:00:00Z\\n", b"\\n", b"2025-10-07T12:00:00Z "],
]


@pytest.mark.parametrize("date", DATES)
def test_a_date_among_others_is_none_that_it_is_not_alone(date: bytes) -> None:
    rules = Rules(require=(("at", FieldType.DATETIME), ("to", FieldType.DATETIME)))
    good = b'{"at":"2025-10-07T12:00:00Z","to":"2025-10-07T12:00:00+02:00"}\n'
    for line in (good.replace(b"2025-10-07T12:00:00Z", date), good.replace(b"2025-10-07T12:00:00+02:00", date)):
        whole = Judge(rules).kind_of(line[:-1]) is None
        assert at_once(good + line + good, rules) in ((3, None) if whole else (None,))


@given(st.lists(st.tuples(st.sampled_from(DATES), st.sampled_from(DATES[:3])), min_size=1, max_size=4))
def test_dates_that_pass_together_pass_alone(dates: list[tuple[bytes, bytes]]) -> None:
    rules = Rules(require=(("at", FieldType.DATETIME), ("to", FieldType.DATETIME)))
    lines = [b'{"to":"%s","at":"%s"}' % pair for pair in dates]
    if at_once(b"\n".join(lines) + b"\n", rules) is not None:
        assert [Judge(rules).kind_of(line) for line in lines] == [None] * len(lines)


@pytest.mark.parametrize("date", DATES[:3])
def test_usual_dates_are_judged_together(date: bytes) -> None:
    rules = Rules(require=(("at", FieldType.DATETIME),))
    assert at_once(b'{"at":"%s"}\n' % date * 3, rules) == 3


def test_after_damage_texts_are_judged_line_by_line_for_a_while() -> None:
    sieve = PureSieve(Rules())
    assert sieve.whole_lines(b"{}\n[]\n") is None
    tried = [sieve.whole_lines(b"{}\n") for _ in range(6)]
    assert tried[0] is None
    assert tried[-1] == 1
