"""The outcome of a sample of one file, with a share of its blocks if that is asked for."""

from __future__ import annotations

import os
import secrets

from auditwatch.files.reading import Progress
from auditwatch.ledger.runs import Mode
from auditwatch.validation.cover import Cover, cover_share
from auditwatch.validation.once.outcome import Outcome, Sampling, found_in
from auditwatch.validation.once.paths import HERE_BYTES, Options
from auditwatch.validation.sample import draw_sample, upper_bound
from auditwatch.validation.workers.pool import WorkerPool


async def sample_outcome(
    path: str, trail: str, descriptor: int, options: Options, pool: WorkerPool, on_progress: Progress | None
) -> Outcome:
    """What lines drawn from the whole file say of it.

    Raises:
        Unreadable: The file cannot be read.
        WorkerDied: A worker ended before it answered.
    """
    seed = secrets.randbits(32) if options.seed is None else options.seed
    size = os.fstat(descriptor).st_size
    known = options.recorded_of(path, options.rules)
    recorded = known.block if known else lambda _k: None
    sample = draw_sample(descriptor, size, options.rules, options.lines, seed, final=options.final, recorded=recorded)
    drawn = sample.report.lines + sample.report.torn_tail
    cover = Cover()
    if options.cover is not None:
        workers = None if size <= HERE_BYTES else pool
        cover = await cover_share(descriptor, size, options.cover, options.rules, workers, recorded, on_progress)
    report = cover.with_sample(sample)
    return Outcome(
        path,
        Mode.SAMPLE,
        report=report,
        findings=found_in(report.defects, trail, os.path.basename(path)),
        coverage=report.bytes / sample.lines_end if sample.lines_end else 1.0,
        sampling=Sampling(
            drawn, sample.by, seed, upper_bound(sample.report.corrupt_lines, drawn), options.cover, len(cover.ranges)
        ),
    )
