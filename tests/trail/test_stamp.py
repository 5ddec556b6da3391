"""Stamps and own records, formatted and found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.own import Continues, Recovered, format_own, parse_own
from auditwatch.trail.stamp import NOTHING_BEFORE, Stamp, format_stamp, parse_stamp

HEX = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)
PREV = b"0123456789abcdef" * 4


@given(st.integers(1, 10**19 - 1), HEX, st.binary())
def test_a_stamp_is_found_at_the_end_of_any_line(seq, prev, before):
    stamp = Stamp(seq, prev)
    assert parse_stamp(before + b"," + format_stamp(stamp)) == stamp
    assert parse_stamp(before + b"," + format_stamp(stamp) + b"\r") == stamp


def test_the_stamp_may_be_all_that_the_line_holds():
    assert parse_stamp(b"{" + format_stamp(Stamp(1, NOTHING_BEFORE))) == Stamp(1, NOTHING_BEFORE)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"_seq":0,"_prev":"' + PREV + b'"}',
        b'{"_seq":01,"_prev":"' + PREV + b'"}',
        b'{"_seq":-1,"_prev":"' + PREV + b'"}',
        b'{"_seq": 1,"_prev":"' + PREV + b'"}',
        b'{"_seq":1,"_prev":"' + PREV[:-1] + b'"}',
        b'{"_seq":1,"_prev":"' + PREV.upper() + b'"}',
        b'{"_prev":"' + PREV + b'","_seq":1}',
        b'{"_seq":1,"_prev":"' + PREV + b'","x":1}',
        b'{"a":{"_seq":1,"_prev":"' + PREV + b'"}}',
        b'{"a":"\\"_seq\\":1,\\"_prev\\":\\"' + PREV + b'\\""}',
        b'{"x_seq":1,"_prev":"' + PREV + b'"}',
        b'{"_seq":1,"_prev":"' + PREV + b'"}\n',
    ],
)
def test_a_line_without_a_stamp_of_the_exact_form_has_none(line):
    assert parse_stamp(line) is None


def test_only_the_end_of_a_long_line_is_looked_at():
    line = b'{"a":"' + b',"_seq":' * 200_000 + b'",' + format_stamp(Stamp(3, NOTHING_BEFORE))
    assert parse_stamp(line) == Stamp(3, NOTHING_BEFORE)


@pytest.mark.parametrize("own", [Recovered(3, 2, "ab"), Continues("a\n.jsonl", "cd")])
def test_an_own_record_is_read_back_also_when_it_is_stamped(own):
    line = format_own("2026-01-01T00:00:00+00:00", own)
    assert b"\n" not in line
    assert parse_own(line) == own
    assert parse_own(line[:-1] + b"," + format_stamp(Stamp(9, NOTHING_BEFORE))) == own


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":"_auditwatch"}',
        b'{"_auditwatch":5}',
        b'["_auditwatch"]',
        b'{"_auditwatch":{"v":2,"kind":"recovered","offset":1,"length":1,"sha256":"a"}}',
        b'{"_auditwatch":{"v":1,"kind":"unknown"}}',
        b'{"_auditwatch":{"v":1,"kind":["recovered"]}}',
        b'{"_auditwatch":{"v":1,"kind":"recovered","offset":true,"length":1,"sha256":"a"}}',
        b'{"_auditwatch":{"v":1,"kind":"recovered","offset":1,"length":1}}',
        b'{"_auditwatch":{"v":1,"kind":"continues","segment":"a","last_sha256":"b","more":1}}',
        b'{"_auditwatch":' + b"[" * 100_000,
        b'{"_auditwatch":\xff}',
    ],
)
def test_what_is_no_own_record_of_this_version_is_none(line):
    assert parse_own(line) is None
