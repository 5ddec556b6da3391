"""Wakes and answers on their way from threads to the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter

from auditwatch.agent.handover import Handover
from auditwatch.agent.prober import Prober

PATIENCE_SECONDS = 10.0


def test_a_signal_arrives_however_many_events_came_before_it() -> None:
    async def flooded() -> Counter[str]:
        taken: Counter[str] = Counter()
        wakes, arrived = Handover(lambda path: taken.update([path])), asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, arrived.set)
        try:
            for _ in range(50_000):  # the loop is busy meanwhile: this is it
                wakes.give("risk")
                wakes.give("orders")
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(arrived.wait(), PATIENCE_SECONDS)
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
        return taken

    assert asyncio.run(flooded()) == {"risk": 1, "orders": 1}


def test_a_signal_arrives_however_many_calls_ended_before_it() -> None:
    async def flooded() -> list[int]:
        prober, arrived, done = Prober("test", PATIENCE_SECONDS), asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, arrived.set)
        try:
            calls = asyncio.gather(*(prober.call(int, str(number)) for number in range(5000)))
            await asyncio.sleep(0)
            prober.submit(done.set)
            assert done.wait(PATIENCE_SECONDS)  # the loop is busy meanwhile: this is it
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(arrived.wait(), PATIENCE_SECONDS)
            return await calls
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            prober.close()

    assert asyncio.run(flooded()) == list(range(5000))


def test_what_is_woken_after_it_was_taken_is_taken_again() -> None:
    async def woken() -> list[str]:
        taken: list[str] = []
        again = asyncio.Event()

        def take(path: str) -> None:
            taken.append(path)
            if len(taken) == 1:
                wakes.give(path)  # while the loop takes it: not lost
            else:
                again.set()

        wakes = Handover(take)
        thread = threading.Thread(target=wakes.give, args=("risk",))
        thread.start()
        thread.join()
        await asyncio.wait_for(again.wait(), PATIENCE_SECONDS)
        return taken

    assert asyncio.run(woken()) == ["risk", "risk"]


def test_a_wake_after_the_loop_has_ended_is_nothing() -> None:
    async def made() -> Handover[str]:
        return Handover(lambda _: None)

    wakes = asyncio.run(made())
    wakes.give("risk")
    wakes.give("risk")
