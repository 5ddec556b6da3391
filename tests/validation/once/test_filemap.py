"""The map of a file in one line of text."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.kinds import Kind
from auditwatch.trail.report import Defect, Report
from auditwatch.validation.once.filemap import CELLS, file_map


def report(size: int, *places: tuple[int, int], more: int = 0) -> Report:
    defects = tuple(Defect(k, offset, length, Kind.TORN, "0" * 64, 0) for k, (offset, length) in enumerate(places, 1))
    return Report(bytes=size, lines=size, records=0, by_kind={Kind.TORN: len(places) + more}, defects=defects)


def test_damage_is_where_it_lies_and_nowhere_else() -> None:
    assert file_map(report(100, (0, 1), (55, 3)), 10) == "X....X...."
    assert file_map(report(100, (99, 0)), 10) == ".........X"


def test_a_long_damaged_line_covers_all_its_parts() -> None:
    assert file_map(report(100, (15, 40)), 10) == ".XXXXX...."


def test_behind_the_last_damage_that_is_told_one_by_one_nothing_is_claimed() -> None:
    assert file_map(report(100, (0, 1), (35, 1), more=5), 10) == "X..X??????"


def test_a_file_of_a_few_bytes_has_a_few_cells_and_an_empty_one_none() -> None:
    assert file_map(report(3, (2, 1))) == "..X"
    assert file_map(Report()) == ""


@given(data=st.data(), size=st.integers(1, 10_000))
def test_every_damaged_byte_is_under_an_x_and_every_x_over_one(data: Any, size: int) -> None:
    offset = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, size - offset))
    drawn = file_map(report(size, (offset, length)))
    assert len(drawn) == min(CELLS, size)
    damaged = {byte * len(drawn) // size for byte in range(offset, offset + length)}
    assert {k for k, cell in enumerate(drawn) if cell == "X"} == damaged
