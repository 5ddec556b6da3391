"""Signals that come while an event loop is being created."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditwatch.host.signals import ENDING, held_signals, run_in_loop


def test_held_signals_are_noted_and_handled_at_the_end() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    noted = []

    def hold() -> None:
        with held_signals() as came:
            signal.raise_signal(signal.SIGINT)
            noted.extend(came)

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert noted == [signal.SIGINT]
    assert [signal.getsignal(number) for number in ENDING] == before


def test_who_acts_on_a_held_signal_takes_it_out() -> None:
    with held_signals() as came:
        signal.raise_signal(signal.SIGTERM)
        assert came.pop() == signal.SIGTERM


def test_an_error_comes_before_a_signal() -> None:
    def fail() -> None:
        with held_signals():
            signal.raise_signal(signal.SIGINT)
            raise LookupError

    with pytest.raises(LookupError):
        fail()


def test_a_coroutine_runs_in_a_loop_of_its_own() -> None:
    async def main() -> bool:
        return asyncio.get_running_loop().is_running()

    assert run_in_loop(main)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(run_in_loop, main).result()
