"""Wakes on their way from the watcher's threads to the event loop: each trail once, until the loop takes it.

A busy trail sends thousands of events a second. If each were handed to the loop, they would fill the pipe that wakes
it. Signals use the same pipe, and are lost when it is full: a SIGTERM would have no effect.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


class Wakes:
    """Hands wakes to the loop in which it was created.

    Args:
        take: Called in the loop with the path of each trail that was woken.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: set[str] = set()

    def wake(self, path: str) -> None:
        """Wake a trail, from any thread."""
        with self._lock:
            is_first = not self._waiting
            self._waiting.add(path)
        if is_first:
            with suppress(RuntimeError):  # the loop ended between the event and now
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            woken, self._waiting = self._waiting, set()
        for path in woken:
            self._take(path)
