"""Every Nth block of a file, judged along with a sample: all shares, run in turn, cover the whole file."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from auditwatch.files.reading import Progress
from auditwatch.trail.grid import Block, Share
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.validation.full import Recorded, judged_blocks
from auditwatch.validation.sample import Sample, together
from auditwatch.validation.workers.pool import WorkerPool


@dataclass(slots=True)
class Cover:
    """The judged blocks of a share.

    Attributes:
        report: Report on all of them; its defects have offsets in the file, and line 0.
        ranges: Start and end of each block, in order.
    """

    report: Report = field(default_factory=Report)
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def with_sample(self, sample: Sample) -> Report:
        """The report on these blocks and on the drawn lines outside them: no line counts twice."""
        outside = (report for start, report in sample.drawn if not self._holds(start))
        return together([self.report, *outside])

    def add(self, block: Block) -> None:
        """Add a block, without its pending bytes: the sample counts those."""
        defects = tuple(replace(d, line=0, offset=d.offset + block.start) for d in block.report.defects)
        self.report = together([self.report, replace(block.report, defects=defects, pending_bytes=0)])
        self.ranges.append((block.start, block.end))

    def _holds(self, offset: int) -> bool:
        at = bisect_right(self.ranges, offset, key=lambda found: found[0])
        return at > 0 and offset < self.ranges[at - 1][1]


async def cover_share(
    descriptor: int,
    size: int,
    share: Share,
    rules: Rules,
    pool: WorkerPool | None,
    recorded: Recorded,
    on_progress: Progress | None,
) -> Cover:
    """Judge the blocks of a share.

    Raises:
        Unreadable: The file cannot be read, or shrank by more than its pending bytes while it was read.
        WorkerDied: A worker ended before it answered.
    """
    cover = Cover()
    judged = judged_blocks(descriptor, rules, pool, size, hashed=False, recorded=recorded, wanted=share.holds)
    async with aclosing(judged):
        async for block, _ in judged:
            cover.add(block)
            if on_progress is not None:
                on_progress(block.end, size)
    return cover
