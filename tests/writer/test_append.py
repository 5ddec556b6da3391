"""What one writer in one process does to one file."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import stat
import warnings

import pytest

from auditwatch import AuditWriteError, AuditWriter, LockTimeout
from auditwatch.errors import AuditwatchError
from auditwatch.trail.own import Recovered, parse_own

PLAIN = {"timestamp_field": None}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


def test_a_record_is_one_line_with_a_timestamp_put_first(trail, records):
    with AuditWriter(trail) as writer:
        writer.append({"event": "KILL_SWITCH", "details": {"by": "ops"}})
    (record,) = records(trail)
    assert list(record) == ["timestamp", "event", "details"]
    assert record["timestamp"].endswith("+00:00")
    assert len(record["timestamp"]) == len("2026-01-01T00:00:00.000000+00:00")


def test_an_empty_record_gets_its_timestamp_too(trail, records):
    with AuditWriter(trail) as writer:
        writer.append({})
    assert list(records(trail)[0]) == ["timestamp"]


def test_a_timestamp_of_the_callers_own_stays_where_it_is(trail):
    with AuditWriter(trail, timestamp_field="at") as writer:
        writer.append({"event": "X", "at": "now"})
    assert trail.read_bytes() == b'{"event":"X","at":"now"}\n'


def test_append_line_keeps_the_bytes(trail):
    with AuditWriter(trail) as writer:
        writer.append_line(b'{ "a" : 1e400 , "b" : "\\ud800" }\r')
    assert trail.read_bytes() == b'{ "a" : 1e400 , "b" : "\\ud800" }\r\n'


@pytest.mark.parametrize(
    "line", [b"", b"[1]", b'{"a":1', b'{"a":NaN}', b'{"a":1}\n', b'{"a":"\xff"}', b'{"_seq":1}', b'{"a":1}{"b":2}']
)
def test_append_line_refuses_what_is_no_line(trail, line):
    with AuditWriter(trail) as writer, pytest.raises(AuditWriteError) as caught:
        writer.append_line(line)
    assert (caught.value.reason, caught.value.stored) == ("unserialisable", "no")
    assert trail.read_bytes() == b""


def test_a_new_trail_is_readable_by_its_group_only(trail):
    before = os.umask(0)
    try:
        AuditWriter(trail).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(trail.stat().st_mode) == 0o640


def test_a_line_over_the_limit_is_refused_and_one_at_the_limit_is_not(trail):
    with AuditWriter(trail, max_line_bytes=20, **PLAIN) as writer:
        writer.append({"a": "x" * 12})
        with pytest.raises(AuditWriteError) as caught:
            writer.append({"a": "x" * 13})
    assert (caught.value.reason, caught.value.stored) == ("too_long", "no")
    assert trail.read_bytes() == b'{"a":"xxxxxxxxxxxx"}\n'


def test_a_torn_tail_is_ended_and_recorded_in_front_of_the_record(trail, records):
    trail.write_bytes(b'{"whole":1}\n{"torn":"\xe2')
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
    first, torn, own, last, end = trail.read_bytes().split(b"\n")
    assert (first, torn, last, end) == (b'{"whole":1}', b'{"torn":"\xe2', b'{"a":1}', b"")
    assert parse_own(own) == Recovered(12, len(torn), hashlib.sha256(torn).hexdigest())


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 69_632, 200_000])
def test_a_torn_tail_of_any_length_is_hashed_in_full(trail, length):
    torn = b"\0" * length
    trail.write_bytes(b"{}\n" + torn)
    with AuditWriter(trail) as writer:
        writer.append({"a": 1})
    own = trail.read_bytes().split(b"\n")[2]
    assert parse_own(own) == Recovered(3, length, hashlib.sha256(torn).hexdigest())


def test_a_file_that_is_nothing_but_a_torn_tail_is_ended_too(trail):
    trail.write_bytes(b"{")
    with AuditWriter(trail) as writer:
        writer.append({"a": 1})
    assert parse_own(trail.read_bytes().split(b"\n")[1]) == Recovered(0, 1, hashlib.sha256(b"{").hexdigest())


def test_a_tail_torn_while_the_writer_is_open_is_seen_by_the_next_append(trail):
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
        with trail.open("ab") as other:
            other.write(b"{half")
        writer.append({"a": 2})
        writer.append({"a": 3})
    lines = trail.read_bytes().split(b"\n")
    assert [lines[0], lines[1], lines[3], lines[4]] == [b'{"a":1}', b"{half", b'{"a":2}', b'{"a":3}']


def test_a_truncated_trail_is_simply_continued(trail, records):
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
        os.truncate(trail, 0)
        writer.append({"a": 2})
    assert records(trail) == [{"a": 2}]


@pytest.mark.parametrize("settled", [False, True])
def test_a_renamed_trail_is_left_and_a_new_one_begun(trail, records, settled, monkeypatch):
    if settled:
        monkeypatch.setattr("auditwatch.writer.whereabouts._SETTLED_NS", -(10**18))
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
        old = trail.with_name("old.jsonl")
        trail.rename(old)
        writer.append({"a": 2})
        trail.unlink()
        writer.append({"a": 3})
    assert records(old) == [{"a": 1}]
    assert records(trail) == [{"a": 3}]


def test_a_trail_replaced_by_another_file_is_followed(trail, records, monkeypatch):
    monkeypatch.setattr("auditwatch.writer.whereabouts._SETTLED_NS", -(10**18))
    other = trail.with_name("other.jsonl")
    other.write_bytes(b'{"b":1}\n')
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
        other.rename(trail)
        writer.append({"a": 2})
    assert records(trail) == [{"b": 1}, {"a": 2}]


def test_a_symlinked_trail_that_points_elsewhere_later_is_followed(trail, records, monkeypatch):
    monkeypatch.setattr("auditwatch.writer.whereabouts._SETTLED_NS", -(10**18))
    first, second = trail.with_name("1.jsonl"), trail.with_name("2.jsonl")
    trail.symlink_to(first)
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
        fresh = trail.with_name("fresh")
        fresh.symlink_to(second)
        fresh.rename(trail)
        writer.append({"a": 2})
    assert (records(first), records(second)) == ([{"a": 1}], [{"a": 2}])


def test_a_closed_writer_says_so_and_closing_twice_is_fine(trail):
    writer = AuditWriter(trail)
    writer.close()
    writer.close()
    with pytest.raises(AuditWriteError, match="closed") as caught:
        writer.append({"a": 1})
    assert caught.value.stored == "no"


def test_closing_one_writer_leaves_another_on_the_same_trail_working(trail, records):
    one, two = AuditWriter(trail, **PLAIN), AuditWriter(trail, **PLAIN)
    one.append({"a": 1})
    one.close()
    two.append({"a": 2})
    two.close()
    assert records(trail) == [{"a": 1}, {"a": 2}]


def test_two_writers_share_one_descriptor_also_by_another_name(trail):
    link = trail.with_name("link.jsonl")
    one = AuditWriter(trail)
    os.link(trail, link)
    two = AuditWriter(link)
    assert one._appender._trail is two._appender._trail
    one.append({"a": 1})
    two.append({"a": 2})
    assert trail.read_bytes().count(b"\n") == 2


def test_a_pickled_writer_writes_to_the_same_trail_with_the_same_settings(trail, records):
    writer = AuditWriter(trail, timestamp_field="at")
    pickle.loads(pickle.dumps(writer)).append({"a": 1})
    assert list(records(trail)[0]) == ["at", "a"]


def test_an_error_travels_between_processes_with_all_it_says():
    error = LockTimeout("m", stored="no", reason="lock_timeout", errno=None)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.stored, copy.reason) == (LockTimeout, "m", "no", "lock_timeout")


def test_a_relative_path_is_the_one_of_the_beginning(tmp_path, monkeypatch, records):
    monkeypatch.chdir(tmp_path)
    writer = AuditWriter("audit.jsonl", **PLAIN)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    writer.append({"a": 1})
    assert records(tmp_path / "audit.jsonl") == [{"a": 1}]


def test_a_missing_directory_is_one_clear_error(tmp_path):
    with pytest.raises(AuditWriteError, match="create the directory"):
        AuditWriter(tmp_path / "no" / "audit.jsonl")


def test_a_directory_a_fifo_and_a_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(AuditWriteError, match="regular file"):
        AuditWriter(tmp_path / "fifo")
    with pytest.raises(AuditWriteError, match="not opened"):
        AuditWriter(tmp_path)
    with pytest.raises(AuditWriteError, match="regular file"):
        AuditWriter("/dev/null")
    assert not os.path.exists("/dev/.null.counters")


def test_a_callable_hears_of_every_failure_and_append_returns(trail):
    heard: list[AuditwatchError] = []
    writer = AuditWriter(trail, on_failure=heard.append)
    writer.append({"a": {1}})
    writer.close()
    writer.append({"a": 1})
    assert [error.reason for error in heard] == ["unserialisable", "other"]


def test_a_callable_hears_of_a_trail_that_cannot_be_opened_and_later_appends_try_again(tmp_path, records):
    heard: list[AuditwatchError] = []
    path = tmp_path / "later" / "audit.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        writer = AuditWriter(path, on_failure=heard.append, **PLAIN)
    path.parent.mkdir()
    writer.append({"a": 1})
    assert [error.errno for error in heard] == [errno.ENOENT]
    assert records(path) == [{"a": 1}]


@pytest.mark.parametrize(
    "wrong",
    [{"lock_timeout": -1}, {"lock_timeout": float("nan")}, {"max_line_bytes": 1}, {"on_failure": "ignore"},
     {"default": str, "dumps": str}],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_said_at_once(trail, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditWriter(trail, **wrong)


def test_a_network_file_system_is_refused_unless_allowed(trail, monkeypatch):
    from auditwatch.host.filesystems import Mount

    monkeypatch.setattr("auditwatch.writer.opening.of_descriptor", lambda _: Mount(1, "/", "nfs4"))
    with pytest.raises(AuditWriteError, match="nfs4"):
        AuditWriter(trail)
    with AuditWriter(trail, allow_network=True) as writer:
        writer.append({"a": 1})
    assert trail.read_bytes().count(b"\n") == 1


def test_a_piece_that_the_file_system_will_not_remove_poisons_the_file_until_it_is_rotated_away(trail, monkeypatch):
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
        true_write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: true_write(fd, data[:3]))
        monkeypatch.setattr(os, "ftruncate", lambda *_: None)
        with pytest.raises(AuditWriteError) as torn:
            writer.append({"a": 2})
        monkeypatch.undo()
        with pytest.raises(AuditWriteError, match="rotate") as poisoned:
            writer.append({"a": 3})
        trail.rename(trail.with_name("old"))
        writer.append({"a": 4})
    assert torn.value.stored == "unknown"
    assert (poisoned.value.stored, poisoned.value.reason) == ("no", "poisoned")
    assert trail.read_bytes() == b'{"a":4}\n'


def test_a_piece_that_may_not_be_removed_is_ended_by_the_next_append(trail, monkeypatch):
    """As with `chattr +a`, where cutting is not permitted."""

    def forbid(fd, size):
        raise PermissionError(errno.EPERM, "not permitted")

    with AuditWriter(trail, **PLAIN) as writer:
        true_write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: true_write(fd, data[:3]))
        monkeypatch.setattr(os, "ftruncate", forbid)
        with pytest.raises(AuditWriteError) as torn:
            writer.append({"a": 2})
        monkeypatch.undo()
        writer.append({"a": 3})
    lines = trail.read_bytes().split(b"\n")
    assert torn.value.stored == "unknown"
    assert parse_own(lines[1]) is not None
    assert lines[2:] == [b'{"a":3}', b""]


def test_bytes_that_somebody_appended_behind_a_short_write_are_never_cut_off(trail, monkeypatch):
    true_write = os.write

    def short_and_overtaken(fd, data):
        written = true_write(fd, data[:3])
        with trail.open("ab") as other:
            other.write(b'{"theirs":1}\n')
        return written

    with AuditWriter(trail, **PLAIN) as writer:
        monkeypatch.setattr(os, "write", short_and_overtaken)
        with pytest.raises(AuditWriteError, match="another program appended after that") as torn:
            writer.append({"a": 2})
        monkeypatch.undo()
        writer.append({"a": 3})
    assert torn.value.stored == "unknown"
    assert trail.read_bytes() == b'{"a{"theirs":1}\n{"a":3}\n'
