"""Sieves against the slow judge: none may pass a line that is not whole, and each passes what is.

The pure one and, where it was built, the native one with each set of vector instructions that this processor has.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from types import SimpleNamespace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge import native
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.judge.native import NATIVE, NATIVE_VERSION, NativeSieve, judge_in_use
from auditwatch.trail.judge.pure import PureSieve
from auditwatch.trail.judge.sieve import Sieve, sieve_for
from auditwatch.trail.limits import MAX_DEPTH
from auditwatch.trail.rules import FieldType, Rules
from tests.trail.judge.slow_judge import slow_kind
from tests.trail.judge.test_kinds_twice import SCRAPS, small_trail
from tests.trail.vectors import NOT_OBJECTS, REJECTED, ROOT, WHOLE, suite

RULES: Final = Rules(max_line_bytes=700)
SOURCE: Final = ROOT / "auditwatch" / "trail" / "judge" / "_native.c"


def instructions() -> list[str]:
    return [] if NATIVE is None else NATIVE.INSTRUCTIONS


def natives(rules: Rules) -> list[NativeSieve]:
    """The native sieve with each set of instructions; none where it was not built."""
    return [NativeSieve(rules, name) for name in instructions()]


def _native_with(name: str) -> Callable[[Rules], Sieve]:
    return lambda rules: NativeSieve(rules, name)


SIEVES: Final[dict[str, Callable[[Rules], Sieve]]] = {
    "pure": PureSieve,
    **{name: _native_with(name) for name in instructions()},
}

each_sieve = pytest.mark.parametrize("sieve", [make(RULES) for make in SIEVES.values()], ids=list(SIEVES))


def held_back(sieve: Sieve, text: bytes, start: int = 0) -> list[bytes]:
    """The lines that do not pass; checks that the sieve reports every line, in order."""
    at, lines, found = start, 0, []
    for count, end, passes in sieve.sift(text, start, len(text)):
        assert text[at:end].count(b"\n") == count > 0
        if not passes:
            assert count == 1
            found.append(text[at : end - 1])
        at, lines = end, lines + count
    assert at == len(text)
    assert lines == text.count(b"\n", start)
    return found


def damaged(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if slow_kind(line, RULES.max_line_bytes) is not None]


def text_of(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


VECTORS: Final = [
    *WHOLE,
    *NOT_OBJECTS,
    *REJECTED,
    *(line.replace(b"\n", b" ") for prefix in "yni" for line in suite(prefix).values()),
]


@each_sieve
def test_vectors_pass_if_they_are_whole(sieve: Sieve) -> None:
    for line in VECTORS:
        if sieve.passes(line):
            assert slow_kind(line, RULES.max_line_bytes) is None, line
    assert [line for line in WHOLE if not sieve.passes(line)] == []


@each_sieve
def test_vectors_pass_among_others_as_they_do_alone(sieve: Sieve) -> None:
    assert [line for line in held_back(sieve, text_of(VECTORS)) if sieve.passes(line)] == []


def test_the_native_sieve_passes_every_vector_that_is_whole() -> None:
    for sieve in natives(RULES):
        for line in VECTORS:
            assert sieve.passes(line) == (slow_kind(line, RULES.max_line_bytes) is None), line


@each_sieve
def test_no_flipped_bit_passes_unseen(sieve: Sieve) -> None:
    for line in small_trail()[:12]:
        for at in range(len(line)):
            for bit in range(8):
                flipped = line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :]
                if b"\n" not in flipped and sieve.passes(flipped):
                    assert slow_kind(flipped) is None, flipped


@each_sieve
@pytest.mark.parametrize("text", [text_of(WHOLE), text_of([WHOLE[5], *REJECTED[:7], WHOLE[7]])])
def test_where_a_line_begins_in_memory_changes_nothing(sieve: Sieve, text: bytes) -> None:
    expected = damaged(text.split(b"\n")[:-1])
    for start in range(130):
        assert held_back(sieve, b'"' * start + text, start) == expected


@each_sieve
@pytest.mark.parametrize("line", [*WHOLE, *REJECTED])
def test_where_a_line_lies_among_long_ones_changes_nothing(sieve: Sieve, line: bytes) -> None:
    for pad in range(64):
        before = b'{"pad":"%s"}' % (b"." * pad)
        lines = [before, line, b"{}"]
        assert held_back(sieve, text_of(lines)) == damaged(lines)


@each_sieve
@given(st.lists(SCRAPS, max_size=5))
def test_only_whole_lines_pass(sieve: Sieve, lines: list[bytes]) -> None:
    text = text_of(lines)
    back = held_back(sieve, text)
    assert [line for line in back if line not in damaged(text.split(b"\n")[:-1])] == [] or sieve.__class__ is PureSieve
    assert set(damaged(text.split(b"\n")[:-1])) <= set(back)


def mutated(source: random.Random, lines: list[bytes]) -> bytes:
    """A line with one to three small changes: bits, bytes, pieces of itself or of another line."""
    line = bytearray(source.choice(lines))
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        at, other = source.randrange(len(line) + 1), source.choice(lines)
        match source.randrange(5):
            case 0 if line:
                line[at - 1] ^= 1 << source.randrange(8)
            case 1 if line:
                line[at - 1] = source.choice(b'"\\{}[]:,0 \te.-\x80\xc3\xe2\xed\xf0u1n')
            case 2:
                del line[at : at + source.choice((1, 1, 2, 5))]
            case 3:
                line[at:at] = line[at : at + source.randrange(80)]
            case _:
                line[at:at] = other[source.randrange(len(other) + 1) :]
    return bytes(line).replace(b"\n", b" ")[:720]


@each_sieve
@pytest.mark.parametrize("seed", range(8))
def test_no_mutated_line_passes_that_is_not_whole(sieve: Sieve, seed: int) -> None:
    source = random.Random(seed)
    lines = [mutated(source, [*small_trail(), *WHOLE]) for _ in range(500)]
    back = set(held_back(sieve, text_of(lines)))
    assert [line for line in damaged(lines) if line not in back] == []


def nested(levels: int, opening: bytes, closing: bytes) -> bytes:
    return b'{"a":' + opening * (levels - 1) + b"0" + closing * (levels - 1) + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"":', b"}"), (b'[{"":', b"}]")])
def test_a_line_may_nest_as_deep_as_the_rules_say(opening: bytes, closing: bytes) -> None:
    most = 1 + (MAX_DEPTH - 1) // len(closing)
    for sieve in natives(Rules()):
        for levels in range(1, most + 3):
            line = nested(levels, opening, closing)
            assert sieve.passes(line) == (levels <= most)
            assert not sieve.passes(line + b"}")
            assert not sieve.passes(line[:-1])
            assert levels < 2 or not sieve.passes(line.replace(b"0" + closing[:1], b"0" + closing[:1] * 2))


REQUIRED: Final = [("t", kind) for kind in FieldType]
MEMBERS: Final = [
    *[b'"t":"2025-10-07T12:00:00Z"', b'"t" : "2024-02-29t23:59:60.5-05:30"', b'"t":"2025-02-29T00:00:00Z"', b'"t":"1"'],
    *[b'"t":"2000-02-29 00:00:00+23:59"', b'"t":"1900-02-29T00:00:00Z"', b'"t":"2025-04-31T00:00:00Z"', b'"t":1.0'],
    *[
        b'"t":"2025-10-07T24:00:00Z"',
        b'"t":"2025-10-07T12:60:00Z"',
        b'"t":"2025-10-07T12:00:61Z"',
        b'"t":-7',
        b'"t":1e2',
    ],
    *[
        b'"t":"2025-10-07T12:00:00"',
        b'"t":"2025-10-07T12:00:00."',
        b'"t":"2025-10-07T12:00:00.25"',
        b'"t":"2025-1\\u0030"',
    ],
    *[b'"t":"2025-10-07T12:00:00+0100"', b'"t":"2025-10-07T12:00:00+01:0"', b'"t":"2025-00-07T12:00:00Z"', b'"t":-0'],
    *[b'"t":"2025-12-31T12:00:00+24:00"', b'"t":"2025-12-31T12:00:00Z "', b'"t":"2025-13-31T12:00:00Z"', b'"t":10'],
    *[
        b'"t":true',
        b'"t":false',
        b'"t":null',
        b'"t":{}',
        b'"t":[]',
        b'"t":""',
        b'"\\u0074":1',
        b'"tt":1',
        b'"x":{"t":1}',
    ],
    *[b'"x":[{"t":1}]', b'"\\"t":1', b'"x":"\\\\","t":"x"', b'"_auditwatch":{}', b'"":1', b'"t\\":1'],
]


@pytest.mark.parametrize(("name", "kind"), REQUIRED)
def test_only_records_with_their_fields_pass(name: str, kind: FieldType) -> None:
    rules = Rules(require=((name, kind),))
    records = [b"{%s}" % b",".join(pair) for pair in product([*MEMBERS, b'"s":0'], MEMBERS)]
    lines = [*(b"{%s}" % member for member in MEMBERS), *records]
    missing = [line for line in lines if slow_kind(line, require={name: kind.value}) is not None]
    for make in SIEVES.values():
        back = held_back(make(rules), text_of(lines))
        assert [line for line in missing if line not in back] == []
        for pad in range(0, 64, 7):
            padded = [b" " * pad + line for line in lines[:60]]
            assert [line.lstrip(b" ") for line in held_back(make(rules), text_of(padded))] == [
                line for line in lines[:60] if line in set(back)
            ]


def test_the_native_sieve_passes_usual_records_with_their_fields() -> None:
    require = (("at", FieldType.DATETIME), ("event", FieldType.STRING), ("n", FieldType.INTEGER))
    line = b'{"at":"2025-10-07T12:00:00.000001+00:00","event":"TRADE", "n" : 12 ,"details":{"at":1}}'
    for sieve in natives(Rules(require=require)):
        for pad in range(70):
            assert sieve.passes(b" " * pad + line)
            assert not sieve.passes(b" " * pad + line.replace(b'"n"', b'"m"'))


@pytest.mark.parametrize(("name", "fields"), [("n" * 254, 1), ("n\u200b", 1), ("n", 65)])
def test_python_judges_fields_that_native_code_cannot_look_for(name: str, fields: int) -> None:
    require = tuple((f"{name}{number}" if number else name, FieldType.ANY) for number in range(fields))
    assert isinstance(sieve_for(Rules(require=require)), PureSieve)


@each_sieve
@pytest.mark.parametrize("most", [2, 7, 39, 40, 63, 64, 65, 200])
def test_a_line_may_be_as_long_as_the_rules_say(sieve: Sieve, most: int) -> None:
    sieve = type(sieve)(Rules(max_line_bytes=most))
    longest = b'{"":"%s"}' % (b"." * (most - 7)) if most >= 7 else b"{}"
    assert held_back(sieve, text_of([b"{}", longest, longest + b" ", b"{}"])) == [longest + b" "]


def test_a_text_without_its_last_newline_has_fewer_lines() -> None:
    text = text_of(WHOLE)
    for name in instructions():
        assert NATIVE is not None
        for stop in range(len(text)):
            lines, end = NATIVE.whole(text, 0, stop, 700, b"", name)
            assert (lines, end) == (text.count(b"\n", 0, stop), text.rfind(b"\n", 0, stop) + 1)


@pytest.mark.parametrize(
    "arguments",
    [(-1, 3, 9), (2, 1, 9), (0, 4, 9), (0, 3, -1), (0, 3, 9, b"", "mmx"), (0, 3, 9, b"s\x09x"), (0, 3, 9, b"s")],
)
def test_ranges_outside_the_buffer_are_refused(arguments: tuple[object, ...]) -> None:
    if NATIVE is not None:
        with pytest.raises(ValueError, match=r"range|fields|instructions"):
            NATIVE.whole(b"{}\n", *arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("rules", [Rules(strict=True), Rules(schema='{"maxProperties":1}')])
def test_rules_that_ask_for_more_are_asked_of_every_line_that_passes(rules: Rules) -> None:
    text = b'{"a":1}\n{}\n{"a":1,"a":2,"b":3}\n{"a":1}\nx\n{}\n'
    found = list(Judge(rules).stretches(text, 0, len(text)))
    assert [(lines, end) for lines, end, kind in found if kind is None] == [(2, 11), (1, 39), (1, 44)]
    assert [(lines, end) for lines, end, kind in found if kind is not None] == [(1, 31), (1, 41)]


def asked(environment: dict[str, str]) -> Iterator[str]:
    command = [sys.executable, "-m", "auditwatch", "--version"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, check=True, text=True)
    yield done.stdout


def test_the_version_says_which_judge_runs() -> None:
    assert re.fullmatch(r"auditwatch \S+ \((native|pure) judge\)\n", *asked({}))
    assert re.fullmatch(r"auditwatch \S+ \(pure judge\)\n", *asked({"AUDITWATCH_PURE": "1"}))


def test_python_judges_if_native_code_is_not_wanted_or_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    built = SimpleNamespace(VERSION=NATIVE_VERSION)
    monkeypatch.setitem(sys.modules, "auditwatch.trail.judge._native", built)
    monkeypatch.delenv("AUDITWATCH_PURE", raising=False)
    assert native._built() is built
    built.VERSION = NATIVE_VERSION - 1
    assert native._built() is None
    built.VERSION = NATIVE_VERSION
    monkeypatch.setenv("AUDITWATCH_PURE", "1")
    assert native._built() is None


def test_python_judges_where_nothing_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "NATIVE", None)
    assert isinstance(sieve_for(Rules()), PureSieve)
    assert judge_in_use() == "pure"
    with pytest.raises(RuntimeError, match="no native judge"):
        NativeSieve(Rules())


def test_native_code_and_python_agree_on_version_and_depth() -> None:
    constants = dict(re.findall(r"^#define ([A-Z_]+) ([0-9]+)\b", SOURCE.read_text(), re.MULTILINE))
    assert int(constants["VERSION"]) == NATIVE_VERSION
    assert int(constants["MAX_DEPTH"]) == MAX_DEPTH
