"""Workers: the same verdicts from another process, which never outlives its parent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import FieldType, Rules
from auditwatch.validation.ranges import judge_range
from auditwatch.validation.workers.pool import WorkerPool

pytestmark = pytest.mark.concurrency

TRAIL = b'{"a":1}\n' * 3000 + b'{"a":1}{"b":2}\nx\n{"a":"' + "é".encode() + b'"}\n{"pend'
RULES = Rules(require=(("a", FieldType.ANY),), strict=True, tolerate=frozenset({Kind.BLANK}))


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "a.jsonl").write_bytes(TRAIL)
    descriptor = os.open(tmp_path / "a.jsonl", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        os.sched_yield()


def children(pid: int) -> list[int]:
    text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for child in text.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_says_what_this_process_says(trail: int) -> None:
    async def ask() -> None:
        pool = WorkerPool(2)
        try:
            for final in (False, True):
                verdict = await pool.judge(trail, 8, len(TRAIL) + 100, RULES, final)
                here = judge_range(trail, 8, len(TRAIL) + 100, RULES, final=final)
                assert verdict == here
            lines_end = TRAIL.rindex(b"\n") + 1
            verdict = await pool.judge(trail, 0, len(TRAIL), RULES)
            assert verdict.digest == blake3(TRAIL[:lines_end]).digest()
            assert verdict.report.pending_bytes == len(TRAIL) - lines_end
            assert pool.cpu_seconds > 0
            assert pool.max_resident_bytes > 1 << 20
        finally:
            await pool.close()

    asyncio.run(ask())


def test_many_questions_at_once_share_few_workers(trail: int) -> None:
    async def ask() -> None:
        pool = WorkerPool(2)
        before = set(children(os.getpid()))
        verdicts = await asyncio.gather(*(pool.judge(trail, 0, 8 * n, Rules()) for n in range(40)))
        assert [verdict.report.records for verdict in verdicts] == list(range(40))
        workers = set(children(os.getpid())) - before
        assert 1 <= len(workers) <= 2
        await pool.close()
        assert not workers & set(children(os.getpid()))

    asyncio.run(ask())


def test_questions_and_answers_may_be_longer_than_a_socket_holds(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(b'{"a":1}\n' + b'{"a":\n' * 9000)
    rules = Rules(schema=json.dumps({"description": "x" * (1 << 20)}))

    async def ask(descriptor: int) -> None:
        pool = WorkerPool(1)
        try:
            report = (await pool.judge(descriptor, 0, path.stat().st_size, rules)).report
        finally:
            await pool.close()
        assert (report.records, len(report.defects)) == (1, 9000)

    with path.open("rb") as file:
        asyncio.run(ask(file.fileno()))


def test_a_worker_that_cannot_read_says_so_and_goes_on(trail: int, tmp_path: Path) -> None:
    async def ask() -> None:
        pool = WorkerPool(1)
        unreadable = os.open(tmp_path, os.O_RDONLY)  # reading a directory is EISDIR
        try:
            with pytest.raises(Unreadable):
                await pool.judge(unreadable, 0, 10, Rules())
            assert (await pool.judge(trail, 0, 8, Rules())).report.records == 1
        finally:
            os.close(unreadable)
            await pool.close()

    asyncio.run(ask())


def test_a_killed_worker_is_an_error_and_the_next_call_starts_another(trail: int) -> None:
    async def ask() -> None:
        pool = WorkerPool(1)
        before = set(children(os.getpid()))
        try:
            await pool.judge(trail, 0, 8, Rules())
            (worker,) = set(children(os.getpid())) - before
            os.kill(worker, signal.SIGKILL)
            until(lambda: not is_running(worker))
            with pytest.raises(WorkerDied):
                await pool.judge(trail, 0, 8, Rules())
            assert (await pool.judge(trail, 0, 8, Rules())).report.records == 1
        finally:
            await pool.close()

    asyncio.run(ask())


def test_a_question_nobody_waits_for_any_more_leaves_no_answer_behind(tmp_path: Path, trail: int) -> None:
    (tmp_path / "long.jsonl").write_bytes(b'{"a":1}\n' * 4_000_000)

    async def ask() -> None:
        pool = WorkerPool(1)
        long = os.open(tmp_path / "long.jsonl", os.O_RDONLY)
        try:
            await pool.judge(trail, 0, 8, Rules())
            question = asyncio.create_task(pool.judge(long, 0, 1 << 40, Rules()))
            await asyncio.sleep(0)
            question.cancel()
            assert (await asyncio.gather(question, return_exceptions=True))[0].__class__ is asyncio.CancelledError
            assert (await pool.judge(trail, 0, 16, Rules())).report.records == 2
        finally:
            os.close(long)
            await pool.close()

    asyncio.run(ask())


@pytest.mark.parametrize("background", [True, False], ids=["of a sidecar", "of a command that somebody waits for"])
def test_only_the_workers_of_a_sidecar_step_back(trail: int, background: bool) -> None:
    async def ask() -> int:
        pool = WorkerPool(1, background=background)
        before = set(children(os.getpid()))
        await pool.judge(trail, 0, 8, Rules())
        (worker,) = set(children(os.getpid())) - before
        priority = os.getpriority(os.PRIO_PROCESS, worker)
        await pool.close()
        return priority

    niced = asyncio.run(ask()) - os.getpriority(os.PRIO_PROCESS, 0)
    assert niced == (10 if background else 0)


def test_an_idle_worker_is_let_go(trail: int) -> None:
    async def ask() -> None:
        pool = WorkerPool(1, idle_seconds=0)
        before = set(children(os.getpid()))
        await pool.judge(trail, 0, 8, Rules())
        deadline = time.monotonic() + 20
        while set(children(os.getpid())) - before:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        assert (await pool.judge(trail, 0, 8, Rules())).report.records == 1
        await pool.close()

    asyncio.run(ask())


PARENT = """
    import asyncio, os, sys
    from auditwatch.trail.rules import Rules
    from auditwatch.validation.workers.pool import WorkerPool

    async def main():
        pool = WorkerPool(1)
        descriptor = os.open(sys.argv[1], os.O_RDONLY)
        await pool.judge(descriptor, 0, 8, Rules())
        busy = asyncio.create_task(pool.judge(descriptor, 0, int(sys.argv[2]), Rules(), True))
        await asyncio.sleep(0)
        print("ready", flush=True)
        await busy
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.parametrize("size", [8, 1 << 40], ids=["idle", "in the middle of a terabyte"])
def test_no_worker_outlives_a_parent_that_is_killed(tmp_path: Path, size: int) -> None:
    trail = tmp_path / "a.jsonl"
    trail.touch()
    os.truncate(trail, size)
    arguments = [sys.executable, "-c", textwrap.dedent(PARENT), str(trail), str(size)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        (worker,) = children(parent.pid)
        parent.kill()
    until(lambda: not is_running(worker))


HOSTILE = {
    "a million empty lines": b"\n" * 1_000_000,
    "one deep line": b'{"a":' * 200_000 + b"\n",
    "a line of objects": b'{"a":[' + b"{}," * 340_000 + b"{}]}\n",
    "a line of 64 MiB": b"x" * (64 << 20) + b"\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_cost_a_worker_little_memory(tmp_path: Path, trail: int, name: str) -> None:
    data = HOSTILE[name]
    (tmp_path / "hostile.jsonl").write_bytes(data)

    async def ask() -> None:
        pool = WorkerPool(1)
        hostile = os.open(tmp_path / "hostile.jsonl", os.O_RDONLY)
        try:
            await pool.judge(trail, 0, 8, Rules())
            at_rest = pool.max_resident_bytes
            verdict = await pool.judge(hostile, 0, len(data), Rules())
            assert verdict.report.lines == data.count(b"\n")
            assert pool.max_resident_bytes <= at_rest + (32 << 20)
        finally:
            os.close(hostile)
            await pool.close()

    asyncio.run(ask())
