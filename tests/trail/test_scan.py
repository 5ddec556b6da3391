"""The scan: the same report, no matter how the bytes were cut."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.report import MAX_DEFECTS, Report, merge
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan

EVENTS = Path(__file__).parents[2].parent / "shared" / "data" / "windows-events.jsonl.gz"
SMALL = Rules(max_line_bytes=24, tolerate=frozenset({Kind.BLANK}))
BODIES = st.sampled_from(
    [
        *[b'{"a":1}', b"", b'{"a":1}{"b":2}', b'{"a":"x{"b":1}', b'{"a":', b'{"a":"\xe6\xbc\xa2"}', b'{"a":"\xe6'],
        *[
            b'\x82"}',
            b"\x00",
            b"NaN",
            b'\xef\xbb\xbf{"a":1}',
            b" \r",
            b'{"aaaaaaaaaaaaaaaaaaa":1}',
            b"x" * 25,
            b"y" * 70,
        ],
    ]
)
TRAILS = st.builds(lambda bodies, tail: b"".join(body + b"\n" for body in bodies) + tail, st.lists(BODIES), BODIES)


def scanned(data: bytes, rules: Rules = SMALL, final: bool = False) -> Report:
    scan = Scan(rules)
    scan.feed(data)
    return scan.finish(final)


def slowly(data: bytes, rules: Rules) -> Report:
    """The same report line by line, with nothing clever."""
    judge, reports = Judge(rules), []
    *lines, tail = data.split(b"\n")
    for line in lines:
        kind = judge.kind_of(line)
        whole = kind is None or kind in rules.tolerate
        by_kind = {} if whole or kind is None else {kind: 1}
        reports.append(Report(bytes=len(line) + 1, lines=1, records=int(whole), by_kind=by_kind))
    return merge(*reports, Report(pending_bytes=len(tail)))


def without_defects(report: Report) -> tuple[object, ...]:
    return (report.bytes, report.lines, report.records, dict(report.by_kind), report.pending_bytes)


@given(TRAILS, st.data())
def test_a_scan_is_the_same_fed_whole_or_in_any_pieces(trail: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(trail)), max_size=8)))
    final = data.draw(st.booleans())
    scan = Scan(SMALL)
    for start, end in zip([0, *cuts], [*cuts, len(trail)], strict=True):
        scan.feed(trail[start:end])
    assert scan.finish(final) == scanned(trail, final=final)


@given(TRAILS, st.data())
def test_reports_of_neighbours_add_up_to_the_report_of_the_whole(trail: bytes, data: st.DataObject) -> None:
    newlines = [index + 1 for index, byte in enumerate(trail) if byte == 0x0A]
    cuts = sorted(data.draw(st.lists(st.sampled_from(newlines), max_size=5))) if newlines else []
    parts = [scanned(trail[start:end]) for start, end in zip([0, *cuts], [*cuts, len(trail)], strict=True)]
    assert merge(*parts) == scanned(trail)


@given(TRAILS, st.data())
def test_reports_taken_on_the_way_add_up_to_the_report_of_the_whole(trail: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(trail)), max_size=6)))
    scan, reports = Scan(SMALL), []
    for start, end in zip([0, *cuts], [*cuts, len(trail)], strict=True):
        scan.feed(trail[start:end])
        reports.append(scan.take())
    assert scan.pending_bytes == scanned(trail).pending_bytes
    assert merge(*reports, scan.finish()) == scanned(trail)


@given(TRAILS)
def test_every_line_is_counted_once_and_where_it_is(trail: bytes) -> None:
    report = scanned(trail)
    assert without_defects(report) == without_defects(slowly(trail, SMALL))
    assert report.lines == report.records + report.corrupt_lines
    lines = trail.split(b"\n")
    for defect in report.defects:
        body = trail[defect.offset : defect.offset + defect.length]
        assert body == lines[defect.line - 1]
        assert defect.sha256 == hashlib.sha256(body).hexdigest()


def test_bytes_behind_the_last_newline_are_pending_until_they_are_final() -> None:
    trail = b'{"a":1}\n{"b":2}'
    assert scanned(trail).pending_bytes == 7
    final = scanned(trail, final=True)
    assert (final.torn_tail, final.pending_bytes, final.bytes, final.lines) == (1, 0, 15, 1)
    (defect,) = final.defects
    assert (defect.kind, defect.line, defect.offset, defect.length, defect.records_inside) == (Kind.TORN, 2, 8, 7, 1)
    assert final.lines == final.records + final.corrupt_lines - final.torn_tail


def test_a_tolerated_kind_counts_as_a_record() -> None:
    assert scanned(b"\n\n").records == 2
    assert scanned(b"\n\n", Rules()).by_kind == {Kind.BLANK: 2}


def test_an_oversize_line_is_hashed_as_it_passes_and_not_held() -> None:
    scan, line = Scan(SMALL), b"x" * 100_000
    for start in range(0, len(line), 10):
        scan.feed(line[start : start + 10])
    scan.feed(b'\n{"a":1}\n')
    report = scan.finish()
    assert (report.lines, report.records, report.by_kind) == (2, 1, {Kind.OVERSIZE: 1})
    assert (report.defects[0].length, report.defects[0].sha256) == (len(line), hashlib.sha256(line).hexdigest())


def test_beyond_the_most_defects_counts_stay_exact() -> None:
    report = scanned(b"x\n" * (MAX_DEFECTS + 5))
    assert (len(report.defects), report.corrupt_lines) == (MAX_DEFECTS, MAX_DEFECTS + 5)


def test_a_cut_character_is_not_healed_by_the_next_line() -> None:
    assert scanned(b'{"a":"\xe6\n\xbc\xa2"}\n', Rules()).corrupt_lines == 2


def test_a_real_trail_is_whole_and_one_flipped_bit_is_found_exactly() -> None:
    if not EVENTS.exists():
        pytest.skip("NOT RUN: the recorded events are not beside this checkout")
    trail = bytearray(gzip.decompress(EVENTS.read_bytes()))
    assert (report := scanned(bytes(trail), Rules())).records == report.lines == 32_706
    lines = bytes(trail).split(b"\n")
    offset = sum(map(len, lines[:19_999])) + 19_999
    trail[offset] ^= 1  # and not a constant, which might be what is there already
    report = scanned(bytes(trail), Rules())
    (defect,) = report.defects
    assert (defect.line, defect.offset, defect.length) == (20_000, offset, len(lines[19_999]))
    assert report.corrupt_lines == 1
