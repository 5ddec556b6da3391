"""Signals that end a program, while an event loop is being created.

Their handlers raise an exception. If that happens while a loop is being created, half a loop is left, and it prints a
traceback.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar

ENDING: Final = (signal.SIGTERM, signal.SIGINT)

_T = TypeVar("_T")


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """Only note `ENDING` signals; at the end, the first one that came is handled as before.

    Yields the list of signals that came; a caller that acts on one removes it from the list.
    """
    came: list[int] = []
    try:
        before = {number: signal.signal(number, lambda held, _frame: came.append(held)) for number in ENDING}
    except ValueError:  # not the main thread: signals are not handled here
        yield came
        return
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def run_in_loop(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Like `asyncio.run(main())`, but safe if a signal comes at any moment."""
    with closing(asyncio.Runner()) as runner:  # entering the runner would create the loop
        with held_signals():
            runner.get_loop()
        return runner.run(main())
