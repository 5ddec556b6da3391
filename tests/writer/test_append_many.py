"""`append_many`: one write, nothing between the records; a bad record keeps all of them out."""

from __future__ import annotations

import os
import threading

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail import counters
from tests.writer.chains import stamps

PLAIN = {"timestamp_field": None}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


def total(trail):
    return counters.decode(trail.with_name(".audit.jsonl.counters").read_bytes()).total


def test_records_are_stored_in_order_with_one_write(trail, records, monkeypatch):
    writer = AuditWriter(trail, **PLAIN)
    writes = []
    true_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: [writes.append(data), true_write(fd, data)][1])
    writer.append_many({"a": number} for number in range(100))
    assert len(writes) == 1
    assert records(trail) == [{"a": number} for number in range(100)]
    assert (total(trail).begun, total(trail).stored, total(trail).bytes) == (100, 100, trail.stat().st_size)


@pytest.mark.parametrize(
    ("bad", "reason", "told"),
    [({"a": {1}}, "unserialisable", "record 3: a: a value"), ({"a": "x" * 99}, "too_long", "the limit is 50")],
)
def test_one_bad_record_keeps_all_of_them_out(trail, bad, reason, told):
    writer = AuditWriter(trail, **PLAIN, max_line_bytes=50)
    with pytest.raises(AuditWriteError, match=told) as caught:
        writer.append_many([{"a": 1}, {"a": 2}, bad])
    assert (caught.value.reason, caught.value.stored) == (reason, "no")
    assert trail.read_bytes() == b""
    assert (total(trail).begun, total(trail).stored, sum(total(trail).failed)) == (3, 0, 3)


def test_of_a_write_cut_short_in_the_second_record_the_first_stays_for_its_newline_is_out(trail, monkeypatch):
    writer = AuditWriter(trail, **PLAIN)
    writer.append({"a": 0})
    true_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: true_write(fd, data[:12]))
    with pytest.raises(AuditWriteError) as caught:
        writer.append_many([{"a": 1}, {"a": 2}])
    assert caught.value.stored == "unknown"
    assert trail.read_bytes() == b'{"a":0}\n{"a":1}\n'


def test_no_records_are_no_write(trail):
    with AuditWriter(trail) as writer:
        writer.append_many([])
    assert trail.read_bytes() == b""


def test_what_the_iterable_raises_comes_out_and_nothing_is_stored(trail):
    def records():
        yield {"a": 1}
        raise LookupError("no more")

    with AuditWriter(trail) as writer, pytest.raises(LookupError):
        writer.append_many(records())
    assert trail.read_bytes() == b""


@pytest.mark.concurrency
@pytest.mark.parametrize("durability", ["process", "power"])
def test_nothing_of_other_threads_comes_between_them(trail, records, durability):
    writer = AuditWriter(trail, durability=durability, stamp=True)

    def work(who):
        for turn in range(20):
            writer.append_many({"who": who, "turn": turn, "part": part} for part in range(5))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = records(trail)
    assert len(found) == 400
    for at in range(0, 400, 5):
        assert {(record["who"], record["turn"]) for record in found[at : at + 5]} == {
            (found[at]["who"], found[at]["turn"])
        }
        assert [record["part"] for record in found[at : at + 5]] == list(range(5))
    assert stamps(trail) == list(range(1, 401))
