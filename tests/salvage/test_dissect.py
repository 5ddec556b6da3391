"""What a damaged line contains: whole records with the right confidence, and every other byte in a fragment."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.salvage.dissect import (
    MAX_PARTS,
    Confidence,
    Fragment,
    Inside,
    awaits_value,
    dissect,
)
from auditwatch.salvage.habits import HabitCounter, Habits

EVENT = Habits(b'"event"')
NESTED_ONCE = Habits(b'"event"', was_nested=True)
NESTING = Habits(b'"event"', is_nested=True, was_nested=True)
NOTHING_USUAL = Habits()


def found(line: bytes, habits: Habits = EVENT, awaited: bool = False) -> list[tuple[bytes, str]]:
    parts = dissect(line, habits, awaited=awaited)
    return [(line[part.start : part.end], part.confidence[0]) for part in parts if isinstance(part, Inside)]


def left(line: bytes, habits: Habits = EVENT) -> list[tuple[bytes, str]]:
    parts = dissect(line, habits)
    return [(line[part.start : part.end], part.kind.value) for part in parts if isinstance(part, Fragment)]


@pytest.mark.parametrize("habits", [EVENT, NESTING, NOTHING_USUAL])
@pytest.mark.parametrize(
    ("line", "records"),
    [
        (b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1} \t{"b":{"c":2}} ', [b'{"a":1}', b'{"b":{"c":2}}']),
        (b"{}{}", [b"{}", b"{}"]),
        (b'{"a":1}garbage', [b'{"a":1}']),
        (b'\x00\x00{"a":1}', [b'{"a":1}']),
        (b'{"a":"x\x00\x00{"a":1}\x00\r', [b'{"a":1}']),
        (b'\xef\xbb\xbf{"a":1}', [b'{"a":1}']),
        (b'{"a":1}{"b":', [b'{"a":1}']),
        (b'{"a":"\\ud800"}{"b":2}', [b'{"a":"\\ud800"}', b'{"b":2}']),
    ],
)
def test_a_record_is_certain_where_only_a_record_can_begin(line: bytes, records: list[bytes], habits: Habits) -> None:
    assert found(line, habits) == [(record, "c") for record in records]


@pytest.mark.parametrize("habits", [EVENT, NESTING, NOTHING_USUAL])
@pytest.mark.parametrize(
    "line",
    [
        b'{"x":1}}',  # the end of a record that was cut right before an object in it
        b'{"x":1}, "y":2}',
        b'{"x":1}]}',
        b'\x00\x00{"x":1}}',
        b'{} of {}","y":2}',  # braces of a string
        b'{"a":{"x":1},',
        b'{"a":"x{"x":1}',  # an unknown key
        b'[{"x":1}]',
        b'"{"',
        b"12",
        b'{"x":"\xff"}{"y":',
        b'{"x":' + b"[" * 600 + b"]" * 600 + b"}",
        b"\xef\xbb\xbf",
        b" \t\r",
        b"",
    ],
)
def test_an_object_that_may_have_been_part_of_a_record_is_none(line: bytes, habits: Habits) -> None:
    assert found(line, habits) == []


def test_a_record_glued_behind_half_of_another_is_likely_if_it_begins_as_almost_all_do() -> None:
    line = b'{"event": "TRADE_A{"event": "KILL_SWITCH", "by": {}}'
    assert found(line) == [(b'{"event": "KILL_SWITCH", "by": {}}', "l")]
    assert left(line) == [(b'{"event": "TRADE_A', "beginning")]
    assert found(line, NOTHING_USUAL) == []
    assert found(b'PPROVED"}{"event":1}{"event":2') == [(b'{"event":1}', "l")]
    assert found(b'PPROVED"}{"event":1}{"b":2}') == [(b'{"event":1}', "l"), (b'{"b":2}', "c")]


def test_where_records_nest_the_usual_key_a_head_counts_only_where_no_object_can_be() -> None:
    assert found(b'{"event":1,"cause":{"event":2},', NESTING) == []
    assert found(b'{"event":"A{"event":2}', NESTING) == [(b'{"event":2}', "l")]
    assert found(b'{"event":12  {"event":2}', NESTING) == [(b'{"event":2}', "l")]
    assert found(b'{"event":1,"cause":' + b" " * 40 + b'{"event":2},', NESTING) == []


def test_with_a_usual_key_what_would_be_nothing_is_likely() -> None:
    assert found(b'{"event":1}}') == [(b'{"event":1}', "l")]
    assert found(b'{"event":1}}', NESTING) == []


def test_an_object_at_the_start_is_none_while_a_cut_record_awaits_a_value() -> None:
    assert found(b'{"x":1}\x00', awaited=True) == []
    assert found(b'{"event":1}\x00', awaited=True) == [(b'{"event":1}', "c")]
    assert found(b'{"a":{"b":\x00{"x":1}') == []


@pytest.mark.parametrize(
    ("piece", "awaits"),
    [
        (b'{"a":', True),
        (b'{"a":[1, ', True),
        (b'{"a":[', True),
        (b'{"a":1,', False),
        (b'{"a":"b,', False),
        (b'{"a":"b:', False),
        (b'b":1,', True),
        (b'b"', False),
        (b"", False),
    ],
)
def test_whether_a_cut_record_awaits_a_value(piece: bytes, awaits: bool) -> None:
    assert awaits_value(piece) == awaits


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *[b'{"event":1}', b'{"event":"A","by":{"id":[{}]}}', b'{"event":"TRADE_A', b'PPROVED"}', b'{"x":1}'],
                *[
                    b"\x00\x00",
                    b" ",
                    b"}",
                    b"{",
                    b",",
                    b":",
                    b'"',
                    b"\\",
                    b"[",
                    b"]",
                    b"\xef\xbb\xbf",
                    b"\xff",
                    b"{}",
                    b"\r",
                ],
            ]
        ),
        st.binary(max_size=4),
    ),
    max_size=12,
)
HABITS = st.sampled_from([EVENT, NESTING, NOTHING_USUAL])


@given(PIECES, HABITS)
def test_every_byte_is_in_one_part_or_white_space_and_every_record_is_an_object(
    pieces: list[bytes], habits: Habits
) -> None:
    line = b"".join(pieces).replace(b"\n", b"")
    parts = dissect(line, habits)
    between, at = [], 0
    for part in parts:
        assert at <= part.start < part.end or (part.start, part.end) == (0, 0)
        between.append(line[at : part.start])
        at = part.end
        if isinstance(part, Inside):
            assert isinstance(json.loads(line[part.start : part.end]), dict)
    assert b"".join([*between, line[at:]]).strip(b" \t\r") == b""


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":' * 100_000,
        b'{"event":1}' * 90_000,
        b'{"event":"' * 90_000,
        b"\x00{" * 400_000,
        b"{}" * 500_000,
        b'{"a":{"event":1},' * 60_000,
        b'{"x":1}}' * 100_000,
        b'\x00{"x":1,' * 100_000,
        b"[" * 1_000_000,
    ],
    ids=lambda line: repr(line[:12]),
)
def test_the_work_on_hostile_lines_is_bounded(line: bytes) -> None:
    parts = dissect(line, EVENT)  # work that grows with the square would not end before the test's time is over
    assert len(parts) <= MAX_PARTS + 1
    assert (parts[0].start, parts[-1].end) == (0, len(line))


@pytest.mark.parametrize("habits", [EVENT, NESTED_ONCE])
def test_a_record_behind_a_cut_value_is_found_though_one_whole_line_nests_another(habits: Habits) -> None:
    line = b'{"event":"A","by":{"event":"B"}"x":1}'
    assert found(line, habits) == [(b'{"event":"B"}', "l")]
    assert found(line, NESTING) == []


def test_where_records_may_be_nested_what_begins_a_line_is_not_certain() -> None:
    assert found(b'{"event":"B"}x', EVENT, awaited=True) == [(b'{"event":"B"}', "c")]
    assert found(b'{"event":"B"}x', NESTED_ONCE, awaited=True) == [(b'{"event":"B"}', "l")]
    assert found(b'{"event":"B"}x', NESTING, awaited=True) == []


def test_a_record_in_a_cut_one_is_found_where_what_closes_both_looks_like_one_object() -> None:
    line = b'{"event":"A","by":{"event":"B"}}}'
    assert found(line) == [(b'{"event":"B"}', "l")]
    assert left(line) == [(b'{"event":"A","by":', "beginning"), (b"}}", "end")]
    assert found(line, NOTHING_USUAL) == []


def test_habits_are_those_of_almost_all_records() -> None:
    counter = HabitCounter()
    counter.learn([b'{"event":"A"}'] * 96 + [b'{"id":1,"event":"B"}'] * 4)
    habits = counter.habits()
    assert (habits.first_key, habits.is_nested, habits.is_regular) == (b'"event"', False, True)
    counter.learn([b'{"id":1}'] * 10 + [b'{"event":1,"cause":{"event":2}}'])
    assert (counter.habits().first_key, counter.habits().is_nested) == (None, False)
    counter.learn([b'{"event":"A"}'] * 1000)
    assert (counter.habits().first_key, counter.habits().was_nested) == (b'"event"', True)


def test_one_whole_line_that_holds_another_record_is_no_habit() -> None:
    counter, accident = HabitCounter(), b'{"event":"A","by":{"event":"B"}}'
    counter.learn([accident])
    assert (counter.habits().is_nested, counter.habits().was_nested) == (False, True)
    counter.learn([b'{"event":"A"}'] * 197 + [accident])
    assert (counter.habits().is_nested, counter.habits().was_nested) == (True, True)
    counter.learn([b'{"event":"A"}'] * 2)
    assert (counter.habits().is_nested, counter.habits().was_nested) == (False, True)


def test_a_trail_whose_records_all_differ_has_no_habits() -> None:
    counter = HabitCounter()
    counter.learn([b'{"k%d":1}' % number for number in range(10_000)])
    assert (counter.habits().first_key, counter.habits().is_regular) == (None, False)
    assert HabitCounter().habits() == Habits(is_regular=True)


def test_confidences_are_named_from_the_surest_down() -> None:
    assert list(Confidence) == ["certain", "likely", "inferred"]
