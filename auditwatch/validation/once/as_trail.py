"""Several files judged as the segments of one trail."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, pairwise

from auditwatch.errors import Unreadable, UsageError, WorkerDied
from auditwatch.files.archives import is_archive
from auditwatch.files.opening import opened
from auditwatch.files.reading import Progress
from auditwatch.ledger.runs import Mode
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.names import printable, segment_number, segment_order, trail_name, uncompressed
from auditwatch.trail.report import MAX_DEFECTS, Defect, Report
from auditwatch.trail.verdict import Trouble
from auditwatch.trail.words import count_text
from auditwatch.validation.once.comparison import Comparison
from auditwatch.validation.once.outcome import MAX_FINDINGS, Outcome, found_in
from auditwatch.validation.once.paths import Options, full_outcome
from auditwatch.validation.ranges import judge_archive
from auditwatch.validation.workers.pool import WorkerPool


def segments_in(directory: str) -> list[str]:
    """The paths of the segments of the one trail in a directory, oldest first; hidden files are ignored.

    Raises:
        Unreadable: The directory cannot be listed.
        UsageError: Going by their names, its files are not the segments of one trail.
    """
    try:
        names = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError as error:
        raise Unreadable("io_error", f"{printable(directory)}: {error.strerror}") from error
    actives = [name for name in names if all(segment_order(name, other) is not None for other in names)]
    if len(actives) != 1:
        raise UsageError(f"{printable(directory)}: going by their names, the files are not the segments of one trail; "
                         "name the files, oldest first")  # fmt: skip
    ordered = sorted(names, key=lambda name: segment_order(actives[0], name) or (0, 0, "", ""))
    return [os.path.join(directory, name) for name in ordered]


async def validate_as_trail(
    path: str, segments: Sequence[str], options: Options, on_progress: Progress | None = None
) -> Outcome:
    """The outcome for a trail; a segment that cannot be checked does not hide what is in the others.

    Args:
        path: What the trail is called in the outcome.
        segments: Paths, oldest first, the active file last.
        options: As for single files; only the last segment may end in pending bytes.
        on_progress: Called with the progress in each segment.
    """
    begun = time.monotonic()
    pool = WorkerPool(options.jobs, background=False)
    trail = trail_name(uncompressed(segments[-1]))
    try:
        outcomes = [
            await _segment(segment, trail, options, pool, on_progress, is_last=segment is segments[-1])
            for segment in segments
        ]
    finally:
        await pool.close()
    return replace(_joined(path, outcomes), seconds=time.monotonic() - begun)


async def _segment(
    path: str, trail: str, options: Options, pool: WorkerPool, on_progress: Progress | None, *, is_last: bool
) -> Outcome:
    options = replace(options, final=options.final or not is_last)
    try:
        with opened(path) as descriptor:
            if is_archive(descriptor, path):
                return _archive(path, trail, descriptor, options)
            return await full_outcome(path, trail, descriptor, options, pool, on_progress)
    except (Unreadable, WorkerDied) as error:
        return Outcome(path, Mode.FULL, trouble=Trouble.of(error))


def _archive(path: str, trail: str, descriptor: int, options: Options) -> Outcome:
    """A compressed file is no longer written to: bytes after its last newline are torn, or unread where it is cut."""
    name = os.path.basename(path)
    found = judge_archive(descriptor, 0, sys.maxsize, options.rules, (), final=True)
    report = replace(found.report, pending_bytes=0)
    cut_in = ((name, found.size),) if found.is_cut else ()
    return Outcome(path, Mode.FULL, report=report, findings=found_in(report.defects, trail, name), cut_in=cut_in)


def _joined(path: str, outcomes: Sequence[Outcome]) -> Outcome:
    names = tuple(os.path.basename(outcome.path) for outcome in outcomes)
    cut_in = tuple(chain.from_iterable(outcome.cut_in for outcome in outcomes))
    unchecked = [outcome.trouble for outcome in outcomes if outcome.trouble]
    if len(unchecked) == len(outcomes):
        return Outcome(path, Mode.FULL, trouble=_first(unchecked))
    return Outcome(
        path,
        Mode.FULL,
        report=_summed([outcome.report for outcome in outcomes]),
        findings=tuple(islice(chain.from_iterable(outcome.findings for outcome in outcomes), MAX_FINDINGS)),
        coverage=(len(outcomes) - len(unchecked) - len(cut_in)) / len(outcomes),
        trouble=_first(unchecked),
        comparison=_compared([outcome.comparison for outcome in outcomes if outcome.comparison]),
        segments=names,
        torn_in=tuple(name for name, outcome in zip(names, outcomes, strict=True) if outcome.report.torn_tail),
        cut_in=cut_in,
        violations={
            **_counted(outcome.violations for outcome in outcomes),
            **_missing(names),
            **({Violation.ARCHIVE_CUT: len(cut_in)} if cut_in else {}),
        },
    )


def _first(troubles: Sequence[Trouble]) -> Trouble | None:
    """The first of them, with the number of the others."""
    if len(troubles) < 2:
        return troubles[0] if troubles else None
    more = count_text(len(troubles) - 1, "more segment")
    return Trouble(troubles[0].reason, f"{troubles[0].message} (and {more})")


def _summed(reports: Sequence[Report]) -> Report:
    """The counts of all reports, with places as if the segments were one file: of use for a map alone."""
    by_kind = {kind: sum(report.by_kind.get(kind, 0) for report in reports) for kind in Kind}
    return Report(
        bytes=sum(report.bytes for report in reports),
        lines=sum(report.lines for report in reports),
        records=sum(report.records for report in reports),
        by_kind={kind: number for kind, number in by_kind.items() if number},
        defects=tuple(islice(_placed(reports), MAX_DEFECTS)),
        torn_tail=sum(report.torn_tail for report in reports),
        pending_bytes=sum(report.pending_bytes for report in reports),
    )


def _placed(reports: Iterable[Report]) -> Iterator[Defect]:
    """The defects one after another, up to the first that a report counts and does not list."""
    lines = offset = 0
    for report in reports:
        yield from (defect.shifted(lines, offset) for defect in report.defects)
        if report.corrupt_lines > len(report.defects):
            return
        lines += report.lines
        offset += report.bytes


def _compared(comparisons: Sequence[Comparison]) -> Comparison | None:
    if not comparisons:
        return None
    return Comparison(
        sum(one.recorded for one in comparisons),
        sum(one.unchanged for one in comparisons),
        sum(one.unchanged_bytes for one in comparisons),
        (),
        any(one.is_shorter for one in comparisons),
        sum(one.history for one in comparisons),
        tuple(chain.from_iterable(one.rewritten for one in comparisons)),
    )


def _counted(found: Iterable[Mapping[Violation, int]]) -> dict[Violation, int]:
    return dict(sum((Counter(one) for one in found), Counter[Violation]()))


def _missing(names: Sequence[str]) -> dict[Violation, int]:
    """Gaps in the numbers that our writer gives segments; the first known segment may have any number."""
    numbers = sorted({number for name in names if (number := segment_number(name)) is not None})
    holes = sum(later - earlier - 1 for earlier, later in pairwise(numbers))
    return {Violation.SEGMENT_MISSING: holes} if holes else {}
