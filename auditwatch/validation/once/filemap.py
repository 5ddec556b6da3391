"""A map of a file in one line of text, which shows at a glance whether damage is in one place or everywhere."""

from __future__ import annotations

from typing import Final

from auditwatch.trail.report import Report

CELLS: Final = 60

_WHOLE, _DAMAGED, _UNLISTED = b".X?"


def file_map(report: Report, most: int = CELLS) -> str:
    """One character for each of at most `most` equal parts of the judged bytes.

    `.` is whole, `X` contains bytes of a damaged line, and `?` comes after the last damaged line that the report lists
    individually, if there are more damaged lines than it lists.

    >>> file_map(Report(bytes=100, lines=10, records=10), 5)
    '.....'
    """
    size, cells = report.bytes, bytearray([_WHOLE]) * min(most, report.bytes)
    if report.defects and report.corrupt_lines > len(report.defects):
        listed = report.defects[-1].offset * len(cells) // size + 1
        cells[listed:] = bytearray([_UNLISTED]) * len(cells[listed:])
    for defect in report.defects:
        first = defect.offset * len(cells) // size
        last = (defect.offset + max(1, defect.length) - 1) * len(cells) // size
        cells[first : last + 1] = bytearray([_DAMAGED]) * (last + 1 - first)
    return cells.decode()
