"""One verdict for the same bytes: alone, between good lines, cut anywhere, in every mode, at any depth of the stack."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest

from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.report import Report, merge
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from auditwatch.validation.full import validate_full
from auditwatch.validation.once.stdin import validate_stream
from auditwatch.validation.sample import draw_sample
from auditwatch.validation.workers.pool import WorkerPool
from tests.trail.judge.slow_judge import slow_kind
from tests.trail.vectors import NOT_OBJECTS, REJECTED, WHOLE, choices, documented_vectors, suite

GOOD = b'{"event":"START","n":1}'
OURS = [*WHOLE, *NOT_OBJECTS, *REJECTED, *choices()]
JUDGE = Judge(Rules())


def verdict(line: bytes) -> str:
    kind = JUDGE.kind_of(line)
    return "whole" if kind is None else kind.value


def test_our_own_vectors_are_judged_as_the_rfc_says() -> None:
    assert {line: verdict(line) for line in WHOLE} == dict.fromkeys(WHOLE, "whole")
    assert {line: verdict(line) for line in NOT_OBJECTS} == dict.fromkeys(NOT_OBJECTS, "not_object")
    assert [line for line in REJECTED if verdict(line) in ("whole", "not_object")] == []
    assert {line: verdict(line) for line in OURS} == {line: slow_kind(line) or "whole" for line in OURS}


def test_what_the_rfc_leaves_open_is_judged_as_the_page_says() -> None:
    assert len(choices()) > 15
    assert {line: verdict(line) for line in choices()} == choices()


def test_the_vectors_that_parsers_may_choose_about_are_judged_as_the_page_says() -> None:
    vectors = with_suite("i")
    assert {name: verdict(line) for name, line in vectors.items()} == documented_vectors()


def with_suite(prefix: str) -> dict[str, bytes]:
    vectors = suite(prefix)
    if not vectors:
        pytest.skip("NOT RUN: the JSON test suite is not beside this checkout")
    return vectors


def lines() -> list[bytes]:
    """Our vectors and those of the suite that fit on a line."""
    found = [vector for prefix in "niy" for vector in suite(prefix).values() if b"\n" not in vector]
    assert not found or len(found) > 290
    return OURS + found


def between_good_lines() -> tuple[bytes, dict[int, str]]:
    """All vectors on lines of one file, and by offset what each damaged one is."""
    bodies = [body for line in lines() for body in (GOOD, line)] + [GOOD]
    offsets = accumulate((len(body) + 1 for body in bodies), initial=0)
    expected = {
        offset: verdict(body) for offset, body in zip(offsets, bodies, strict=False) if verdict(body) != "whole"
    }
    return b"".join(body + b"\n" for body in bodies), expected


def full(descriptor: int, size: int) -> Report:
    return asyncio.run(validate_full(descriptor, Rules(), None)).report


def worker(descriptor: int, size: int) -> Report:
    async def judged() -> Report:
        pool = WorkerPool(1)
        try:
            return (await pool.judge(descriptor, 0, size, Rules())).report
        finally:
            await pool.close()

    return asyncio.run(judged())


def sample(descriptor: int, size: int) -> Report:
    return draw_sample(descriptor, size, Rules(), size, seed=1).report


def standard_input(descriptor: int, size: int) -> Report:
    return validate_stream(descriptor, Rules(), final=True).report


def tail(descriptor: int, size: int) -> Report:
    """A live trail that grows by a few bytes at a time: each read begins where the last newline was."""
    reports: list[Report] = []
    judged = 0
    for end in (*range(0, size, 97), size):
        scan = Scan(Rules())
        scan.feed(os.pread(descriptor, end - judged, judged))
        reports.append(scan.take())
        judged += reports[-1].bytes
    return merge(*reports)


@pytest.mark.parametrize("mode", [full, worker, sample, standard_input, tail])
def test_every_mode_gives_each_vector_between_good_lines_its_verdict(
    tmp_path: Path, mode: Callable[[int, int], Report]
) -> None:
    data, expected = between_good_lines()
    (tmp_path / "a.jsonl").write_bytes(data)
    descriptor = os.open(tmp_path / "a.jsonl", os.O_RDONLY)
    try:
        report = mode(descriptor, len(data))
    finally:
        os.close(descriptor)
    assert {defect.offset: defect.kind.value for defect in report.defects} == expected
    assert (report.lines, report.bytes) == (data.count(b"\n"), len(data))


def test_a_vector_cut_at_any_byte_gets_its_verdict() -> None:
    for line in (line for line in lines() if len(line) < 2000):
        data, kinds = GOOD + b"\n" + line + b"\n" + GOOD + b"\n", [] if verdict(line) == "whole" else [verdict(line)]
        for cut in range(len(GOOD), len(data)):
            scan = Scan(Rules())
            scan.feed(data[:cut])
            before = scan.take()
            scan.feed(data[cut:])
            assert [defect.kind.value for defect in (before + scan.finish()).defects] == kinds, (line, cut)


def at_depth(levels: int, line: bytes) -> str:
    return verdict(line) if levels == 0 else at_depth(levels - 1, line)


@pytest.mark.parametrize("levels", [100, 400, 800])
def test_a_vector_gets_its_verdict_at_any_depth_of_the_stack(levels: int) -> None:
    deep = min(levels, sys.getrecursionlimit() - 200)
    assert {line: at_depth(deep, line) for line in lines()} == {line: verdict(line) for line in lines()}
