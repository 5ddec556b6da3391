"""The counters file, byte for byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch.trail import counters
from auditwatch.trail.counters import FILE_BYTES, SLOT_BYTES, Header, Slot

u64 = st.integers(0, 2**64 - 1)
even = st.integers(0, 2**62).map(lambda number: number * 2)
slots = st.builds(Slot, even, u64, u64, u64, st.tuples(*[u64] * 10), st.tuples(*[u64] * 8), u64)


def test_the_header_is_laid_out_as_the_contract_says():
    block = counters.encode_header(Header(bytes(range(16)), 0x0102, 0x0304))
    assert block == (
        b"AUDITW01" + struct.pack("<II", 1, 256) + bytes(range(16)) + struct.pack("<QQ", 0x0102, 0x0304)
    ).ljust(256, b"\0")


def test_a_slot_is_laid_out_as_the_contract_says():
    slot = Slot(2, 3, 4, 5, tuple(range(10, 20)), tuple(range(30, 38)), 99)
    numbers = [2, 3, 4, 5, *range(10, 20), *range(30, 38), 99, 2]
    assert counters.encode_slot(slot) == struct.pack("<24Q", *numbers).ljust(256, b"\0")


def test_the_file_holds_a_header_and_63_slots_of_256_bytes():
    assert FILE_BYTES == 64 * 256
    assert counters.slot_offset(62) + SLOT_BYTES == FILE_BYTES


def test_reasons_are_the_closed_list_and_a_slot_counts_all_but_logged():
    assert " ".join(counters.REASONS) == (
        "disk_full quota io_error read_only permission lock_timeout unserialisable too_long poisoned logged other"
    )
    assert len(counters.FAILURES) == 10
    assert "logged" not in counters.FAILURES


@given(slots)
def test_a_slot_is_read_back_as_it_was_written(slot):
    assert counters.decode_slot(counters.encode_slot(slot)) == slot


@given(slots, even)
def test_a_slot_with_two_generations_is_not_read(slot, other):
    block = bytearray(counters.encode_slot(slot))
    struct.pack_into("<Q", block, 184, other)
    assert (counters.decode_slot(bytes(block)) is None) == (other != slot.generation)


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_without_an_error(data):
    counters.decode(data)
    counters.decode_slot(data)
    counters.decode(counters.encode_header(Header(b"i" * 16)) + data)


@pytest.mark.parametrize("place", [0, 8, 12])
def test_another_magic_version_or_slot_size_is_not_read(place):
    block = bytearray(counters.encode_header(Header(b"i" * 16)))
    block[place] ^= 1
    assert counters.decode_header(bytes(block)) is None


def test_the_total_adds_counts_and_keeps_the_last_failure():
    one = Slot(stored=1, failed=(1,) * 10, lock_waits=(2,) * 8, last_failure_ns=5)
    two = Slot(begun=3, bytes=4, failed=(1,) * 10, last_failure_ns=7)
    total = counters.fold([one, two])
    assert total == Slot(0, 3, 1, 4, (2,) * 10, (2,) * 8, 7)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0, 0), (1e-4, 0), (1.1e-4, 1), (1e-3, 1), (0.01, 2), (0.1, 3), (1, 4), (5, 5), (5.1, 6)],
)
def test_a_wait_falls_into_the_bucket_of_its_bound(seconds, bucket):
    assert counters.wait_bucket(seconds) == bucket
