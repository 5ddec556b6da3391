"""Signal handlers that append while they interrupt an append: by choice they are stored right after it."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections import Counter

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail import counters
from tests.writer.chains import stamps

PLAIN = {"timestamp_field": None, "reentrant": "after"}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def interrupted(monkeypatch):
    """Have something done in the middle of the next write, its locks held, as a signal handler does."""

    def arrange(handler):
        true_write = os.write

        def write(fd, data):
            monkeypatch.setattr(os, "write", true_write)
            written = true_write(fd, data)
            handler()
            return written

        monkeypatch.setattr(os, "write", write)

    return arrange


def whos(records, trail):
    return [record["who"] for record in records(trail)]


@pytest.mark.parametrize("durability", ["process", "interval", "power"])
def test_the_handlers_records_come_right_behind_the_interrupted_one(trail, records, interrupted, durability):
    writer = AuditWriter(trail, **PLAIN, durability=durability, stamp=True)
    interrupted(lambda: [writer.append({"who": "first"}), writer.append_many([{"who": "second"}, {"who": "third"}])])
    writer.append({"who": "main"})
    assert whos(records, trail) == ["main", "first", "second", "third"]
    assert stamps(trail) == [1, 2, 3, 4]
    total = counters.decode((trail.parent / ".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.stored) == (4, 4)


def test_a_real_signal_in_the_middle_of_many_appends_loses_and_doubles_nothing(trail, records):
    writer = AuditWriter(trail, **PLAIN)
    numbers = itertools.count()

    def handler(*_):
        writer.append({"who": f"handler {next(numbers)}"})

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for number in range(2000):
            writer.append({"who": f"main {number}"})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = whos(records, trail)
    assert [who for who in found if who.startswith("main")] == [f"main {number}" for number in range(2000)]
    # A handler may interrupt a handler, so the order of theirs is open.
    handled = Counter(who for who in found if who.startswith("handler"))
    assert handled == {f"handler {number}": 1 for number in range(next(numbers))}


def test_another_writer_on_the_same_file_waits_for_the_interrupted_one_too(trail, records, interrupted):
    one, two = AuditWriter(trail, timestamp_field=None), AuditWriter(trail, **PLAIN)
    interrupted(lambda: two.append({"who": "handler"}))
    one.append({"who": "main"})
    assert whos(records, trail) == ["main", "handler"]


def test_a_writer_of_another_trail_stores_at_once(trail, records, interrupted):
    writer, other = AuditWriter(trail, **PLAIN), AuditWriter(trail.with_name("other.jsonl"), **PLAIN)
    seen = []

    def handler():
        writer.append({"who": "same"})
        other.append({"who": "other"})
        seen.append(whos(records, trail.with_name("other.jsonl")))

    interrupted(handler)
    writer.append({"who": "main"})
    assert seen == [["other"]]
    assert whos(records, trail) == ["main", "same"]


def test_a_handler_is_stored_behind_an_append_that_failed_too(trail, records, interrupted):
    writer = AuditWriter(trail, **PLAIN)

    def handler():
        writer.append({"who": "handler"})
        raise OSError(28, "full")

    interrupted(handler)
    with pytest.raises(AuditWriteError):
        writer.append({"who": "main"})
    # The write had gone through before the error, so its line is still there; the error says "unknown".
    assert whos(records, trail) == ["main", "handler"]


def test_what_fails_later_is_counted_and_warned_of_for_the_handler_has_gone_on(trail, records, interrupted):
    writer = AuditWriter(trail, **PLAIN, max_line_bytes=40)
    interrupted(lambda: [writer.append({"who": "x" * 50}), writer.append({"who": "next"})])
    with pytest.warns(RuntimeWarning, match="the limit is 40 .it came in the middle"):
        writer.append({"who": "main"})
    assert whos(records, trail) == ["main", "next"]
    total = counters.decode((trail.parent / ".audit.jsonl.counters").read_bytes()).total
    assert (total.stored, total.failed[counters.FAILURES.index("too_long")]) == (2, 1)


def test_a_callable_that_raises_keeps_no_other_record_from_being_stored(trail, records, interrupted):
    def stop(error):
        raise KeyError(error.reason)

    writer = AuditWriter(trail, **PLAIN, max_line_bytes=40, on_failure=stop)
    interrupted(lambda: [writer.append({"who": "x" * 50}), writer.append({"who": "next"})])
    with pytest.raises(KeyError, match="too_long"):
        writer.append({"who": "main"})
    writer.append({"who": "last"})
    assert whos(records, trail) == ["main", "last", "next"]


@pytest.mark.concurrency
def test_other_threads_neither_take_over_nor_wait_for_what_a_handler_left(trail, records, interrupted):
    writer, other = AuditWriter(trail, **PLAIN), AuditWriter(trail.with_name("other.jsonl"), **PLAIN)

    def handler():
        writer.append({"who": "handler"})
        thread = threading.Thread(target=other.append, args=({"who": "thread"},))
        thread.start()
        thread.join(30)
        assert not thread.is_alive()

    interrupted(handler)
    writer.append({"who": "main"})
    assert whos(records, trail) == ["main", "handler"]
    assert whos(records, trail.with_name("other.jsonl")) == ["thread"]


def test_a_choice_that_there_is_not_is_said_at_once(trail):
    with pytest.raises(ValueError, match="reentrant must be one of raise, after"):
        AuditWriter(trail, reentrant="before")
