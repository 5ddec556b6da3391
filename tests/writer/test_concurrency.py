"""Threads, processes, forks and kills: nothing lost, nothing corrupt, no process stuck."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import threading
from collections import Counter

import pytest

from auditwatch import AuditWriteError, AuditWriter, LockTimeout
from auditwatch.trail import counters
from auditwatch.trail.own import parse_own

pytestmark = pytest.mark.concurrency

RECORDS_TOGETHER = int(os.environ.get("AUDITWATCH_TEST_RECORDS", "4000"))
"""How many records the original writer and ours append together; the long run takes 100,000."""

PRODUCE = """
from auditwatch import AuditWriter
import os, threading, traceback
def fail(args):
    traceback.print_exception(args.exc_value)
    sys.stderr.flush()
    os._exit(1)
threading.excepthook = fail
path, who, count, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
writer = AuditWriter(path, lock_timeout=60)
def produce(thread):
    for number in range(count):
        writer.append({"event": "OURS", "who": f"{who}.{thread}", "number": number, "pad": "x" * (number % 700)})
running = [threading.Thread(target=produce, args=(thread,)) for thread in range(threads)]
sys.stdin.readline()
[thread.start() for thread in running]; [thread.join() for thread in running]
"""

ORIGINAL = """
from benchmarks.original import RiskManager
path, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
manager = RiskManager(path)
sys.stdin.readline()
for number in range(count):
    manager.write("ORIGINAL", {"who": who, "number": number, "pad": "y" * (number % 700)})
"""

UNTIL_KILLED = """
from auditwatch import AuditWriter
import itertools, os
writer = AuditWriter(sys.argv[1], lock_timeout=60)
pad = "x" * int(sys.argv[2])
print("ready", flush=True)
for number in itertools.count():
    writer.append({"who": os.getpid(), "number": number, "pad": pad})
    os.write(1, b"%d\\n" % number)
"""


def together(processes):
    """Let all go at once and wait for them."""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err


def test_four_processes_of_two_threads_lose_and_corrupt_nothing(tmp_path, start, records):
    path = tmp_path / "audit.jsonl"
    together([start(PRODUCE, path, who, 500, 2) for who in "abcd"])
    found = records(path)
    assert Counter(record["who"] for record in found) == {f"{who}.{n}": 500 for who in "abcd" for n in (0, 1)}
    assert all(
        [record["number"] for record in found if record["who"] == who] == list(range(500)) for who in ("a.0", "d.1")
    )


def test_what_the_processes_counted_is_what_is_in_the_trail(tmp_path, start, records):
    path = tmp_path / "audit.jsonl"
    together([start(PRODUCE, path, who, 200, 2) for who in "abcd"])
    total = counters.decode((tmp_path / ".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.stored, total.bytes) == (1600, len(records(path)), path.stat().st_size)
    assert sum(total.lock_waits) == 1600
    assert sum(total.failed) == 0


def test_beside_the_original_locked_writer_nothing_is_lost_or_corrupt(tmp_path, start, records):
    path = tmp_path / "audit.jsonl"
    each = RECORDS_TOGETHER // 2
    together([start(PRODUCE, path, "ours", each, 1), start(ORIGINAL, path, "theirs", each)])
    found = records(path)
    assert [record["number"] for record in found if record.get("who") == "ours.0"] == list(range(each))
    theirs = [record["details"]["number"] for record in found if record["event"] == "ORIGINAL"]
    assert theirs == list(range(each))
    assert len(found) == 2 * each


def test_sixteen_threads_on_two_writers_lose_nothing(tmp_path, records):
    path = tmp_path / "audit.jsonl"
    writers = [AuditWriter(path), AuditWriter(path)]

    def produce(who):
        for number in range(100):
            writers[who % 2].append({"who": who, "number": number})

    threads = [threading.Thread(target=produce, args=(who,)) for who in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(record["who"] for record in records(path)) == dict.fromkeys(range(16), 100)


def test_while_the_trail_is_renamed_again_and_again_every_record_is_in_one_of_the_files(tmp_path, start, records):
    path = tmp_path / "audit.jsonl"
    processes = [start(PRODUCE, path, who, 1000, 1) for who in "abcd"]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    turn = 0
    while any(process.poll() is None for process in processes):
        if path.exists():
            turn += 1
            path.rename(tmp_path / f"segment-{turn}.jsonl")
    assert [process.returncode for process in processes] == [0] * 4, [p.stderr.read() for p in processes]
    found = Counter(record["who"] for file in tmp_path.glob("*.jsonl") for record in records(file))
    assert found == {f"{who}.0": 1000 for who in "abcd"}
    assert turn > 1


def test_killed_writers_leave_every_acknowledged_record_whole(tmp_path, start):
    path = tmp_path / "audit.jsonl"
    acknowledged = {}
    for _ in range(5):
        processes = [start(UNTIL_KILLED, path, size) for size in (50, 3000, 300_000, 300_000)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        assert processes[0].stdout.readline()
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            out, _ = process.communicate()
            whole = [line for line in out.split("\n")[:-1] if line.isdecimal()]
            acknowledged[process.pid] = int(whole[-1]) if whole else -1
    with AuditWriter(path) as writer:
        writer.append({"who": "last", "number": 0})
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    owned = [parse_own(line) for line in lines]
    torn = {number - 1 for number, own in enumerate(owned) if own is not None}
    stored = Counter(json.loads(line).get("who") for number, line in enumerate(lines) if number not in torn)
    assert all(stored[pid] >= last + 1 for pid, last in acknowledged.items())


def test_a_lock_that_cannot_be_given_back_goes_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "audit.jsonl"
    writer = AuditWriter(path)
    true_flock = fcntl.flock

    def refusing(descriptor, operation):
        if operation == fcntl.LOCK_UN:
            raise OSError(errno.ENOLCK, "no locks available")
        true_flock(descriptor, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refusing)
        with pytest.raises(AuditWriteError) as caught:
            writer.append({"a": 1})
    assert caught.value.stored == "unknown"
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    writer.append({"a": 2})
    assert path.read_bytes().count(b"\n") == 2


def test_a_timeout_names_the_process_that_holds_the_lock_and_stores_nothing(tmp_path, start):
    path = tmp_path / "audit.jsonl"
    holder = start(
        "import fcntl, time\nf = open(sys.argv[1], 'a')\nfcntl.flock(f, 2)\nprint('held', flush=True)\ninput()", path
    )
    assert holder.stdout.readline() == "held\n"
    with AuditWriter(path, lock_timeout=0.05) as writer, pytest.raises(LockTimeout) as caught:
        writer.append({"a": 1})
    assert (caught.value.stored, caught.value.reason) == ("no", "lock_timeout")
    assert f"process {holder.pid} (python" in str(caught.value)
    assert path.read_bytes() == b""
    slot = counters.decode((tmp_path / ".audit.jsonl.counters").read_bytes()).total
    assert slot.failed[counters.FAILURES.index("lock_timeout")] == slot.lock_waits[counters.TIMED_OUT] == 1


def test_a_timeout_between_threads_says_so(tmp_path):
    path = tmp_path / "audit.jsonl"
    writer = AuditWriter(path, lock_timeout=0.05)
    held, done = threading.Event(), threading.Event()

    def hold():
        with writer._appender._trail.locks.between_threads:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    with pytest.raises(LockTimeout, match="another thread"):
        writer.append({"a": 1})
    done.set()
    thread.join()
    writer.append({"a": 2})
    assert path.read_bytes().count(b"\n") == 1


def test_a_lock_file_is_what_is_locked_where_one_is_named(tmp_path, records):
    path, lock = tmp_path / "audit.jsonl", tmp_path / "lock"
    with AuditWriter(path, lock_path=lock, lock_timeout=0.05) as writer, path.open("ab") as trail:
        fcntl.flock(trail, fcntl.LOCK_EX)
        writer.append({"a": 1})
        with lock.open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(LockTimeout):
                writer.append({"a": 2})
        lock.unlink()
        writer.append({"a": 3})
        with lock.open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(LockTimeout):
                writer.append({"a": 4})
    assert [record["a"] for record in records(path)] == [1, 3]


def test_a_signal_handler_that_appends_during_an_append_gets_an_error_and_harms_nothing(tmp_path, records, monkeypatch):
    path = tmp_path / "audit.jsonl"
    writer = AuditWriter(path)
    caught = []
    true_write = os.write

    def write_and_be_interrupted(fd, data):
        written = true_write(fd, data)
        monkeypatch.undo()
        with pytest.raises(AuditWriteError, match="signal handler") as error:
            writer.append({"who": "handler"})
        caught.append(error.value.stored)
        with pytest.raises(AuditWriteError, match="signal handler"):
            writer.close()
        return written

    monkeypatch.setattr(os, "write", write_and_be_interrupted)
    writer.append({"who": "main"})
    assert caught == ["no"]
    assert [record["who"] for record in records(path)] == ["main"]


FORKING = """
import os, threading, time
from auditwatch import AuditWriter
writer = AuditWriter(sys.argv[1], lock_timeout=30)
stop = threading.Event()
def busy(who):
    number = 0
    while not stop.is_set():
        writer.append({"who": "parent"}); number += 1
    counts.append(number)
counts = []
threads = [threading.Thread(target=busy, args=(who,)) for who in range(4)]
[thread.start() for thread in threads]
for _ in range(30):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for _ in range(5): writer.append({"who": "child"})
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
[thread.join() for thread in threads]
print(sum(counts))
"""


def test_forks_in_the_middle_of_appends_neither_hang_nor_lose(tmp_path, run, records):
    path = tmp_path / "audit.jsonl"
    parents = int(run(FORKING, path))
    assert Counter(record["who"] for record in records(path)) == {"parent": parents, "child": 150}
    total = counters.decode((tmp_path / ".audit.jsonl.counters").read_bytes()).total
    assert total.stored == parents + 150


HELD_BY_FORK = """
import fcntl, os
from auditwatch import AuditWriter
writer = AuditWriter(sys.argv[1])
def fork(*_):
    child = os.fork()
    if child == 0:
        os.write(1, b"%d\\n" % os.getpid())
        sys.stdin.readline()
        os._exit(0)
    os.kill(os.getpid(), 9)
writer._appender._trail.locks.hold(1e18, fork, None, None, 0.0)
"""


def test_a_child_does_not_keep_the_lock_of_a_parent_that_was_killed(tmp_path, start, records):
    path = tmp_path / "audit.jsonl"
    parent = start(HELD_BY_FORK, path)
    child = int(parent.stdout.readline())
    parent.wait(30)
    try:
        with AuditWriter(path, lock_timeout=5) as writer:
            writer.append({"a": 1})
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
    assert len(records(path)) == 1


FORKED_BY_C = """
import ctypes, os
from auditwatch import AuditWriter
from auditwatch.writer import forks
if sys.argv[2] == "by process id":  # as where the system wipes no page of memory
    forks._process.page = None
    forks._process.begin_anew()
writer = AuditWriter(sys.argv[1])
writer.append({"who": "parent"})
old = writer._appender._trail
child = ctypes.PyDLL(None).fork()
if child == 0:
    writer.append({"who": "child"})
    os._exit(0 if writer._appender._trail is not old else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("told", ["by an empty page", "by process id"])
def test_a_fork_that_python_did_not_make_is_noticed(tmp_path, run, records, told):
    run(FORKED_BY_C, tmp_path / "audit.jsonl", told)
    assert [record["who"] for record in records(tmp_path / "audit.jsonl")] == ["parent", "child"]


SUBINTERPRETERS = """
import threading
try:
    import _xxsubinterpreters as interpreters
except ImportError:  # Python 3.13
    import _interpreters as interpreters
from auditwatch import AuditWriter
script = '''
import sys
sys.path[:] = {path!r}
from auditwatch import AuditWriter
with AuditWriter({trail!r}) as writer:
    for number in range(200):
        writer.append(dict(who={who!r}, number=number))
'''
def work(who):
    interpreter = interpreters.create(*(["legacy"] if sys.version_info >= (3, 13) else []))
    interpreters.run_string(interpreter, script.format(path=sys.path, trail=sys.argv[1], who=who))
    interpreters.destroy(interpreter)
threads = [threading.Thread(target=work, args=(who,)) for who in range(3)]
[thread.start() for thread in threads]
with AuditWriter(sys.argv[1]) as writer:
    for number in range(200):
        writer.append({"who": "main", "number": number})
[thread.join() for thread in threads]
"""


def test_interpreters_of_one_process_that_share_its_lock_append_to_one_trail(tmp_path, run, records):
    path = tmp_path / "audit.jsonl"
    run(SUBINTERPRETERS, path)
    found = records(path)
    assert Counter(record["who"] for record in found) == {"main": 200, 0: 200, 1: 200, 2: 200}
    for who in ("main", 0, 1, 2):
        assert [record["number"] for record in found if record["who"] == who] == list(range(200))
