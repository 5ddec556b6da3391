"""What a file still holds of a recorded history whose start was dropped; nothing is called proved that is not."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from blake3 import blake3

from auditwatch.agent.compaction import Kept, kept_of, last_print
from auditwatch.agent.prober import Prober
from auditwatch.ledger.segment import Anchor, Fingerprint, Former
from auditwatch.trail.grid import BLOCK_BYTES, BlockDigest, block_ranges
from auditwatch.trail.sketch import Sketch, extended

DICE = random.Random(10)
SMALL = b"".join(b'{"n":%d,"x":"%x"}\n' % (n, DICE.getrandbits(200)) for n in range(2000))
LARGE = b"".join(b'{"n":%d,"x":"%x"}\n' % (n, DICE.getrandbits(8000)) for n in range(6000))


def printed(data: bytes) -> Fingerprint:
    return Fingerprint(len(data), blake3(data).hexdigest())


def recorded(data: bytes, known: tuple[BlockDigest, ...]) -> Former:
    sketch = extended(Sketch(), lambda offset, length: data[offset : offset + length], 0, len(data))
    return Former(7, Anchor(len(data), printed(data[:4096]), printed(data[-4096:])), sketch, known)


def blocks(data: bytes) -> tuple[BlockDigest, ...]:
    def newline(offset: int) -> int | None:
        found = data.find(b"\n", offset)
        return None if found < 0 else found

    ranges = block_ranges(len(data), newline)
    return tuple(BlockDigest(start, end, blake3(data[start:end]).hexdigest()) for _, start, end in ranges)


def kept(tmp_path: Path, before: bytes, now: bytes, known: tuple[BlockDigest, ...] = ()) -> Kept | None:
    path = tmp_path / "now.jsonl"
    path.write_bytes(now)
    prober, descriptor = Prober("test"), os.open(path, os.O_RDONLY)
    try:
        return asyncio.run(kept_of(recorded(before, known), descriptor, prober))
    finally:
        os.close(descriptor)
        prober.close()


def line_start(data: bytes, near: int) -> int:
    return data.index(b"\n", near) + 1


def test_by_how_much_everything_moved_and_that_sampled_lines_are_there(tmp_path: Path) -> None:
    dropped = line_start(SMALL, len(SMALL) // 3)
    found = kept(tmp_path, SMALL, SMALL[dropped:] + b'{"appended":1}\n' * 50)
    assert found is not None
    assert (found.dropped, found.rest, found.proved) == (dropped, len(SMALL) - dropped, 4096)
    assert found.lines == found.sampled > 10
    assert found.sentence.startswith(f"{dropped:,} bytes of the start dropped; of the other ")
    assert "changed as well" not in found.sentence


def test_blocks_of_the_rest_are_proved_by_their_digests(tmp_path: Path) -> None:
    dropped = line_start(LARGE, BLOCK_BYTES // 2)
    known = blocks(LARGE)
    found = kept(tmp_path, LARGE, LARGE[dropped:], known)
    assert found is not None
    assert found.proved == len(LARGE) - known[1].start
    assert f"{found.proved:,} are proved to be as recorded" in found.sentence


def test_where_whole_blocks_were_dropped_the_rest_is_as_recorded(tmp_path: Path) -> None:
    known = blocks(LARGE)
    found = kept(tmp_path, LARGE, LARGE[known[1].start :], known)
    assert found is not None
    assert found.proved == found.rest
    assert found.sentence == (
        f"{known[1].start:,} bytes of the start dropped; the other {found.rest:,} recorded bytes are as recorded"
    )


def test_a_changed_byte_in_the_rest_is_never_called_as_recorded(tmp_path: Path) -> None:
    known = blocks(LARGE)
    now = bytearray(LARGE[known[1].start :])
    now[100] ^= 1
    found = kept(tmp_path, LARGE, bytes(now), known)
    assert found is not None
    assert found.proved == len(LARGE) - known[2].start < found.rest


def test_a_sampled_line_that_moved_is_said(tmp_path: Path) -> None:
    dropped = line_start(SMALL, len(SMALL) // 3)
    rest = SMALL[dropped:]
    cut = line_start(rest, len(rest) // 2)
    moved = rest[:cut][1:] + b"\n" + rest[cut:]
    found = kept(tmp_path, SMALL, moved)
    assert found is not None
    assert found.lines < found.sampled
    assert found.sentence.endswith("so something else was changed as well")


@pytest.mark.parametrize(
    "now", [b"", b"{}\n", SMALL[: len(SMALL) // 2], SMALL.replace(b'"n":1999', b'"n":2999'), SMALL[:-1]]
)
def test_without_its_last_bytes_nothing_can_be_proved(now: bytes, tmp_path: Path) -> None:
    assert kept(tmp_path, SMALL, now) is None


def test_bytes_that_were_put_in_front_are_no_compaction(tmp_path: Path) -> None:
    assert kept(tmp_path, SMALL, b'{"inserted":1}\n' + SMALL) is None


def test_of_several_occurrences_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    path.write_bytes(b"{}\n" * 10)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert [last_print(descriptor, printed(b"{}\n" * 2), 6, end) for end in (30, 29, 8, 6)] == [30, 27, 6, 6]
        assert last_print(descriptor, printed(b"[]\n"), 3, 30) is None
    finally:
        os.close(descriptor)
