"""A sample: one line from each of N equal parts of a file, none twice, in a time that hardly grows with the file."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Final, Literal

from auditwatch.errors import Unreadable
from auditwatch.files.reading import find_newline, find_newline_before, read_chunks
from auditwatch.trail.grid import Block
from auditwatch.trail.report import MAX_DEFECTS, Report, merge
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from auditwatch.validation.line_index import LineIndex, StaleIndex, line_index

DrawnLine = tuple[int, Report]
"""Where a drawn line begins in the file, and the report on it; its defects have offsets in the file, and line 0."""

CONFIDENCE: Final = 0.95
_HALVINGS: Final = 60
"""Bisection steps: more than a double has bits of precision."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn.

    Attributes:
        report: Counts over the drawn lines; its defects have offsets in the file, and line 0.
        lines_end: Offset just after the last newline of the file, or the end of the file if that was final.
        by: What the parts are equal in.
        drawn: The drawn lines individually; the last entry is for the bytes after the last newline.
    """

    report: Report
    lines_end: int
    by: Literal["bytes", "lines"]
    drawn: tuple[DrawnLine, ...]


def draw_sample(
    descriptor: int,
    size: int,
    rules: Rules,
    lines: int,
    seed: int,
    *,
    final: bool = False,
    recorded: Callable[[int], Block | None] = lambda _k: None,
) -> Sample:
    """Judge up to `lines` lines; all of them if the file has no more.

    If all sealed blocks are known, the parts are equal in lines. Otherwise they are equal in bytes, and a long line is
    more likely to be drawn than a short one.

    Args:
        descriptor: A descriptor open for reading.
        size: Size of the file.
        rules: What the lines are judged by.
        lines: How many lines to draw.
        seed: The same seed draws the same lines.
        final: Whether bytes after the last newline are a torn line; it is then always judged.
        recorded: Returns a sealed block as it was judged before.

    Raises:
        Unreadable: io_error, with the offset.
    """
    newline = find_newline_before(descriptor, size)
    end = 0 if newline is None else newline + 1
    tail = _judged(descriptor, end, size, Scan(rules), final=True) if final and size > end else _pending(size - end)
    index = line_index(descriptor, end, recorded)
    by: Literal["bytes", "lines"] = "bytes" if index is None else "lines"
    try:
        reports = _by_lines(index, descriptor, rules, lines, seed) if index else None
    except StaleIndex:
        reports, by = None, "bytes"
    if reports is None:
        drawing = _Drawing(descriptor, end, Scan(rules), _random(seed))
        drawing.draw(min(lines, end))
        reports = drawing.reports
    drawn = (*reports, (end, tail))
    return Sample(together(report for _, report in drawn), size if final else end, by, drawn)


def _by_lines(index: LineIndex, descriptor: int, rules: Rules, lines: int, seed: int) -> list[DrawnLine]:
    """One line from each of the parts, which are equal ranges of line numbers."""
    scan, random, total = Scan(rules), _random(seed), index.lines
    parts = min(lines, total)
    numbers = [random.randrange(total * part // parts, total * (part + 1) // parts) for part in range(parts)]
    spans = (index.span(number) for number in numbers)
    return [(start, _judged(descriptor, start, stop, scan)) for start, stop in spans]


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311  reproducible on purpose; nothing secret depends on it


def upper_bound(corrupt: int, lines: int) -> float:
    """The highest ratio of corrupt lines that is consistent with the sample: one-sided Clopper-Pearson.

    >>> round(upper_bound(0, 100), 4), upper_bound(0, 0), upper_bound(3, 3)
    (0.0295, 1.0, 1.0)
    """
    if corrupt >= lines:
        return 1.0
    if corrupt == 0:
        return float(1 - (1 - CONFIDENCE) ** (1 / lines))
    low, high = corrupt / lines, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(corrupt, lines, middle) > 1 - CONFIDENCE else (low, middle)
    return high


def _at_most(corrupt: int, lines: int, ratio: float) -> float:
    """The probability of at most `corrupt` corrupt lines at this ratio."""
    if ratio >= 1:
        return 0.0
    odds, rest = math.log(ratio), math.log1p(-ratio)
    whole = math.lgamma(lines + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(lines - k + 1) + k * odds + (lines - k) * rest)
        for k in range(corrupt + 1)
    )


class _Drawing:
    """Draws lines without replacement; `_spans` are the drawn ones, in the order of the file."""

    def __init__(self, descriptor: int, end: int, scan: Scan, random: Random) -> None:
        self.reports: list[DrawnLine] = []
        self._descriptor = descriptor
        self._end = end
        self._scan = scan
        self._random = random
        self._spans: list[tuple[int, int]] = []

    def draw(self, lines: int) -> None:
        """Draw one line from each part; if long lines fill several parts, draw more from the rest of the file."""
        for part in range(lines):
            start, stop = self._end * part // lines, self._end * (part + 1) // lines
            self._draw_at(self._random.randrange(start, stop))
        while len(self._spans) < lines and (gaps := self._gaps()):
            for start, stop in self._random.sample(gaps, min(len(gaps), lines - len(self._spans))):
                self._draw_at(self._random.randrange(start, stop))

    def _draw_at(self, offset: int) -> None:
        """Draw the line, with its newline, to which this byte belongs, unless it was drawn before."""
        before = bisect_right(self._spans, (offset, self._end)) - 1
        if before >= 0 and offset < self._spans[before][1]:
            return
        newline = find_newline_before(self._descriptor, offset)
        start = 0 if newline is None else newline + 1
        last = find_newline(self._descriptor, offset, self._end)
        stop = self._end if last is None else last + 1
        insort(self._spans, (start, stop))
        self.reports.append((start, _judged(self._descriptor, start, stop, self._scan)))

    def _gaps(self) -> list[tuple[int, int]]:
        starts = [0, *(stop for _, stop in self._spans)]
        stops = [*(start for start, _ in self._spans), self._end]
        return [(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]


def _judged(descriptor: int, start: int, end: int, scan: Scan, *, final: bool = False) -> Report:
    for chunk in read_chunks(descriptor, start, end):
        scan.feed(chunk)
    if scan.pending_bytes and not final:
        raise Unreadable("changed", f"the file shrank while it was read: the line at offset {start} is cut off")
    report = scan.finish(final=True) if final else scan.take()
    return replace(report, defects=tuple(replace(defect, line=0, offset=start) for defect in report.defects))


def together(reports: Iterable[Report]) -> Report:
    """The counts added up, with the first defects; they keep their places in the file."""
    reports = list(reports)
    counts = merge(*(replace(report, defects=()) for report in reports))
    defects = sorted((defect for report in reports for defect in report.defects), key=lambda defect: defect.offset)
    return replace(counts, defects=tuple(defects[:MAX_DEFECTS]))


def _pending(size: int) -> Report:
    return Report(pending_bytes=size)
