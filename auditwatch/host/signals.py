"""Signals that end a program, while an event loop is made.

Their handlers raise, and what is raised in the middle of making a loop leaves half of one, which prints a traceback.
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
    """Only note `ENDING` signals; at the end, let the first that came be handled as before.

    Yields the numbers of those that came: whoever acts on them takes them out.
    """
    came: list[int] = []
    try:
        before = {number: signal.signal(number, lambda held, _frame: came.append(held)) for number in ENDING}
    except ValueError:  # not the main thread: somebody else owns the signals
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
    """As `asyncio.run(main())`, where a signal may come at any moment."""
    with closing(asyncio.Runner()) as runner:  # to enter it would make the loop
        with held_signals():
            runner.get_loop()
        return runner.run(main())
