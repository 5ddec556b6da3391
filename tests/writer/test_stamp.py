"""Numbers and hashes: one unbroken chain over writers, processes, foreign lines, damage and segments."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail.own import Continues, parse_own
from auditwatch.writer import chain
from tests.writer.chains import judged, lines_of, segments, stamps

STAMPED = {"timestamp_field": None, "stamp": True}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


def sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def fill(path, count, **settings):
    with AuditWriter(path, **STAMPED, **settings) as writer:
        for number in range(count):
            writer.append({"a": number})


def test_the_first_line_has_number_one_and_zeros_and_the_next_ones_follow(trail):
    fill(trail, 3)
    assert lines_of(trail)[0] == b'{"a":0,"_seq":1,"_prev":"' + b"0" * 64 + b'"}'
    assert stamps(trail) == [1, 2, 3]


@pytest.mark.parametrize("line", [b"{}", b" { } ", b'{"a":1}\r', b'{"a":{}}'])
def test_the_stamp_is_the_last_two_members_whatever_the_record(trail, line):
    with AuditWriter(trail, **STAMPED) as writer:
        writer.append_line(line)
        writer.append_line(line)
    assert stamps(trail) == [1, 2]
    assert judged(trail).corrupt_lines == 0


def test_a_fresh_writer_goes_on_from_the_file(trail):
    for _ in range(3):
        fill(trail, 2)
    assert stamps(trail) == [1, 2, 3, 4, 5, 6]


def test_unstamped_lines_between_are_covered_by_the_next_hash(trail):
    stamping = AuditWriter(trail, **STAMPED)
    plain = AuditWriter(trail, timestamp_field=None)
    plain.append({"first": 1})
    for _ in range(3):
        stamping.append({"a": 1})
        plain.append({"b": 1})
        plain.append({"b": 2})
    stamping.append({"a": 1})
    assert stamps(trail) == [1, 2, 3, 4]
    assert b'"_prev":"%b"' % sha256(b'{"first":1}').encode() in lines_of(trail)[1]


def test_a_line_of_another_program_and_a_damaged_one_are_covered_too(trail):
    writer = AuditWriter(trail, **STAMPED)
    writer.append({"a": 1})
    with trail.open("ab") as other:
        other.write(b'{"mine":1}\n{"dam\xffaged\n\n')
    writer.append({"a": 2})
    assert stamps(trail) == [1, 2]


def test_a_torn_tail_is_covered_by_the_recovery_record_which_is_stamped(trail):
    fill(trail, 2)
    with trail.open("ab") as other:
        other.write(b'{"a":9,"_seq":3,"_pr')
    fill(trail, 1)
    assert parse_own(lines_of(trail)[3]).length == 20
    assert stamps(trail) == [1, 2, 3, 4]


def test_the_chain_goes_on_after_an_append_that_failed_and_was_taken_back(trail, monkeypatch):
    writer = AuditWriter(trail, **STAMPED)
    writer.append({"a": 1})
    true_write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: true_write(fd, data[:7]))
        with pytest.raises(AuditWriteError):
            writer.append({"a": 2})
    writer.append({"a": 3})
    assert stamps(trail) == [1, 2]


def test_many_records_at_once_are_chained_one_by_one(trail):
    with AuditWriter(trail, **STAMPED) as writer:
        writer.append_many({"a": number} for number in range(5))
        writer.append({"a": 5})
    assert stamps(trail) == [1, 2, 3, 4, 5, 6]


def test_nothing_is_read_from_the_file_while_nobody_else_writes(trail, monkeypatch):
    writer = AuditWriter(trail, **STAMPED)
    writer.append({"a": 1})
    monkeypatch.setattr(chain, "last_seq", pytest.fail)
    monkeypatch.setattr(chain, "read_tip", pytest.fail)
    writer.append({"a": 2})
    assert stamps(trail) == [1, 2]


@pytest.mark.parametrize("between", [0, 1, 3_900, 4_000, 4_096, 4_200, 65_400, 65_536, 65_600, 131_072, 200_000])
def test_the_last_stamp_is_found_however_far_back_it_is(trail, between):
    fill(trail, 3)
    with trail.open("ab") as other:
        other.write(b"x" * between + b"\n")
    fill(trail, 1)
    assert stamps(trail) == [1, 2, 3, 4]


def test_a_stamp_inside_a_record_or_a_string_is_none(trail):
    stamp = '"_seq":41,"_prev":"' + "a" * 64 + '"}'
    trail.write_text('{"a":{' + stamp + '}\n{"a":"' + stamp.replace('"', '\\"') + '"}\n')
    fill(trail, 1)
    assert stamps(trail) == [1]


@pytest.mark.parametrize("name", ["audit.jsonl.1", "audit-20251007.jsonl", "audit.jsonl.1.gz"])
def test_an_empty_file_goes_on_from_the_segment_before_and_names_it(trail, name):
    fill(trail, 3)
    last = lines_of(trail)[-1]
    if name.endswith(".gz"):
        trail.with_name(name).write_bytes(gzip.compress(trail.read_bytes()))
        trail.unlink()
    else:
        trail.rename(trail.with_name(name))
    fill(trail, 1)
    own, line = lines_of(trail)
    assert parse_own(own) == Continues(name, sha256(last))
    assert b'"_seq":4,"_prev":"%b"}' % sha256(last).encode() in own
    assert b'"_seq":5,"_prev":"%b"}' % sha256(own).encode() in line


def test_segments_without_a_stamp_are_looked_through_to_older_ones(trail):
    fill(trail, 3)
    trail.rename(trail.with_name("audit.jsonl.3"))
    trail.with_name("audit.jsonl.2").write_bytes(b'{"unstamped":1}\n')
    trail.with_name("audit.jsonl.1").write_bytes(b"")
    fill(trail, 1)
    assert parse_own(lines_of(trail)[0]).segment == "audit.jsonl.2"
    assert stamps(trail.with_name("audit.jsonl.3"), trail.with_name("audit.jsonl.2"), trail) == [1, 2, 3, 4, 5]


def test_a_file_that_others_began_goes_on_from_the_segment_before(trail):
    fill(trail, 3)
    trail.rename(trail.with_name("audit.jsonl.1"))
    trail.write_bytes(b'{"unstamped":1}\n')
    fill(trail, 1)
    assert stamps(trail.with_name("audit.jsonl.1"), trail) == [1, 2, 3, 4]


def test_a_file_renamed_under_an_open_writer_is_continued(trail):
    writer = AuditWriter(trail, **STAMPED)
    writer.append({"a": 1})
    trail.rename(trail.with_name("audit.jsonl.1"))
    writer.append({"a": 2})
    assert stamps(trail.with_name("audit.jsonl.1"), trail) == [1, 2, 3]


def test_with_nothing_to_continue_from_a_new_chain_begins(trail):
    fill(trail, 3)
    trail.unlink()
    fill(trail, 2)
    assert stamps(trail) == [1, 2]


@pytest.mark.parametrize("bad", ["1.zst", "1.gz", "1.gz cut", "1.gz bent"])
def test_a_segment_before_that_cannot_be_read_is_nothing_to_continue_from(trail, bad):
    fill(trail, 3)
    packed = gzip.compress(trail.read_bytes())
    trail.rename(trail.with_name("audit.jsonl.2"))
    contents = {"1.gz cut": packed[:-9], "1.gz bent": packed[:20] + b"\xff\xff\xff\xff" + packed[24:]}.get(bad, b"?")
    trail.with_name(f"audit.jsonl.{bad.split()[0]}").write_bytes(contents)
    fill(trail, 2)
    assert stamps(trail) == [1, 2]


@pytest.mark.parametrize("call", ["listdir", "open", "pread"])
def test_a_process_that_is_short_of_files_begins_no_new_chain(trail, monkeypatch, call):
    with AuditWriter(trail, stamp=True) as writer:
        writer.append({"a": 1})
    trail.rename(trail.with_name("audit.jsonl.1"))
    writer = AuditWriter(trail, stamp=True)

    def short(*_, **__):
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, short)
        with pytest.raises(AuditWriteError) as caught:
            writer.append({"a": 2})
    assert caught.value.stored == "no"
    writer.append({"a": 2})
    assert stamps(trail.with_name("audit.jsonl.1"), trail) == [1, 2, 3]


def test_an_unstamped_writer_names_the_segment_before_too_and_does_not_count_it(trail, tmp_path):
    from auditwatch.trail import counters

    trail.with_name("audit.jsonl.1").write_bytes(b'{"a":1}\n')
    with AuditWriter(trail, timestamp_field=None) as writer:
        writer.append({"a": 2})
    assert parse_own(lines_of(trail)[0]) == Continues("audit.jsonl.1", sha256(b'{"a":1}'))
    assert counters.decode((tmp_path / ".audit.jsonl.counters").read_bytes()).total.stored == 1


def test_a_stamped_line_is_never_longer_than_the_limit(trail):
    from auditwatch.writer.chain import STAMP_ROOM_BYTES

    with AuditWriter(trail, max_line_bytes=200, **STAMPED) as writer:
        room = 200 - STAMP_ROOM_BYTES - len('{"a":""}')
        writer.append({"a": "x" * room})
        with pytest.raises(AuditWriteError) as caught:
            writer.append({"a": "x" * (room + 1)})
    assert caught.value.reason == "too_long"
    assert len(lines_of(trail)[0]) <= 200


PRODUCE = """
from auditwatch import AuditWriter
writer = AuditWriter(sys.argv[1], lock_timeout=60, stamp=sys.argv[2] == "stamp", **eval(sys.argv[3]))
sys.stdin.readline()
for number in range(300):
    writer.append({"number": number, "pad": "x" * (number % 300)})
"""


@pytest.mark.concurrency
def test_four_processes_and_two_that_do_not_stamp_make_one_chain(trail, start):
    processes = [start(PRODUCE, trail, kind, {}) for kind in ["stamp"] * 4 + ["plain"] * 2]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    assert stamps(trail) == list(range(1, 1201))
    assert (judged(trail).records, judged(trail).corrupt_lines) == (1800, 0)


@pytest.mark.concurrency
def test_four_stamping_processes_that_rotate_make_one_chain_over_all_segments(trail, start):
    processes = [start(PRODUCE, trail, "stamp", {"rotate_bytes": 20_000}) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    found = segments(trail)
    assert len(found) > 10
    numbers = stamps(*found)
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(b'"number":' in line for path in found for line in lines_of(path)) == 1200
    assert all(judged(path).corrupt_lines == 0 for path in found)
