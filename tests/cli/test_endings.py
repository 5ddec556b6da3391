"""SIGTERM arrives wherever it meets a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from auditwatch.cli.endings import Terminated, terminable
from auditwatch.cli.main import run


@pytest.fixture(autouse=True)
def _the_timer_is_ours() -> Iterator[None]:
    """The test runner's own timer is put aside and wound up again."""
    before, timer = signal.getsignal(signal.SIGALRM), signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    signal.signal(signal.SIGALRM, before)
    signal.setitimer(signal.ITIMER_REAL, *timer)
    assert left == 0


class _Swallows:
    """An object whose finalizer gets the signal: what it raises is lost."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def _wait_for_a_signal() -> None:
    """Ends with the exception of a signal handler, or after a deadline."""
    threading.Event().wait(20)


def _lost() -> None:
    lost = _Swallows()
    del lost
    _wait_for_a_signal()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sigterm_arrives_although_the_code_that_it_met_swallowed_its_exception() -> None:
    with pytest.raises(Terminated), terminable():
        _lost()


def test_sigterm_does_not_interrupt_what_cleans_up_after_it() -> None:
    done = []

    def cleaning() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for _ in range(3):
                signal.raise_signal(signal.SIGALRM)  # as the timer would
            with suppress(ValueError):
                _failing()
            done.append("cleaned up")

    with pytest.raises(Terminated), terminable():
        cleaning()
    assert done == ["cleaned up"]


def _failing() -> None:
    """An error of its own while the stack unwinds: SIGTERM does not take its place."""
    try:
        raise ValueError
    finally:
        signal.raise_signal(signal.SIGTERM)


def test_sigterm_as_the_command_ends_is_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends() -> Iterator[None]:
        yield
        raise Terminated

    monkeypatch.setattr("auditwatch.cli.main.terminable", contextmanager(ends))
    assert run(["explain", "torn"]) == 143
