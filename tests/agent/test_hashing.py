"""What a prober hashes again: exactly the blocks that a stream of the same bytes has, wherever calls cut it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditwatch.agent import hashing
from auditwatch.agent.hashing import hash_blocks, hash_lines, lines_around
from auditwatch.agent.place import Place
from auditwatch.errors import Unreadable
from auditwatch.ledger.segment import Segment
from auditwatch.trail import grid
from auditwatch.trail.grid import BlockDigest, BlockHasher
from tests.agent.running import records


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(hashing, "CALL_BYTES", 2000)


def known(path: Path) -> tuple[Place, Segment]:
    status = path.stat()
    return Place(str(path)), Segment(1, path.name, status.st_dev, status.st_ino, status.st_size, 1.0)


def blocks(data: bytes) -> tuple[BlockDigest, ...]:
    hasher = BlockHasher(0)
    hasher.feed(data)
    return hasher.taken()


def test_lines_that_were_never_hashed_get_the_digests_of_a_stream(trail: Path) -> None:
    data = records(400)
    trail.write_bytes(data + b'{"pending":')
    found: list[BlockDigest] = []
    while (start := found[-1].end if found else 0) < len(data):
        found += hash_lines(*known(trail), start, len(data)).digests
    assert tuple(found) == blocks(data)


def test_a_line_longer_than_a_call_is_hashed_whole(trail: Path) -> None:
    data = b'{"long":"' + b"x" * 9000 + b'"}\n' + records(200)
    trail.write_bytes(data)
    first = hash_lines(*known(trail), 0, len(data)).digests
    assert first == blocks(data)[: len(first)]
    assert first[0].end == data.index(b"\n") + 1


def test_blocks_are_hashed_as_they_are_and_left_out_where_the_file_ends_before_them(trail: Path) -> None:
    data = records(200)
    trail.write_bytes(data)
    place, segment = known(trail)
    assert hash_blocks(place, segment, blocks(data)).digests == blocks(data)
    os.truncate(trail, len(data) - 1)
    assert hash_blocks(place, segment, blocks(data)).digests == blocks(data)[:-1]


def test_another_file_is_not_hashed(trail: Path, tmp_path: Path) -> None:
    place, segment = known(trail)
    other = tmp_path / "other"
    other.write_bytes(trail.read_bytes())
    other.replace(trail)
    with pytest.raises(Unreadable) as caught:
        hash_blocks(place, segment, blocks(records(3)))
    assert caught.value.reason == "changed"


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 5, (0, 9)), (9, 18, (9, 18)), (12, 20, (9, 25)), (12, 30, (9, 30))]
)
def test_a_range_is_extended_to_whole_lines(trail: Path, start: int, end: int, expected: tuple[int, int]) -> None:
    trail.write_bytes(b'{"a":11}\n{"a":22}\n{"":3}\n{"a":')
    with trail.open("rb") as file:
        assert lines_around(file.fileno(), start, end, 30) == expected
