"""A sample: fair, without replacement, and no bolder than it may be."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules
from auditwatch.validation.sample import Sample, draw_sample, upper_bound


@contextmanager
def opened(path: Path, data: bytes) -> Iterator[tuple[int, int]]:
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor, len(data)
    finally:
        os.close(descriptor)


def drawn(path: Path, data: bytes, lines: int, *, seed: int = 1, final: bool = False) -> Sample:
    with opened(path, data) as (descriptor, size):
        return draw_sample(descriptor, size, Rules(), lines, seed, final=final)


def test_a_file_with_fewer_lines_is_read_whole(tmp_path: Path) -> None:
    data = b'{"a":1}\n' * 30 + b"x" * 5000 + b"\n" + b'{"b":2}\n' * 19 + b"pending"
    report = drawn(tmp_path / "a", data, 1000).report
    assert (report.lines, report.records, report.bytes) == (50, 49, data.rindex(b"\n") + 1)
    assert (report.pending_bytes, report.by_kind) == (7, {Kind.INVALID_JSON: 1})
    assert report.defects[0].offset == 240


@pytest.mark.parametrize("seed", range(20))
def test_no_line_is_drawn_twice_and_as_many_as_asked_for(tmp_path: Path, seed: int) -> None:
    data = b"".join(b'{"n":' + str(n).encode() + b'}x"\n' + b"y" * (n % 7 * 50) + b"\n" for n in range(200))
    report = drawn(tmp_path / "a", data, 60, seed=seed).report
    offsets = [defect.offset for defect in report.defects]
    assert report.lines == 60 == len(set(offsets))
    assert offsets == sorted(offsets)
    for defect in report.defects:
        assert data[: defect.offset].endswith(b"\n") or defect.offset == 0
        assert data[defect.offset + defect.length] == 0x0A


def test_the_same_seed_draws_the_same_and_another_one_draws_others(tmp_path: Path) -> None:
    data = b"".join(b"%d x\n" % n for n in range(5000))
    first, again, other = (drawn(tmp_path / "a", data, 20, seed=seed) for seed in (7, 7, 8))
    assert first == again != other


def test_every_part_of_the_file_gives_one_line(tmp_path: Path) -> None:
    data = b"12345 x\n" * 1000
    offsets = [defect.offset for defect in drawn(tmp_path / "a", data, 10).report.defects]
    assert [offset * 10 // len(data) for offset in offsets] == list(range(10))


@pytest.mark.parametrize(("data", "pending"), [(b"", 0), (b"pending", 7)])
def test_a_file_without_lines_gives_an_empty_sample(tmp_path: Path, data: bytes, pending: int) -> None:
    report = drawn(tmp_path / "a", data, 10).report
    assert (report.lines, report.pending_bytes) == (0, pending)


def test_a_final_torn_tail_is_always_looked_at(tmp_path: Path) -> None:
    report = drawn(tmp_path / "a", b'{"a":1}\n' * 1000 + b'{"b":', 5, final=True).report
    assert (report.lines, report.torn_tail, report.by_kind) == (5, 1, {Kind.TORN: 1})
    assert report.defects[0].offset == 8000


@pytest.mark.parametrize(("corrupt", "lines"), [(0, 1), (0, 100), (1, 100), (5, 40), (99, 100), (3, 3), (7, 10_000)])
def test_the_bound_is_where_the_sample_becomes_implausible(corrupt: int, lines: int) -> None:
    bound = upper_bound(corrupt, lines)
    at_most = sum(math.comb(lines, k) * bound**k * (1 - bound) ** (lines - k) for k in range(corrupt + 1))
    if corrupt < lines:
        assert math.isclose(at_most, 0.05, rel_tol=1e-6)
    else:
        assert bound == 1.0
    assert bound > corrupt / lines or bound == 1.0


def test_nothing_looked_at_supports_nothing() -> None:
    assert upper_bound(0, 0) == 1.0
