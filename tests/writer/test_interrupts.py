"""Exceptions of signal handlers: they come out as they are, and what they interrupt can go on."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading

import pytest

from auditwatch import AuditWriteError, AuditWriter, LockTimeout

PLAIN = {"timestamp_field": None}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


class TooLate(TimeoutError):
    """What a handler raises; the system's own errors of this kind have a number."""


def raising(error):
    def call(*_):
        raise error

    return call


@pytest.mark.parametrize("error", [TooLate("the task"), MemoryError(), RuntimeError("cannot"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["write", "lseek", "fdatasync"])
def test_what_a_handler_raises_comes_out_as_it_is(trail, records, monkeypatch, error, name):
    writer = AuditWriter(trail, durability="power", **PLAIN)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, raising(error))
        with pytest.raises(type(error)) as caught:
            writer.append({"a": 1})
    assert caught.value is error
    writer.append({"a": 2})
    assert records(trail)[-1] == {"a": 2}
    with trail.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("options", [{}, {"default": str}])
def test_what_interrupts_serialising_is_no_matter_of_the_record(trail, monkeypatch, options):
    class Interrupting(dict):
        def keys(self):
            raise TooLate("the task")

        __iter__ = keys

    with AuditWriter(trail, **options) as writer, pytest.raises(TooLate):
        writer.append({"a": {"b": Interrupting(a=1)}, "big": 2**70})


def test_memory_that_runs_out_in_a_hook_is_no_bad_record(trail):
    with AuditWriter(trail, default=raising(MemoryError())) as writer, pytest.raises(MemoryError):
        writer.append({"a": {1}})


def test_with_does_not_replace_the_exception_that_ends_its_block(trail, monkeypatch):
    def interrupted():
        with AuditWriter(trail) as writer:
            monkeypatch.setattr(writer._appender, "close", raising(AuditWriteError("x", stored="no", reason="other")))
            raise KeyError("the program's own")

    with pytest.raises(KeyError):
        interrupted()


def test_async_with_does_not_either(trail, monkeypatch):
    async def interrupted():
        async with AuditWriter(trail) as writer:
            await writer.append_async({"a": 1})
            monkeypatch.setattr(writer._appender, "close", raising(AuditWriteError("x", stored="no", reason="other")))
            raise KeyError("the program's own")

    with pytest.raises(KeyError):
        asyncio.run(interrupted())


def test_a_lock_of_ones_own_without_an_append_below_it_is_mended(trail, records):
    writer = AuditWriter(trail, **PLAIN, lock_timeout=30)
    locks = writer._appender._trail.locks
    locks.between_threads.acquire()
    fcntl.flock(locks.file.number, fcntl.LOCK_EX)
    writer.append({"who": "main"})
    thread = threading.Thread(target=writer.append, args=({"who": "thread"},))
    thread.start()
    thread.join(30)
    with trail.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert records(trail) == [{"who": "main"}, {"who": "thread"}]
    locks.between_threads.acquire()
    writer.close()


def test_the_text_by_which_an_rlock_says_that_it_is_not_held():
    from auditwatch.writer.locking import NOT_HELD

    with pytest.raises(RuntimeError, match=f"^{NOT_HELD}$"):
        threading.RLock().release()


@pytest.mark.concurrency
def test_a_timeout_names_the_process_for_the_thread_that_waits_for_a_thread_too(trail, start):
    holder = start(
        "import fcntl\nf = open(sys.argv[1], 'a')\nfcntl.flock(f, 2)\nprint('held', flush=True)\ninput()", trail
    )
    assert holder.stdout.readline() == "held\n"
    writer = AuditWriter(trail, lock_timeout=0.3)
    told = []

    def append():
        try:
            writer.append({"a": 1})
        except LockTimeout as error:
            told.append(str(error))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 4
    assert all(f"process {holder.pid} (python" in text for text in told)


@pytest.mark.concurrency
def test_who_was_taken_along_by_a_thread_that_was_interrupted_does_not_know_whether_it_is_stored(trail, monkeypatch):
    writer = AuditWriter(trail, durability="power", **PLAIN)
    group = writer._appender._group
    outcomes = []

    def interrupted():
        while len(group._waiting) < 3:
            pass
        group._take()
        monkeypatch.undo()
        raise TooLate("the task")

    def append(who):
        try:
            writer.append({"who": who})
        except (AuditWriteError, TooLate) as error:
            outcomes.append(getattr(error, "stored", "interrupted"))

    monkeypatch.setattr(group, "_store_together", interrupted)
    threads = [threading.Thread(target=append, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(outcomes) == ["interrupted", "unknown", "unknown"]
    writer.append({"who": "next"})


CELERYS = """
import signal
from auditwatch import AuditWriter
class SoftTimeLimitExceeded(Exception): pass
def limit(*_): raise SoftTimeLimitExceeded
signal.signal(signal.SIGALRM, limit)
writer = AuditWriter(sys.argv[1])
seen = 0
for task in range(60):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        while True:
            writer.append({"task": task, "big": 2**70})
    except SoftTimeLimitExceeded:
        seen += 1
print(seen)
"""


def test_each_task_with_a_soft_time_limit_sees_it(trail, run):
    assert run(CELERYS, trail) == "60\n"
