"""From threads to the event loop: what is handed over waits there, each once, until the loop takes it.

A busy trail sends thousands of events a second, and a thousand trails are looked at in half a second. If each event and
each look were handed to the loop by itself, they would fill the pipe that wakes it. Signals use the same pipe, and are
lost when it is full: a SIGTERM would have no effect.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

_T = TypeVar("_T", bound=Hashable)


class Handover(Generic[_T]):
    """Hands things to the loop in which it was created, in their order.

    Args:
        take: Called in the loop with each of them.
    """

    def __init__(self, take: Callable[[_T], None]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: dict[_T, None] = {}

    def give(self, one: _T) -> None:
        """Hand over one thing, from any thread; nothing happens if it is waiting already, or if the loop has ended."""
        with self._lock:
            is_first = not self._waiting
            self._waiting[one] = None
        if is_first:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            given, self._waiting = self._waiting, {}
        for one in given:
            self._take(one)
