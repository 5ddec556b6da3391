"""On disk before it is acknowledged; one sync for many; and the first failed sync is the last."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail import counters
from auditwatch.writer.durability import Descriptor

PLAIN = {"timestamp_field": None}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def syncs(monkeypatch):
    """The names and sizes of the files at the moments they were synced, in order."""
    seen = []

    def noting(true_sync):
        def sync(descriptor):
            name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
            seen.append((name, os.fstat(descriptor).st_size))
            true_sync(descriptor)

        return sync

    monkeypatch.setattr(os, "fdatasync", noting(os.fdatasync))
    monkeypatch.setattr(os, "fsync", noting(os.fsync))
    return seen


def failing(number):
    def sync(descriptor):
        raise OSError(number, os.strerror(number))

    return sync


def poison(trail, monkeypatch):
    """A writer whose first sync fails; the disk is well again afterwards."""
    writer = AuditWriter(trail, durability="power", **PLAIN)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", failing(errno.EIO))
        with pytest.raises(AuditWriteError) as caught:
            writer.append({"a": 1})
    assert (caught.value.stored, caught.value.reason, caught.value.errno) == ("unknown", "io_error", errno.EIO)
    return writer


def test_power_means_that_the_directory_and_then_the_line_are_on_disk_at_the_acknowledgement(trail, syncs):
    with AuditWriter(trail, durability="power", **PLAIN) as writer:
        assert syncs[0][0] == trail.parent.name
        writer.append({"a": 1})
        assert syncs[-1] == ("audit.jsonl", 8)


def test_power_syncs_the_directory_of_a_trail_that_somebody_else_created(trail, syncs):
    trail.write_bytes(b"")
    AuditWriter(trail, durability="power").close()
    assert (trail.parent.name, trail.parent.stat().st_size) in syncs


def test_a_descriptor_that_cannot_be_closed_prints_no_traceback(capfd):
    file = Descriptor(os.dup(0))
    os.close(file.number)
    file.__del__()
    assert capfd.readouterr().err == ""


def test_process_syncs_no_line(trail, syncs):
    with AuditWriter(trail, **PLAIN) as writer:
        writer.append({"a": 1})
    assert "audit.jsonl" not in dict(syncs)


def test_interval_syncs_soon_after_and_once_for_all_lines_until_then(trail, monkeypatch):
    synced = threading.Event()
    sizes = []

    def sync(descriptor):
        sizes.append(os.fstat(descriptor).st_size)
        synced.set()

    monkeypatch.setattr(os, "fdatasync", sync)
    with AuditWriter(trail, durability="interval", sync_interval=0.05, **PLAIN) as writer:
        writer.append({"a": 1})
        assert synced.wait(30)
        synced.clear()
        writer.append({"a": 2})
        assert synced.wait(30)
    assert sizes[-1] == 16


def test_interval_syncs_at_the_end_what_was_not_due_yet(trail, syncs):
    with AuditWriter(trail, durability="interval", sync_interval=3600, **PLAIN) as writer:
        writer.append({"a": 1})
        writer.append({"a": 2})
        assert "audit.jsonl" not in dict(syncs)
    assert syncs[-1] == ("audit.jsonl", 16)


def test_a_sync_that_fails_later_poisons_the_file_too(trail, monkeypatch):
    failed = threading.Event()
    writer = AuditWriter(trail, durability="interval", sync_interval=0.01, **PLAIN)
    true_poison = writer._appender._counting.poison

    def poison_and_tell(identity):
        true_poison(identity)
        failed.set()

    monkeypatch.setattr(writer._appender._counting, "poison", poison_and_tell)
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    writer.append({"a": 1})
    assert failed.wait(30)
    with pytest.raises(AuditWriteError) as caught:
        writer.append({"a": 2})
    assert (caught.value.stored, caught.value.reason) == ("no", "poisoned")


def test_after_a_failed_sync_nothing_more_is_taken_though_the_disk_says_it_is_well(trail, monkeypatch):
    writer = poison(trail, monkeypatch)
    for other in (writer, AuditWriter(trail, **PLAIN), AuditWriter(trail, durability="interval", **PLAIN)):
        with pytest.raises(AuditWriteError, match="rotate the trail away") as caught:
            other.append({"a": 2})
        assert (caught.value.stored, caught.value.reason) == ("no", "poisoned")
    assert trail.read_bytes() == b'{"a":1}\n'


NEXT = """
from auditwatch import AuditWriter, AuditWriteError
for durability in ("power", "interval", "process"):
    try:
        AuditWriter(sys.argv[1], durability=durability).append({"a": 2})
    except AuditWriteError as error:
        print(error.reason, error.stored)
"""


def test_a_failed_sync_is_known_to_every_later_process_until_the_file_is_rotated_away(trail, monkeypatch, run):
    poison(trail, monkeypatch)
    assert run(NEXT, trail).splitlines() == ["poisoned no"] * 3
    trail.rename(trail.with_name("audit.jsonl.1"))
    assert run(NEXT, trail) == ""
    header = counters.decode((trail.parent / ".audit.jsonl.counters").read_bytes()).header
    assert (header.poisoned_device, header.poisoned_inode) == (0, 0)


def test_an_empty_file_that_got_the_inode_of_a_poisoned_one_is_well(trail, monkeypatch, records):
    writer = poison(trail, monkeypatch)
    trail.write_bytes(b"")
    fresh = AuditWriter(trail, **PLAIN)  # the same file in this process: what it knows by itself is for another test
    assert not fresh._appender._counting.is_poisoned(writer._appender._trail.identity, 0)
    assert not fresh._appender._counting.is_poisoned(writer._appender._trail.identity, 8)


def test_what_was_said_of_another_file_meanwhile_is_not_taken_back(trail, monkeypatch):
    counting = poison(trail, monkeypatch)._appender._counting
    true_said = counting._said_poison
    monkeypatch.setattr(counting, "_said_poison", lambda: (1, 2))
    assert not counting.is_poisoned((3, 4), 8)
    assert true_said() == (trail.stat().st_dev, trail.stat().st_ino)


LATE = """
import os
os.environ["AUDITWATCH_FAILPOINTS"] = "open.created=sleep:0.3"
from auditwatch import AuditWriter, AuditWriteError
try:
    AuditWriter(sys.argv[1], durability="power").append({"a": 2})
except AuditWriteError as error:
    print(error.reason, error.stored)
"""


@pytest.mark.concurrency
def test_who_created_the_file_and_comes_late_does_not_take_back_what_another_process_learned(trail, monkeypatch, start):
    process = start(LATE, trail)
    while not trail.exists():
        assert process.poll() is None
    poison(trail, monkeypatch)
    out, err = process.communicate(timeout=60)
    assert out == "poisoned no\n", err


WAITING = """
from auditwatch import AuditWriter, AuditWriteError
import time
writer = AuditWriter(sys.argv[1])
writer.append({"a": "before"})
print("ready", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    try:
        writer.append({"a": "after"})
    except AuditWriteError as error:
        print(error.reason)
        break
"""


@pytest.mark.concurrency
def test_a_process_that_has_the_file_open_learns_of_another_ones_failed_sync(trail, monkeypatch, start):
    process = start(WAITING, trail)
    assert process.stdout.readline() == "ready\n"
    poison(trail, monkeypatch)
    out, err = process.communicate("go\n", timeout=60)
    assert out == "poisoned\n", err


def test_without_a_counters_file_the_error_says_that_nobody_else_will_know(trail, monkeypatch):
    (trail.parent / ".audit.jsonl.counters").mkdir()
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    with pytest.warns(RuntimeWarning, match="not counted"):
        writer = AuditWriter(trail, durability="power")
    with pytest.raises(AuditWriteError, match="no counters file"):
        writer.append({"a": 1})
    with pytest.raises(AuditWriteError) as caught:
        writer.append({"a": 2})
    assert caught.value.reason == "poisoned"


@pytest.mark.concurrency
def test_threads_share_syncs_and_each_line_is_synced_before_its_acknowledgement(trail, monkeypatch, records):
    writer = AuditWriter(trail, durability="power", lock_timeout=60)
    on_disk, count = 0, 0
    true_sync = os.fdatasync

    def sync(descriptor):
        nonlocal on_disk, count
        size = os.fstat(descriptor).st_size
        true_sync(descriptor)
        on_disk, count = size, count + 1

    monkeypatch.setattr(os, "fdatasync", sync)
    early = []

    def produce(who):
        for number in range(50):
            writer.append({"who": who, "number": number})
            line = b'"who":%d,"number":%d}\n' % (who, number)
            if line not in trail.read_bytes()[:on_disk]:
                early.append(line)

    threads = [threading.Thread(target=produce, args=(who,)) for who in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert early == []
    found = records(trail)
    assert Counter(record["who"] for record in found) == dict.fromkeys(range(16), 50)
    assert all([r["number"] for r in found if r["who"] == who] == list(range(50)) for who in range(16))
    assert count < 400


@pytest.mark.concurrency
def test_a_failed_sync_fails_every_thread_that_waited_for_it(trail, monkeypatch):
    writer = AuditWriter(trail, durability="power", lock_timeout=60)
    monkeypatch.setattr(os, "fdatasync", failing(errno.ENOSPC))
    outcomes = []

    def produce():
        try:
            writer.append({"a": 1})
        except AuditWriteError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=produce) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == len({id(error) for error in outcomes}) == 16
    assert {(error.reason, error.stored) for error in outcomes} <= {("disk_full", "unknown"), ("poisoned", "no")}


@pytest.mark.concurrency
def test_a_leader_that_is_interrupted_lets_the_others_go_on(trail, monkeypatch, records):
    writer = AuditWriter(trail, durability="power", lock_timeout=60, **PLAIN)
    true_sync = os.fdatasync
    in_sync, others_wait = threading.Event(), threading.Event()

    def interrupted(descriptor):
        monkeypatch.setattr(os, "fdatasync", true_sync)
        in_sync.set()
        others_wait.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fdatasync", interrupted)
    interrupts = []

    def lead():
        try:
            writer.append({"who": "leader"})
        except KeyboardInterrupt:
            interrupts.append(1)

    leader = threading.Thread(target=lead)
    leader.start()
    assert in_sync.wait(30)
    follower = threading.Thread(target=writer.append, args=({"who": "follower"},))
    follower.start()
    while not writer._appender._group._waiting:
        pass
    others_wait.set()
    leader.join(30)
    follower.join(30)
    assert not follower.is_alive()
    assert interrupts == [1]
    assert [record["who"] for record in records(trail)] == ["leader", "follower"]


def test_a_signal_handler_that_appends_during_a_sync_is_stored(trail, monkeypatch, records):
    writer = AuditWriter(trail, durability="power", **PLAIN)
    true_sync = os.fdatasync

    def interrupted(descriptor):
        monkeypatch.setattr(os, "fdatasync", true_sync)
        writer.append({"who": "handler"})
        true_sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", interrupted)
    writer.append({"who": "main"})
    assert [record["who"] for record in records(trail)] == ["main", "handler"]


@pytest.mark.parametrize("wrong", [{"durability": "fsync"}, {"sync_interval": 0}, {"sync_interval": float("nan")}])
def test_a_durability_that_cannot_be_is_said_at_once(trail, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditWriter(trail, **wrong)
