"""`append_async`: in order, bounded, acknowledged when the await ends, and stored whatever becomes of the loop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from contextlib import aclosing

import pytest

from auditwatch import AuditWriteError, AuditWriter, LockTimeout
from auditwatch.trail import counters
from auditwatch.writer import async_front
from tests.writer.chains import stamps

PLAIN = {"timestamp_field": None}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def held(trail):
    """The trail, locked by another process until `release` is called."""
    holder = trail.open("ab")
    fcntl.flock(holder, fcntl.LOCK_EX)
    yield holder.close
    holder.close()


def test_when_the_await_ends_the_record_is_in_the_trail(trail, records):
    async def main():
        async with aclosing(AuditWriter(trail, **PLAIN)) as writer:
            for number in range(50):
                await writer.append_async({"number": number})
                assert len(records(trail)) == number + 1

    asyncio.run(main())
    assert [record["number"] for record in records(trail)] == list(range(50))


@pytest.mark.concurrency
def test_each_task_keeps_its_order_and_nothing_is_lost(trail, records):
    async def produce(writer, who):
        for number in range(200):
            await writer.append_async({"who": who, "number": number})

    async def main():
        async with aclosing(AuditWriter(trail, stamp=True)) as writer:
            await asyncio.gather(*(produce(writer, who) for who in range(20)))

    asyncio.run(main())
    found = records(trail)
    for who in range(20):
        assert [record["number"] for record in found if record["who"] == who] == list(range(200))
    assert stamps(trail) == list(range(1, 4001))
    total = counters.decode((trail.parent / ".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.stored) == (4000, 4000)


def test_calls_without_awaits_between_them_are_stored_in_the_order_of_the_calls(trail, records):
    async def main():
        writer = AuditWriter(trail, **PLAIN)
        await asyncio.gather(*(writer.append_async({"number": number}) for number in range(3000)))
        await writer.aclose()

    asyncio.run(main())
    assert [record["number"] for record in records(trail)] == list(range(3000))


def test_those_who_wait_for_the_disk_share_a_sync(trail, monkeypatch):
    syncs = []
    true_sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: [syncs.append(fd), true_sync(fd)])

    async def main():
        async with aclosing(AuditWriter(trail, durability="power")) as writer:
            await asyncio.gather(*(writer.append_async({"number": number}) for number in range(500)))

    asyncio.run(main())
    assert len(stamps(trail)) == 0
    assert trail.read_bytes().count(b"\n") == 500
    assert 1 <= len(syncs) < 250


def test_a_bad_record_is_refused_at_once_and_harms_no_other(trail, records):
    async def main():
        async with aclosing(AuditWriter(trail, **PLAIN, max_line_bytes=30)) as writer:
            return await asyncio.gather(
                writer.append_async({"a": 1}),
                writer.append_async({"a": {1}}),
                writer.append_async({"a": "x" * 40}),
                writer.append_async({"a": 2}),
                return_exceptions=True,
            )

    first, odd, long, last = asyncio.run(main())
    assert (first, last) == (None, None)
    assert [(error.reason, error.stored) for error in (odd, long)] == [("unserialisable", "no"), ("too_long", "no")]
    assert records(trail) == [{"a": 1}, {"a": 2}]


def test_on_a_full_disk_each_one_who_waits_knows_about_his_own_record(trail, records, monkeypatch):
    true_write = os.write

    def write(fd, data):
        if trail.stat().st_size > 100:
            raise OSError(28, "full")
        return true_write(fd, data)

    async def main():
        writer = AuditWriter(trail, **PLAIN)
        monkeypatch.setattr(os, "write", write)
        return await asyncio.gather(*(writer.append_async({"a": n}) for n in range(50)), return_exceptions=True)

    outcomes = asyncio.run(main())
    refused = [error for error in outcomes if error is not None]
    assert {(error.reason, error.stored) for error in refused} == {("disk_full", "no")}
    assert records(trail) == [{"a": number} for number in range(50 - len(refused))]


def test_the_record_is_the_one_of_the_call_whatever_is_done_to_it_later(trail, records):
    async def main():
        async with aclosing(AuditWriter(trail, **PLAIN)) as writer:
            record = {"a": 1}
            appending = asyncio.ensure_future(writer.append_async(record))
            await asyncio.sleep(0)
            record["a"] = 2
            await appending

    asyncio.run(main())
    assert records(trail) == [{"a": 1}]


def test_a_failed_write_reaches_every_one_who_waits_with_an_error_of_his_own(trail, held):
    async def main():
        writer = AuditWriter(trail, **PLAIN, lock_timeout=0.05)
        return await asyncio.gather(*(writer.append_async({"a": n}) for n in range(3)), return_exceptions=True)

    errors = asyncio.run(main())
    assert {type(error) for error in errors} == {LockTimeout}
    assert len({id(error) for error in errors}) == 3
    total = counters.decode((trail.parent / ".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.failed[counters.FAILURES.index("lock_timeout")]) == (3, 3)


def test_a_callable_hears_of_the_failure_and_the_await_ends(trail):
    heard = []

    async def main():
        writer = AuditWriter(trail, on_failure=heard.append)
        await writer.append_async({"a": {1}})
        await writer.aclose()
        await writer.append_async({"a": 1})

    asyncio.run(main())
    assert [error.reason for error in heard] == ["unserialisable", "other"]


def test_what_the_callable_raises_comes_out_of_the_await(trail):
    def stop(error):
        raise KeyError(error.reason)

    async def main():
        writer = AuditWriter(trail, on_failure=stop)
        writer.close()
        await writer.append_async({"a": 1})

    with pytest.raises(KeyError, match="other"):
        asyncio.run(main())


@pytest.mark.concurrency
def test_a_cancelled_await_does_not_know_and_what_was_handed_over_is_stored(trail, held, records):
    async def main():
        writer = AuditWriter(trail, **PLAIN)
        task = asyncio.ensure_future(writer.append_async({"a": 1}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        held()
        await writer.append_async({"a": 2})
        await writer.aclose()
        return caught.value.__cause__

    cause = asyncio.run(main())
    assert isinstance(cause, AuditWriteError)
    assert cause.stored == "unknown"
    assert records(trail) == [{"a": 1}, {"a": 2}]


@pytest.mark.concurrency
def test_a_timeout_around_the_await_is_the_loops_own_timeout(trail, held):
    async def main():
        writer = AuditWriter(trail, **PLAIN)
        async with asyncio.timeout(0.01):
            await writer.append_async({"a": 1})

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    cancelled = caught.value.__cause__
    assert cancelled is not None
    assert cancelled.__cause__.stored == "unknown"


@pytest.mark.concurrency
def test_more_than_the_bound_waits_for_room_and_is_not_stored_if_cancelled_there(trail, held, records, monkeypatch):
    monkeypatch.setattr(async_front, "BOUND", 3)

    async def main():
        writer = AuditWriter(trail, **PLAIN)
        tasks = [asyncio.ensure_future(writer.append_async({"a": n})) for n in range(6)]
        await asyncio.sleep(0)
        room = writer._async_front()._room()
        assert room.locked()
        tasks[4].cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await tasks[4]
        held()
        await asyncio.gather(*tasks[:4], tasks[5])
        await writer.aclose()
        return caught.value.__cause__.stored

    assert asyncio.run(main()) == "no"
    assert [record["a"] for record in records(trail)] == [0, 1, 2, 3, 5]


@pytest.mark.concurrency
def test_cancelled_awaits_do_not_let_more_than_the_bound_queue_up(trail, held, monkeypatch):
    monkeypatch.setattr(async_front, "BOUND", 3)

    async def main():
        writer = AuditWriter(trail, **PLAIN)
        for _ in range(3):
            task = asyncio.ensure_future(writer.append_async({"a": 1}))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert writer._async_front()._room().locked()
        held()
        await writer.append_async({"a": 2})
        await writer.aclose()

    asyncio.run(main())
    assert trail.read_bytes().count(b"\n") == 4


def test_aclose_drains_and_closing_twice_is_fine(trail, records):
    async def main():
        writer = AuditWriter(trail, **PLAIN)
        tasks = [asyncio.ensure_future(writer.append_async({"a": n})) for n in range(100)]
        await asyncio.sleep(0)
        await writer.aclose()
        await writer.aclose()
        assert len(records(trail)) == 100
        await asyncio.gather(*tasks)
        with pytest.raises(AuditWriteError, match="closed"):
            await writer.append_async({"a": 1})

    asyncio.run(main())


LEFT_BEHIND = """
import asyncio
from auditwatch import AuditWriter
async def main():
    writer = AuditWriter(sys.argv[1])
    for number in range(300):
        asyncio.ensure_future(writer.append_async({"number": number}))
    await asyncio.sleep(0)
asyncio.run(main())
"""


def test_what_was_handed_over_is_stored_although_loop_and_program_end(trail, run, records):
    assert run(LEFT_BEHIND, trail) == ""
    assert [record["number"] for record in records(trail)] == list(range(300))


FORKED = """
import asyncio, os
from auditwatch import AuditWriter
writer = AuditWriter(sys.argv[1])
async def append(who):
    await asyncio.gather(*(writer.append_async({"who": who}) for _ in range(20)))
asyncio.run(append("parent"))
child = os.fork()
if child == 0:
    asyncio.run(append("child"))
    os._exit(0)
asyncio.run(append("parent"))
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.concurrency
def test_a_forked_child_appends_with_a_thread_of_its_own(trail, run, records):
    run(FORKED, trail)
    found = [record["who"] for record in records(trail)]
    assert (found.count("parent"), found.count("child")) == (40, 20)


@pytest.mark.concurrency
def test_loops_in_several_threads_share_one_writer(trail, records):
    writer = AuditWriter(trail, **PLAIN)

    async def main(who):
        await asyncio.gather(*(writer.append_async({"who": who, "n": n}) for n in range(100)))

    threads = [threading.Thread(target=lambda who=who: asyncio.run(main(who))) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = records(trail)
    for who in range(4):
        assert [record["n"] for record in found if record["who"] == who] == list(range(100))


def test_where_no_thread_can_be_started_the_record_is_stored_all_the_same(trail, records, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    async def main():
        writer = AuditWriter(trail, **PLAIN)
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", refuse)
            await writer.append_async({"a": 1})
        await writer.append_async({"a": 2})

    asyncio.run(main())
    assert records(trail) == [{"a": 1}, {"a": 2}]


def test_the_thread_ends_when_nothing_comes_any_more(trail):
    async def main():
        writer = AuditWriter(trail)
        await writer.append_async({"a": 1})
        return [thread for thread in threading.enumerate() if thread.name == f"append_async {trail}"]

    (thread,) = asyncio.run(main())
    thread.join(30)
    assert not thread.is_alive()


STOPPED = """
import asyncio, fcntl, time
from auditwatch import AuditWriter, LockTimeout
holder = open(sys.argv[1], "ab")
fcntl.flock(holder, fcntl.LOCK_EX)
async def main():
    writer = AuditWriter(sys.argv[1], lock_timeout=0.5, durability=sys.argv[2])
    outcomes = await asyncio.gather(*(writer.append_async({"n": n}) for n in range(1000)), return_exceptions=True)
    print({type(outcome).__name__ for outcome in outcomes}, len({id(outcome) for outcome in outcomes}))
    for number in range(1000):
        asyncio.ensure_future(writer.append_async({"n": number}))
    await asyncio.sleep(0)
asyncio.run(main())
"""


@pytest.mark.concurrency
@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_thousand_calls_behind_a_held_lock_time_out_together_and_so_does_the_end_of_the_program(
    trail, run, durability
):
    assert run(STOPPED, trail, durability) == "{'LockTimeout'} 1000\n"
    total = counters.decode((trail.parent / ".audit.jsonl.counters").read_bytes()).total
    assert (total.stored, total.failed[counters.FAILURES.index("lock_timeout")]) == (0, 2000)


@pytest.mark.concurrency
def test_who_came_later_has_his_whole_time(trail, held, records):
    async def main():
        writer = AuditWriter(trail, **PLAIN, lock_timeout=0.5, durability="power")
        first = asyncio.ensure_future(writer.append_async({"a": 1}))
        await asyncio.sleep(0.3)
        second = asyncio.ensure_future(writer.append_async({"a": 2}))
        with pytest.raises(LockTimeout):
            await first
        assert not second.done()
        held()
        await second
        await writer.aclose()

    asyncio.run(main())
    assert records(trail) == [{"a": 2}]


@pytest.mark.concurrency
def test_an_await_ends_when_its_own_record_is_stored_and_not_with_the_last_one(trail, held, records, monkeypatch):
    async def main():
        writer = AuditWriter(trail, **PLAIN)
        true_write, goes_on = os.write, threading.Event()

        def write(descriptor, data):
            if b"slow" in data:
                assert goes_on.wait(30)
            return true_write(descriptor, data)

        monkeypatch.setattr(os, "write", write)
        tasks = [asyncio.ensure_future(writer.append_async({"a": what})) for what in ("first", "second", "slow")]
        await asyncio.sleep(0)
        held()
        await asyncio.wait_for(asyncio.gather(*tasks[:2]), 30)
        assert not tasks[2].done()
        goes_on.set()
        await asyncio.gather(*tasks)
        await writer.aclose()

    asyncio.run(main())


def test_close_waits_for_what_was_handed_over(trail, records):
    async def main():
        with AuditWriter(trail, **PLAIN) as writer:
            tasks = [asyncio.ensure_future(writer.append_async({"a": n})) for n in range(100)]
            await asyncio.sleep(0)
        assert len(records(trail)) == 100
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_the_callable_of_on_failure_may_close_the_writer(trail):
    heard = []

    async def main():
        writer = AuditWriter(trail, on_failure=lambda error: [heard.append(error.reason), writer.close()])
        writer._appender.close()
        await writer.append_async({"a": 1})
        await writer.aclose()

    asyncio.run(main())
    assert heard == ["other"]


def test_async_with_closes_at_its_end(trail, records):
    async def main():
        async with AuditWriter(trail, **PLAIN) as writer:
            task = asyncio.ensure_future(writer.append_async({"a": 1}))
            await asyncio.sleep(0)
        await task
        with pytest.raises(AuditWriteError, match="closed"):
            await writer.append_async({"a": 2})

    asyncio.run(main())
    assert records(trail) == [{"a": 1}]


@pytest.mark.concurrency
def test_the_cause_of_a_time_out_by_wait_for_is_where_the_page_says(trail, held):
    async def main():
        writer = AuditWriter(trail, **PLAIN)
        await asyncio.wait_for(writer.append_async({"a": 1}), 0.01)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    assert caught.value.__cause__.__cause__.stored == "unknown"
