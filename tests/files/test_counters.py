"""Reading a counters file: hostile ones, and true ones that change meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auditwatch.errors import Unreadable
from auditwatch.files import counters as reading
from auditwatch.files.counters import read_counters
from auditwatch.trail.counters import FILE_BYTES, Header, Slot, encode_header, encode_slot, slot_offset
from auditwatch.writer import slots

HEADER = encode_header(Header(b"i" * 16))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".audit.jsonl.counters"
    lay_out(path, encode_slot(Slot(2, stored=10)), encode_slot(Slot(4, stored=5)))
    return path


def lay_out(path: Path, *blocks: bytes) -> None:
    path.write_bytes((HEADER + b"".join(blocks)).ljust(FILE_BYTES, b"\0"))


def test_all_slots_are_added_up(file: Path) -> None:
    found = read_counters(str(file))
    assert (found.header.id, found.total.stored, found.unsettled) == (b"i" * 16, 15, 0)


@pytest.mark.parametrize("size", [0, 1, 256, 512, FILE_BYTES - 1, FILE_BYTES + 1, 1 << 40])
def test_a_file_of_another_size_is_none(file: Path, size: int) -> None:
    os.truncate(file, size)
    with pytest.raises(Unreadable) as caught:
        read_counters(str(file))
    assert caught.value.reason == "not_counters"


@pytest.mark.parametrize("data", [bytes(FILE_BYTES), b"\xff" * FILE_BYTES, b'{"a":1}\n' * (FILE_BYTES // 8)])
def test_other_contents_are_none_and_are_not_shown(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(Unreadable, match=r"\.audit\.jsonl\.counters: not a counters file of this version$"):
        read_counters(str(file))


def test_a_slot_that_stays_half_written_is_said_and_the_others_count(file: Path) -> None:
    lay_out(file, encode_slot(Slot(2, stored=10)), encode_slot(Slot(4, stored=5))[:-72] + bytes(72))
    found = read_counters(str(file))
    assert (found.unsettled, found.total.stored) == (1, 10)


def test_counts_that_move_while_they_are_read_are_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_bytes, calls = reading._bytes, []

    def folded_meanwhile(descriptor: int, number: int) -> bytes:
        data = true_bytes(descriptor, number)
        if not calls:  # read before, and then slot 1 moves into slot 0
            with open(file, "r+b") as other:
                os.pwrite(other.fileno(), encode_slot(Slot(4, stored=15)), slot_offset(0))
        calls.append(number)
        return data

    monkeypatch.setattr(reading, "_bytes", folded_meanwhile)
    found = read_counters(str(file))
    assert (found.total.stored, len(calls)) == (20, 6)


@contextmanager
def counting(file: Path, published: list[int], intended: list[int]) -> Iterator[threading.Thread]:
    """A thread in which one process after the other counts and dies, and the next takes up what it counted."""

    def work() -> None:
        for _ in range(300):
            descriptor = os.open(file, os.O_RDWR)
            offset, _ = slots.claim(descriptor)
            for number in range(1, 4):
                intended[0] += 1
                os.pwrite(descriptor, encode_slot(Slot(2 * number, stored=number)), offset)
                published[0] += 1
            os.close(descriptor)

    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join()


@pytest.mark.concurrency
def test_what_is_settled_is_what_was_counted_while_processes_come_and_go(file: Path) -> None:
    published, intended, settled = [15], [15], 0
    with counting(file, published, intended) as thread:
        while thread.is_alive():
            low = published[0]
            found = read_counters(str(file))
            if not found.unsettled:
                settled += 1
                assert low <= found.total.stored <= intended[0]
    assert settled
    assert read_counters(str(file)).total.stored == published[0] == 915
