"""The judge against a second, slow one that was written from the specification alone (`slow_judge`).

AUDITWATCH_FLIP_STRIDE says which bits of the small trail are flipped: 1 is every one, the long run.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.report import Report, merge
from auditwatch.trail.rules import FieldType, Rules
from auditwatch.trail.scan import Scan
from tests.trail.judge.slow_judge import slow_kind

STRIDE = int(os.environ.get("AUDITWATCH_FLIP_STRIDE", "37"))  # a prime: every bit of a byte has its turn

STRICT, LENIENT = Rules(strict=True, max_line_bytes=700), Rules(max_line_bytes=700)
JUDGE = Judge(STRICT)

SCRAPS = st.lists(
    st.sampled_from(
        [
            *[b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b'\\"', b"{}", b"[]", b'""', b'"a":', b'{"a":', b'"x"'],
            *[b'{"a":1}', b'{"event":"X","n":[1,2.5e3,{"k":null}]}', b'{ "b" :', b'"{"', b'\\{"c":', b'{"a\\q":1}'],
            *[b"1", b"-", b"0", b".5", b"e9", b"1e400", b"9" * 30, b"true", b"tru", b"null", b"NaN", b"'", b"/"],
            *[b"\0", b"\r", b" ", b"\t", b"\x0b", b"\x1f", b"\x7f", b"\\ud800", b"\\u00", b"\\n", b'"a":1,"a":2'],
            *["é".encode(), "漢".encode(), b"\xef\xbb\xbf", b"\xc3", b"\xff", b"\xed\xa0\x80", b"\xe2\x80\xa8"],
            *[b"[" * 300, b"]" * 300, b'{"a":' * 200, b"}" * 200, b"x" * 400],
        ]
    ),
    max_size=14,
).map(b"".join)


@given(SCRAPS)
def test_two_judges_agree_on_every_line(line: bytes) -> None:
    assert JUDGE.kind_of(line) == slow_kind(line, 700, strict=True)


DATES = st.tuples(
    st.sampled_from(
        ["2025-10-07", "2024-02-29", "2025-02-29", "0000-01-31", "2025-10-7", "20251007", "2025\\u002d10-07"]
    ),
    st.sampled_from([*"Tt _", ""]),
    st.sampled_from(["12:00:00", "23:59:60", "24:00:00", "12:00", "12:00:00.5", "12:00:00.", "00:00:61", "120000"]),
    st.sampled_from(["Z", "z", "", "+00:00", "-23:59"])
    | st.sampled_from(["+24:00", "+0000", "-0530", "+00", " Z", "\\u002b0000", "+0\u0660:00"]),
).map(lambda parts: f'"{"".join(parts)}"'.encode())
VALUES = st.one_of(
    DATES,
    st.sampled_from([b'"x"', b"1", b"-0", b"1.0", b"1e2", b"9" * 30, b"true", b"null", b"{}", b"[]", b'"\\ud800"']),
)
RECORDS = st.lists(st.tuples(st.sampled_from([b'"a"', b'"b"', b'"\\u0061"', b'"c"']), VALUES), max_size=4).map(
    lambda members: b"{%s}" % b",".join(key + b":" + value for key, value in members)
)
REQUIRE = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(FieldType)), max_size=2).map(dict)


@given(st.lists(RECORDS, min_size=1, max_size=3), REQUIRE, st.booleans())
def test_two_judges_agree_on_the_fields_of_every_record(
    records: list[bytes], require: dict[str, FieldType], strict: bool
) -> None:
    fields = {name: kind.value for name, kind in require.items()}
    kinds = [slow_kind(record, strict=strict, require=fields) for record in records]
    rules = Rules(strict=strict, require=tuple(require.items()))
    assert [Judge(rules).kind_of(record) for record in records] == kinds
    whole = scanned([b"".join(record + b"\n" for record in records)], rules)
    assert [defect.kind.value for defect in whole.defects] == [kind for kind in kinds if kind]


TRAILS = st.lists(SCRAPS, max_size=6).map(b"\n".join)


@given(TRAILS, st.sampled_from([STRICT, LENIENT]), st.data())
def test_a_trail_of_such_lines_has_one_report_however_it_is_cut(
    trail: bytes, rules: Rules, data: st.DataObject
) -> None:
    whole = scanned([trail], rules)
    kinds = kind_by_offset(trail, 700, strict=rules.strict)
    assert {defect.offset: defect.kind.value for defect in whole.defects} == kinds
    pieces = data.draw(st.lists(st.integers(0, len(trail)), max_size=9).map(sorted))
    assert scanned(cut(trail, pieces), rules) == whole
    ends = [at + 1 for at, byte in enumerate(trail) if byte == 0x0A]
    between = data.draw(st.lists(st.sampled_from(ends), max_size=5).map(sorted)) if ends else []
    assert merge(*(scanned([part], rules) for part in cut(trail, between))) == whole


def scanned(pieces: list[bytes], rules: Rules) -> Report:
    scan = Scan(rules)
    for piece in pieces:
        scan.feed(piece)
    return scan.finish()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def small_trail() -> list[bytes]:
    """Lines of 4 KiB in all, newlines included: whole ones with everything in them that JSON has, and damaged ones."""
    lines = [
        b'{"event":"TRADE_APPROVED","id":1,"details":{"symbol":"BTC-USD","quantity":0.5,"tags":["a","b"]}}',
        b'{ "event" : "KILL_SWITCH" , "reason" : "draw-down {limit}, \\"now\\"" , "at" : -1.5e-3 }\r',
        '{"event":"NOTE","text":"é漢😀","escaped":"\\u00e9\\ud83d\\ude00\\n\\\\","empty":"","nothing":null}'.encode(),
        b'{"event":"LIMITS","limits":[{"name":"daily","at":0.1},{},[],[[]],true,false,0,1e400,-0]}',
        b'{"event":"TRADE_A{"event":"KILL_SWITCH","details":{"reason":"drawdown"}}',
        b'PPROVED","details":{"symbol":"BTC-USD"}}',
        b'{"a":1}{"b":2}',
        b"[1,2]",
        b"",
        b'\0\0\0{"event":"START"}',
        b'\xef\xbb\xbf{"event":"MARKED"}',
        b'{"name":"caf\xe9"}',
        b'{"price":NaN}',
    ]
    size = sum(len(line) + 1 for line in lines)
    number = 0
    while size + 110 < 4096:
        lines.append(
            b'{"event":"FILL","n":%d,"by":{"process":%d},"price":"%d.25"}' % (number, 7000 + number, number * 37)
        )
        size += len(lines[-1]) + 1
        number += 1
    lines.append(b'{"event":"END","pad":"%s"}' % (b"." * (4096 - size - 25)))
    return lines


TRAIL = b"".join(line + b"\n" for line in small_trail())
KNOWN = {line: slow_kind(line) for line in small_trail()}


def kind_by_offset(data: bytes, max_line_bytes: int = 1 << 20, *, strict: bool = False) -> dict[int, str]:
    """Every damaged line, by the slow judge; bytes after the last newline belong to no line."""
    found, offset = {}, 0
    for line in data.split(b"\n")[:-1]:
        kind = KNOWN[line] if line in KNOWN and not strict else slow_kind(line, max_line_bytes, strict=strict)
        if kind is not None:
            found[offset] = kind
        offset += len(line) + 1
    return found


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_gets_the_verdict_that_is_right_for_those_bytes(bit: int) -> None:
    assert len(TRAIL) == 4096
    flipped = bytearray(TRAIL)
    for at in range(bit % STRIDE, len(TRAIL), STRIDE):
        flipped[at] ^= 1 << bit
        scan = Scan(Rules())
        scan.feed(bytes(flipped))
        report = scan.finish()
        assert {defect.offset: defect.kind.value for defect in report.defects} == kind_by_offset(bytes(flipped)), (
            at,
            bit,
        )
        assert report.pending_bytes == len(flipped) - flipped.rfind(b"\n") - 1
        flipped[at] ^= 1 << bit
