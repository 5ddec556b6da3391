"""Findings as ranges."""

from __future__ import annotations

from typing import Any

from auditwatch.trail.kinds import Kind
from auditwatch.web.ranges import ranges


def test_neighbours_of_one_kind_are_one_range(build: Any) -> None:
    found = [build.finding(line, line * 100, records_inside=1) for line in (5, 6, 7)]
    (only,) = ranges(found)
    assert (only.id, only.first_line, only.last_line, only.lines) == (found[0].id, 5, 7, 3)
    assert (only.start, only.end, only.records_inside) == (500, 710, 3)


def test_a_gap_another_kind_state_or_origin_begins_a_new_range(build: Any) -> None:
    found = [
        build.finding(1, 100),
        build.finding(3, 300),
        build.finding(4, 400, Kind.BLANK),
        build.finding(5, 500, Kind.BLANK, inherited=True),
        build.finding(6, 600, Kind.BLANK, inherited=True, acknowledgement=build.note),
    ]
    assert [r.first_line for r in ranges(found)] == [1, 3, 4, 5, 6]


def test_no_findings_are_no_ranges() -> None:
    assert list(ranges(())) == []
