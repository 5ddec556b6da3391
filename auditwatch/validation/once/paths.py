"""Validate paths once, one after the other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.files.opening import opened
from auditwatch.files.reading import Progress
from auditwatch.ledger.runs import Mode
from auditwatch.trail.grid import Block, Share
from auditwatch.trail.names import distinct_names
from auditwatch.trail.rules import Rules
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.full import Full, OnBlock, validate_full
from auditwatch.validation.once.comparison import Comparison, RecordedBlocks, compared, rewritten_in
from auditwatch.validation.once.outcome import Outcome, found_in
from auditwatch.validation.workers.pool import WorkerPool

STANDARD_INPUT: Final = "-"

HERE_BYTES: Final = 32 << 20
"""Files up to this size are judged in this process: it is done before workers would have started (100 ms each)."""


RecordedBlocksOf = Callable[[str, Rules], RecordedBlocks | None]
"""Returns what an agent recorded about the file at a path, by these rules; None if that should not be used."""


def nothing_recorded(_path: str, _rules: Rules) -> None:
    """No agent is asked."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for.

    Attributes:
        mode: Everything, or a sample. Standard input cannot be sampled: it is read in full.
        lines: Lines in a sample.
        seed: Seed of a sample; None picks one.
        cover: Share of the blocks to judge along with a sample; None for no blocks.
        jobs: Number of worker processes.
        rules: What the lines are judged by.
        final: Whether bytes after the last newline are a torn line.
        digest: Whether to compute the digest of each file.
        recorded_of: Returns what an agent recorded about the file at a path, if that should be used.
    """

    mode: Mode = Mode.FULL
    lines: int = 100
    seed: int | None = None
    cover: Share | None = None
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    rules: Rules = field(default_factory=Rules)
    final: bool = False
    digest: bool = False
    recorded_of: RecordedBlocksOf = nothing_recorded


ProgressOf = Callable[[str], Progress | None]
"""Returns the callback for the progress of validating a path, or None if progress is not shown."""


async def validate_paths(
    paths: Sequence[str], options: Options, progress_of: ProgressOf = lambda _path: None
) -> AsyncIterator[Outcome]:
    """The outcome for each path, as soon as it is known; a path that cannot be read gives an outcome too."""
    pool = WorkerPool(options.jobs, background=False)
    try:
        for path, trail in zip(paths, distinct_names(paths), strict=True):
            yield await _timed(path, trail, options, pool, progress_of(path))
    finally:
        await pool.close()


async def _timed(path: str, trail: str, options: Options, pool: WorkerPool, on_progress: Progress | None) -> Outcome:
    begun = time.monotonic()
    try:
        outcome = await _outcome(path, trail, options, pool, on_progress)
    except (Unreadable, WorkerDied) as error:
        outcome = Outcome(path, options.mode, trouble=Trouble.of(error))
    return replace(outcome, seconds=time.monotonic() - begun)


async def _outcome(path: str, trail: str, options: Options, pool: WorkerPool, on_progress: Progress | None) -> Outcome:
    if path == STANDARD_INPUT:
        return _stream_outcome(options)
    with opened(path) as descriptor:
        if options.mode is Mode.FULL:
            return await full_outcome(path, trail, descriptor, options, pool, on_progress)
        from auditwatch.validation.once.sampled import sample_outcome  # noqa: PLC0415  most validations draw no sample

        return await sample_outcome(path, trail, descriptor, options, pool, on_progress)


def _stream_outcome(options: Options) -> Outcome:
    from auditwatch.validation.once.stdin import validate_stream  # noqa: PLC0415  most validations read files

    stream = validate_stream(0, options.rules, final=options.final, hashed=options.digest)
    return Outcome(
        STANDARD_INPUT,
        Mode.FULL,
        report=stream.report,
        findings=found_in(stream.report.defects, "stdin", STANDARD_INPUT),
        coverage=1.0,
        digest=stream.digest,
    )


async def full_outcome(
    path: str, trail: str, descriptor: int, options: Options, pool: WorkerPool, on_progress: Progress | None
) -> Outcome:
    """The outcome for one open file, judged in full.

    Raises:
        Unreadable: The file cannot be read.
        WorkerDied: A worker ended before it answered.
    """
    size = os.fstat(descriptor).st_size
    small = size <= HERE_BYTES
    recorded = options.recorded_of(path, options.rules)
    seen: dict[tuple[int, int], bytes] = {}
    full = await validate_full(
        descriptor,
        options.rules,
        None if small else pool,
        final=options.final,
        hashed=options.digest,
        recorded=recorded.block if recorded else lambda _k: None,
        on_block=_on_block(on_progress, size, seen if recorded else None),
    )
    comparison = await asyncio.to_thread(_compared, descriptor, recorded, full, size, seen) if recorded else None
    violation = comparison.violation if comparison else None
    return Outcome(
        path,
        Mode.FULL,
        report=full.report,
        findings=found_in(full.report.defects, trail, os.path.basename(path)),
        coverage=1.0,
        digest=full.digest if options.digest else None,
        comparison=comparison,
        violations={violation: 1} if violation else {},
    )


def _on_block(on_progress: Progress | None, size: int, seen: dict[tuple[int, int], bytes] | None) -> OnBlock:
    """What is done with each block: progress is shown, and its digest kept if it will be compared."""

    def take(block: Block, _is_unchanged: bool) -> None:
        if seen is not None and block.digest:
            seen[block.start, block.end] = block.digest
        if on_progress is not None:
            on_progress(block.end, size)

    return take


def _compared(
    descriptor: int, recorded: RecordedBlocks, full: Full, size: int, seen: dict[tuple[int, int], bytes]
) -> Comparison:
    return compared(recorded, full, size, rewritten_in(descriptor, recorded.history, seen))
