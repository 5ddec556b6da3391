"""A map of a file in one line of text, so that a person sees whether damage is in one place or everywhere."""

from __future__ import annotations

from typing import Final

from auditwatch.trail.report import Report

CELLS: Final = 60

_WHOLE, _DAMAGED, _UNTOLD = b".X?"


def file_map(report: Report, most: int = CELLS) -> str:
    """One character for each of at most so many equal parts of the judged bytes.

    `.` is whole, `X` holds bytes of a damaged line, and `?` lies behind the last damaged line that the report tells one
    by one, where there are more than it tells.

    >>> file_map(Report(bytes=100, lines=10, records=10), 5)
    '.....'
    """
    size, cells = report.bytes, bytearray([_WHOLE]) * min(most, report.bytes)
    if report.defects and report.corrupt_lines > len(report.defects):
        told = report.defects[-1].offset * len(cells) // size + 1
        cells[told:] = bytearray([_UNTOLD]) * len(cells[told:])
    for defect in report.defects:
        first = defect.offset * len(cells) // size
        last = (defect.offset + max(1, defect.length) - 1) * len(cells) // size
        cells[first : last + 1] = bytearray([_DAMAGED]) * (last + 1 - first)
    return cells.decode()
