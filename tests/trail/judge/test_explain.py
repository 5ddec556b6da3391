"""Explaining a failing line: bounded work, and how many whole records it still holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge.depth import levels_of
from auditwatch.trail.judge.explain import MAX_TRIES, explain, records_inside
from auditwatch.trail.judge.grammar import walk_text
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules


@pytest.mark.parametrize(
    ("line", "count"),
    [
        (b'{"a":1}{"b":2}', 2),
        (b'{"a":1} {"b":2', 1),
        (b'{"a":"x{"b":1}', 1),
        (b'{"a":"x{"b":"y{"c":1}', 1),
        (b'{"a":"x{"b":1}{"c":2}', 2),
        (b'\x00\x00{"a":1}', 1),
        (b'{"a":1}\x00\x00{"b":2}\x00', 2),
        (b'{"a":"cut\x00\x00\x00{"b":2}', 1),
        (b'\xef\xbb\xbf{"a":1}x', 1),
        (b'PPROVED", "x": {"y": 1}}', 0),
        (b'{"a":"\xff"}{"b":1}', 1),
        (b"[1]{}", 1),
        (b"", 0),
        (b"{}" * 100, MAX_TRIES),
    ],
)
def test_whole_records_inside_a_damaged_line_are_counted(line: bytes, count: int) -> None:
    assert records_inside(line) == count


HOSTILE = [
    b"[" * 500_000,
    b'{"a":' * 200_000,
    b'"' * 1_000_000,
    b"\\" * 1_000_000,
    b'{"a":"' + b"\\u00" * 250_000,
    b"\x00{" * 300_000,
    b'{"{":' * 150_000,
    b'{"a":"{",":":' * 80_000,
    b"-" * 1_000_000,
    b"1" * 1_000_000 + b".",
    b"\xef\xbb\xbf" * 300_000,
    b" " * 1_000_000 + b"x",
    b"{}" * 500_000 + b"x",
    b'{"a":1,' + b'"b":1,' * 150_000,
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_megabyte_is_explained_in_bounded_work(line: bytes) -> None:
    assert explain(line, Rules()) is not None
    assert records_inside(line) <= MAX_TRIES


@given(st.binary(max_size=40))
def test_the_first_error_is_the_end_of_what_can_be_continued(data: bytes) -> None:
    """Every prefix up to the first error errs only at its own end: something could still follow."""
    error = walk_text(data).error
    for end in range(error if error is not None else 0):
        assert walk_text(data[:end]).error in (None, end)


def lexed(line: bytes) -> tuple[list[int], bool]:
    """Byte by byte: the levels after each bracket outside strings, and whether a string is open at the end."""
    levels, level, at, is_open = [], 0, 0, False
    while at < len(line):
        char = line[at : at + 1]
        if is_open:
            at += char == b"\\"
            is_open = char != b'"'
        elif char == b'"':
            is_open = True
        elif char in b"{}[]":
            level += 1 if char in b"{[" else -1
            levels.append(level)
        at += 1
    return levels, is_open


SCRAPS = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b'\\"', b"\\u00e9", b":", b",", b"a", b'{"a":', b'"x"', b" "])
).map(b"".join)


@given(SCRAPS, st.sampled_from([3, 1 << 16]))
def test_levels_and_strings_are_those_of_a_walk_byte_by_byte(line: bytes, window_bytes: int) -> None:
    """Older regular expression engines fail this with possessive groups (cpython issue 106052)."""
    levels, is_open = lexed(line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("auditwatch.trail.judge.depth._WINDOW_BYTES", window_bytes)
        kind = explain(line, Rules())
        assert list(levels_of(line)) == levels
    if kind == Kind.TORN:
        assert is_open or levels[-1] != 0 or min(levels) < 0
    if kind in {Kind.INVALID_JSON, Kind.INVALID_UTF8}:
        assert not is_open
        assert not levels or (levels[-1] == 0 and min(levels) >= 0)
