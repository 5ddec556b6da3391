"""A sketch tells copies from new files, however the bytes arrived."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail.sketch import HASHED_BYTES, MOST_LINES, Overlap, ReadAt, Sketch, extended, overlap


def reader(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def sketch_of(data: bytes, *stops: int) -> Sketch:
    """The sketch of whole lines, taken up to each of these places in turn."""
    sketch, start = Sketch(), 0
    for stop in (*stops, len(data)):
        end = data.rfind(b"\n", 0, stop) + 1
        if end > start:
            sketch, start = extended(sketch, reader(data), start, end), end
    return sketch


def lines(number: int, seed: int = 1) -> list[bytes]:
    source = random.Random(seed)
    return [b'{"n":%d,"of":%d,"x":"%s"}\n' % (n, seed, b"y" * source.randrange(60)) for n in range(number)]


def common(sketch: Sketch, data: bytes) -> Overlap:
    return overlap(sketch, reader(data), len(data))


@given(st.lists(st.integers(0, 300), max_size=200), st.lists(st.integers(0, 30_000), max_size=5).map(sorted))
def test_the_sketch_is_the_same_however_the_lines_arrived(lengths: list[int], stops: list[int]) -> None:
    data = b"".join(b"%d:%s\n" % (n, b"x" * length) for n, length in enumerate(lengths))
    whole = sketch_of(data)
    assert sketch_of(data, *stops) == whole
    assert len(whole.lines) <= MOST_LINES + 1
    found = common(whole, data)
    assert (found.shared, found.in_place) == (len(whole.hashes), len(whole.lines))


@pytest.mark.parametrize("number", [20, 100, 5000, 50_000])
def test_a_sketch_covers_all_of_a_file(number: int) -> None:
    data = b"".join(lines(number))
    sketch = sketch_of(data)
    assert sketch.is_telling
    assert len(sketch.lines) >= min(number, MOST_LINES // 4)
    assert sketch.lines[0][0] == 0
    assert sketch.lines[-1][0] >= len(data) - 2 * max(sketch.stride, 60)


def test_an_edited_copy_is_known_although_everything_moved() -> None:
    original = lines(2000)
    sketch = sketch_of(b"".join(original))
    edited = b"".join([b'{"new":1}\n', *original[:700], *original[701:]])
    found = common(sketch, edited)
    assert found.shared >= len(sketch.hashes) - 1
    assert found.late
    assert found.in_place == 0


def test_another_file_with_the_same_header_is_not() -> None:
    header, *rest = lines(2000)
    sketch = sketch_of(header + b"".join(rest))
    found = common(sketch, header + b"".join(lines(2000, seed=2)))
    assert (found.shared, found.late, found.in_place) == (1, 0, 1)


def test_a_prefix_has_every_comparable_line_in_its_place() -> None:
    original = lines(2000)
    sketch = sketch_of(b"".join(original))
    prefix = b"".join(original)[: len(b"".join(original)) // 3]
    found = common(sketch, prefix)
    assert 0 < found.comparable < len(sketch.lines)
    assert found.in_place == found.comparable


def test_lines_that_repeat_tell_nothing() -> None:
    assert not sketch_of(b'{"event":"HEARTBEAT"}\n' * 5000).is_telling
    assert not sketch_of(b"".join(lines(10))).is_telling


def test_a_line_longer_than_what_is_hashed_counts_by_its_beginning() -> None:
    long = b"x" * (HASHED_BYTES + 10)
    sketch = sketch_of(b"a\n" + long + b"\nb\n")
    found = common(sketch, b"a\n" + long + b"y\n" + b"b\n")
    assert found.shared == len(sketch.hashes)


def test_a_file_that_ends_early_is_read_to_where_it_ends() -> None:
    data = b"".join(lines(500))
    assert overlap(sketch_of(data), reader(data[:1000]), len(data)).shared > 0
