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
"""Where in the file lines begin, and what they are; their defects have their offsets in the file, and line 0."""

CONFIDENCE: Final = 0.95
_HALVINGS: Final = 60
"""Bisection steps: more than a double has bits."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn.

    Attributes:
        report: Counts over the drawn lines; its defects have their offsets in the file, and line 0.
        lines_end: Just behind the last newline of the file, or its end if that was final.
        by: What the parts are equal in.
        drawn: The lines one by one; the last is what lies behind the last newline.
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
    """Judge up to `lines` lines: all of them if the file has no more.

    Where all sealed blocks are known the parts are equal in lines. Elsewhere they are equal in bytes: a long line is
    likelier to be drawn than a short one.

    Args:
        descriptor: Open for reading.
        size: Of the file.
        rules: What decides.
        lines: How many to draw.
        seed: The same draws the same.
        final: Whether bytes behind the last newline are a torn line; it is then always looked at.
        recorded: Gives a sealed block as it was judged before.

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
    """One line from each part of the numbers."""
    scan, random, total = Scan(rules), _random(seed), index.lines
    parts = min(lines, total)
    numbers = [random.randrange(total * part // parts, total * (part + 1) // parts) for part in range(parts)]
    spans = (index.span(number) for number in numbers)
    return [(start, _judged(descriptor, start, stop, scan)) for start, stop in spans]


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311  reproducible, guards nothing


def upper_bound(corrupt: int, lines: int) -> float:
    """Highest ratio of corrupt lines that so many among so many do not speak against: one-sided Clopper-Pearson.

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
    """Probability of at most so many corrupt lines at this ratio."""
    if ratio >= 1:
        return 0.0
    odds, rest = math.log(ratio), math.log1p(-ratio)
    whole = math.lgamma(lines + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(lines - k + 1) + k * odds + (lines - k) * rest)
        for k in range(corrupt + 1)
    )


class _Drawing:
    """Draws lines without replacement; `spans` are the drawn ones, in order of place."""

    def __init__(self, descriptor: int, end: int, scan: Scan, random: Random) -> None:
        self.reports: list[DrawnLine] = []
        self._descriptor = descriptor
        self._end = end
        self._scan = scan
        self._random = random
        self._spans: list[tuple[int, int]] = []

    def draw(self, lines: int) -> None:
        """One from each part; where long lines fill several parts, more from what is left."""
        for part in range(lines):
            start, stop = self._end * part // lines, self._end * (part + 1) // lines
            self._draw_at(self._random.randrange(start, stop))
        while len(self._spans) < lines and (gaps := self._gaps()):
            for start, stop in self._random.sample(gaps, min(len(gaps), lines - len(self._spans))):
                self._draw_at(self._random.randrange(start, stop))

    def _draw_at(self, offset: int) -> None:
        """Draw the line that this byte belongs to, its newline included, unless it was drawn before."""
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
        raise Unreadable("changed", f"the file shrank while it was read: line at offset {start} is cut off")
    report = scan.finish(final=True) if final else scan.take()
    return replace(report, defects=tuple(replace(defect, line=0, offset=start) for defect in report.defects))


def together(reports: Iterable[Report]) -> Report:
    """Counts added up; the defects, the first of them, keep their places in the file."""
    reports = list(reports)
    counts = merge(*(replace(report, defects=()) for report in reports))
    defects = sorted((defect for report in reports for defect in report.defects), key=lambda defect: defect.offset)
    return replace(counts, defects=tuple(defects[:MAX_DEFECTS]))


def _pending(size: int) -> Report:
    return Report(pending_bytes=size)
