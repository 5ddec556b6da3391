"""Wakes on their way from the watcher's threads to the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter

from auditwatch.agent.wakes import Wakes

PATIENCE_SECONDS = 10.0


def test_a_signal_arrives_however_many_events_came_before_it() -> None:
    async def flooded() -> Counter[str]:
        taken: Counter[str] = Counter()
        wakes, arrived = Wakes(lambda path: taken.update([path])), asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, arrived.set)
        try:
            for _ in range(50_000):  # the loop is busy meanwhile: this is it
                wakes.wake("risk")
                wakes.wake("orders")
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(arrived.wait(), PATIENCE_SECONDS)
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
        return taken

    assert asyncio.run(flooded()) == {"risk": 1, "orders": 1}


def test_what_is_woken_after_it_was_taken_is_taken_again() -> None:
    async def woken() -> list[str]:
        taken: list[str] = []
        again = asyncio.Event()

        def take(path: str) -> None:
            taken.append(path)
            if len(taken) == 1:
                wakes.wake(path)  # while the loop takes it: not lost
            else:
                again.set()

        wakes = Wakes(take)
        thread = threading.Thread(target=wakes.wake, args=("risk",))
        thread.start()
        thread.join()
        await asyncio.wait_for(again.wait(), PATIENCE_SECONDS)
        return taken

    assert asyncio.run(woken()) == ["risk", "risk"]


def test_a_wake_after_the_loop_has_ended_is_nothing() -> None:
    async def made() -> Wakes:
        return Wakes(lambda _: None)

    wakes = asyncio.run(made())
    wakes.wake("risk")
    wakes.wake("risk")
