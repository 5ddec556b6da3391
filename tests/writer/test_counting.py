"""The counters file: exact, and never a reason for an append to fail."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import time
import warnings

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail import counters
from auditwatch.trail.counters import FILE_BYTES, Header, Slot
from auditwatch.writer import slots
from auditwatch.writer.counting import counting_of


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def file(tmp_path):
    return tmp_path / ".audit.jsonl.counters"


def read(file):
    return counters.decode(file.read_bytes())


def due(writer):
    """Let the writer look at its counters file with the next append, as it does once a second."""
    writer._appender._counting._look_at = 0.0


def test_the_file_is_there_with_the_mode_of_the_trail_as_soon_as_the_writer_is(trail, file):
    with AuditWriter(trail):
        assert file.stat().st_size == FILE_BYTES
        assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(trail.stat().st_mode)
        assert read(file).total == Slot()


def test_records_bytes_and_failures_are_counted(trail, file):
    with AuditWriter(trail, max_line_bytes=60, timestamp_field=None) as writer:
        writer.append({"a": 1})
        writer.append_line(b'{"b":2}')
        for bad in ({"a": float("nan")}, {"a": "x" * 60}, {"a": {1}}):
            with pytest.raises(AuditWriteError):
                writer.append(bad)
        total = read(file).total
    assert (total.begun, total.stored, total.bytes) == (5, 2, trail.stat().st_size)
    assert dict(zip(counters.FAILURES, total.failed, strict=True)) == {
        **dict.fromkeys(counters.FAILURES, 0), "unserialisable": 2, "too_long": 1,
    }  # fmt: skip
    assert total.lock_waits == (2, 0, 0, 0, 0, 0, 0, 0)
    assert total.last_failure_ns > 0


def test_what_a_front_refuses_fails_and_counts_as_in_append(trail, file):
    heard = []
    writer, asked = AuditWriter(trail), AuditWriter(trail, on_failure=heard.append)
    with pytest.raises(AuditWriteError, match="not stored: half a trade") as caught:
        writer.refuse("half a trade")
    asked.refuse("two halves", records=2)
    assert [(error.reason, error.stored) for error in (caught.value, *heard)] == [("unserialisable", "no")] * 2
    assert read(file).total.failed[counters.FAILURES.index("unserialisable")] == 3


def test_what_a_front_drops_is_counted_and_neither_raised_nor_told(trail, file):
    heard = []
    AuditWriter(trail).count_dropped(1)
    AuditWriter(trail, on_failure=heard.append).count_dropped(2)
    assert heard == []
    assert read(file).total.failed[counters.FAILURES.index("other")] == 3


def test_a_recovery_record_is_not_counted(trail, file):
    trail.write_bytes(b"{torn")
    with AuditWriter(trail, timestamp_field=None) as writer:
        writer.append({"a": 1})
    assert (read(file).total.stored, read(file).total.bytes) == (1, len(b'{"a":1}\n'))


def test_two_writers_of_one_process_share_one_slot(trail, file):
    one, two = AuditWriter(trail), AuditWriter(trail)
    one.append({})
    two.append({})
    assert [slot.stored for slot in read(file).slots.values()] == [2]


def test_what_ended_processes_counted_is_taken_up_and_their_slots_are_used_again(trail, file, run):
    script = "from auditwatch import AuditWriter\nw = AuditWriter(sys.argv[1])\nfor _ in range(3): w.append({})"
    for _ in range(4):
        run(script, trail)
    with AuditWriter(trail) as writer:
        writer.append({})
        found = read(file)
    assert {number: slot.stored for number, slot in found.slots.items()} == {0: 12, 1: 1}


def lay_out(file, *blocks):
    data = counters.encode_header(Header(b"i" * 16)) + b"".join(blocks)
    file.write_bytes(data.ljust(FILE_BYTES, b"\0"))


def test_a_kill_at_any_step_of_folding_neither_loses_nor_doubles_counts(file, monkeypatch):
    true_pwrite = os.pwrite
    base, dead = Slot(generation=6, stored=10), Slot(generation=8, stored=5)
    kills = 0
    for steps in range(5):
        lay_out(file, counters.encode_slot(base), counters.encode_slot(dead))
        left = iter(range(steps))

        def pwrite_or_die(fd, data, offset, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return true_pwrite(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite_or_die)
        descriptor = os.open(file, os.O_RDWR)
        try:
            slots.claim(descriptor)
        except KeyboardInterrupt:
            kills += 1
        os.close(descriptor)
        monkeypatch.undo()
        descriptor = os.open(file, os.O_RDWR)
        slots.claim(descriptor)
        os.close(descriptor)
        assert read(file).total.stored == 15
    assert kills >= 3


def marked(mark, slot):
    """A slot that is being folded by a process that died after the first step."""
    return struct.pack("<Q", mark) + counters.encode_slot(slot)[8:]


def test_another_death_before_the_next_fold_loses_nothing_of_the_one_that_a_kill_left_half_folded(file):
    base, died_later = Slot(generation=6, stored=10), Slot(generation=8, stored=5)
    lay_out(file, *map(counters.encode_slot, (base, died_later)), marked(7, Slot(generation=4, stored=3)))
    descriptor = os.open(file, os.O_RDWR)
    slots.claim(descriptor)
    os.close(descriptor)
    assert read(file).total.stored == 18


@pytest.mark.parametrize(("mark", "stored"), [(7, 13), (5, 10)])
def test_a_half_folded_slot_is_read_once_wherever_its_counts_are(file, mark, stored):
    lay_out(file, counters.encode_slot(Slot(generation=6, stored=10)), marked(mark, Slot(generation=4, stored=3)))
    found = read(file)
    assert (found.unsettled, found.total.stored) == (0, stored)


HARMS = {
    "deleted": os.unlink,
    "truncated": lambda file: os.truncate(file, 0),
    "cut": lambda file: os.truncate(file, 300),
    "zeroed": lambda file: file.write_bytes(bytes(FILE_BYTES)),
    "another": lay_out,
}


@pytest.mark.parametrize("harm", [name for name in HARMS if name != "cut"])
def test_a_file_that_is_taken_away_is_laid_out_anew_and_counts_from_nothing(trail, file, harm):
    with AuditWriter(trail) as writer:
        writer.append({})
        before = read(file).header.id
        HARMS[harm](file)
        writer.append({})
        due(writer)
        writer.append({})
        after = read(file)
    assert trail.read_bytes().count(b"\n") == 3
    assert after.header.id != before
    assert after.total.stored == 1


def test_a_file_that_was_cut_behind_its_header_gets_its_slot_back_with_the_next_count(trail, file):
    with AuditWriter(trail) as writer:
        writer.append({})
        HARMS["cut"](file)
        writer.append({})
        assert read(file).total.stored == 2


@pytest.mark.parametrize("obstacle", ["directory", "fifo", "symlink", "newer"])
def test_a_file_that_cannot_be_used_is_one_warning_and_appends_go_on(trail, file, obstacle):
    if obstacle == "directory":
        file.mkdir()
    elif obstacle == "fifo":
        os.mkfifo(file)
    elif obstacle == "symlink":
        file.symlink_to(trail.with_name("elsewhere"))
    else:
        file.write_bytes(counters.MAGIC + b"\2" + bytes(300))
    with pytest.warns(RuntimeWarning, match="not counted"):
        writer = AuditWriter(trail)
    for _ in range(3):
        due(writer)
        writer.append({})  # a second warning would be an error here
    assert trail.read_bytes().count(b"\n") == 3
    assert not trail.with_name("elsewhere").exists()


def test_what_is_appended_between_two_segments_is_counted_with_the_next_look(trail, file):
    with AuditWriter(trail) as writer:
        counting = writer._appender._counting
        counting.abandon()
        file.unlink()
        trail.rename(trail.with_name("segment"))
        counting.stored(1, 3, 0, time.monotonic())  # no warning, which would be an error here
        assert not file.exists()
        trail.write_bytes(b"")
        due(writer)
        counting.stored(1, 3, 0, time.monotonic())
        assert read(file).total.stored == 2


@pytest.mark.parametrize("counters_exist", [True, False])
def test_a_trail_between_two_segments_needs_no_counters_file_of_its_own(trail, file, counters_exist):
    AuditWriter(trail).close()
    if not counters_exist:
        file.unlink()
    trail.unlink()
    counting = counting_of(str(trail))
    counting.look()
    assert (counting._offset > 0) is counters_exist


def test_a_header_that_stays_locked_is_warned_of_at_the_second_look(trail, file):
    AuditWriter(trail).close()
    with file.open("r+b") as holder:
        slots._set_lock(holder.fileno(), fcntl.F_WRLCK, 0)
        writer = AuditWriter(trail)  # no warning yet
        writer.append({})
        due(writer)
        with pytest.warns(RuntimeWarning, match="locked"):
            writer.append({})
    due(writer)
    writer.append({})
    assert read(file).total.stored == 3


def test_warnings_that_are_errors_break_no_append_either(trail, file):
    file.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AuditWriter(trail).append({})
    assert trail.read_bytes().count(b"\n") == 1


def test_with_all_slots_taken_appends_go_on(trail, file):
    AuditWriter(trail).close()
    owners: list[int] = []  # one descriptor each: one never excludes itself
    for _ in range(counters.SLOTS - 1):
        owners.append(os.open(file, os.O_RDWR))
        slots.claim(owners[-1])
    with pytest.warns(RuntimeWarning, match="taken"):
        writer = AuditWriter(trail)
    writer.append({})
    for owner in owners:
        os.close(owner)
    assert trail.read_bytes().count(b"\n") == 1
