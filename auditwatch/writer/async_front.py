"""Appending from an event loop: the loop hands lines to a thread, and the await ends with the acknowledgement.

Each writer has one thread, so lines are stored in the order of the calls. If each line would have to wait for the disk,
the lines that have queued up are stored together, with one sync. The thread ends after a moment without work, and the
interpreter waits for it: lines that were handed over are stored, whatever happens to the loop.

Only this module needs asyncio, which takes longer to import than the rest of the writer together.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from auditwatch.errors import AuditWriteError, Stored
from auditwatch.writer import forks
from auditwatch.writer.failures import copy_of

BOUND: Final = 1024
"""Lines of one event loop that may be on their way at once; further calls wait for room."""

_LONGEST_BATCH_BYTES: Final = 256 * 1024
_LINGER_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line on its way, or a caller that only waits until all earlier lines are stored.

    Attributes:
        line: With its newline; empty for a caller that only waits.
        loop: The caller's event loop.
        acknowledged: What the caller waits for.
        room: Released when the caller is answered.
    """

    line: bytes
    loop: asyncio.AbstractEventLoop
    acknowledged: asyncio.Future[None]
    room: asyncio.Semaphore


class AsyncFront:
    """Stores lines for event loops.

    Args:
        path: The trail, for messages.
        store: Stores lines in one write; called in a separate thread, never twice at once.
        together: Whether to store several lines at once. If that fails, no caller knows about its own line.
    """

    def __init__(self, path: str, store: Callable[[list[bytes]], None], *, together: bool) -> None:
        self._path = path
        self._store = store
        self._together = together
        self.abandon()
        forks.remember(self)

    def abandon(self) -> None:
        """In a forked child: the thread, the loops and their lines belong to the parent."""
        self._lock = threading.Lock()
        self._entries: queue.SimpleQueue[_Entry] = queue.SimpleQueue()
        self._is_running = False
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def append(self, line: bytes) -> None:
        """Return when the line is acknowledged.

        Raises:
            AuditWriteError: If it was not.
            asyncio.CancelledError: If the await is cancelled. Its cause is an AuditWriteError that says whether the
                line may be stored: it may, once it has been handed over.
        """
        stored: Stored = "no"
        try:
            room = self._room()
            await room.acquire()
            stored = "unknown"
            await self._handed_over(line, room)
        except asyncio.CancelledError as cancelled:
            message = f"{self._path}: the await was cancelled before the record was acknowledged"
            raise cancelled from AuditWriteError(message, stored=stored, reason="other")

    async def finish(self, close: Callable[[], None]) -> None:
        """Close once everything that was handed over earlier is stored or has failed.

        Args:
            close: Called in another thread, because it may wait for the disk.
        """
        await self._handed_over(b"", asyncio.Semaphore(0))
        await asyncio.to_thread(close)

    def _room(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        with self._lock:
            return self._rooms.setdefault(loop, asyncio.Semaphore(BOUND))

    def _handed_over(self, line: bytes, room: asyncio.Semaphore) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        entry = _Entry(line, loop, loop.create_future(), room)
        with self._lock:
            self._entries.put(entry)
            is_running, self._is_running = self._is_running, True
        if not is_running:
            self._start()
        return entry.acknowledged

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"append_async {self._path}").start()
        except RuntimeError:  # no threads left, or the interpreter is shutting down: now, although it blocks the loop
            self._work()

    def _work(self) -> None:
        while batch := self._next_batch():
            outcomes = list(zip(batch, self._errors_of(batch), strict=True))
            for loop in {entry.loop for entry in batch}:
                _tell(loop, [(entry, error) for entry, error in outcomes if entry.loop is loop])

    def _next_batch(self) -> list[_Entry]:
        """What has queued up, up to the length of one write; nothing once no more lines come."""
        try:
            batch = [self._entries.get(timeout=_LINGER_SECONDS)]
        except queue.Empty:
            with self._lock:
                self._is_running = not self._entries.empty()
            return self._next_batch() if self._is_running else []
        length = len(batch[0].line)
        while length < _LONGEST_BATCH_BYTES and not self._entries.empty():
            batch.append(self._entries.get())
            length += len(batch[-1].line)
        return batch

    def _errors_of(self, batch: list[_Entry]) -> list[BaseException | None]:
        if not self._together:
            return [self._error_of([entry.line]) for entry in batch]
        return [self._error_of([entry.line for entry in batch])] * len(batch)

    def _error_of(self, lines: list[bytes]) -> BaseException | None:
        lines = [line for line in lines if line]
        try:
            if lines:
                self._store(lines)
        except BaseException as error:  # noqa: BLE001  the waiting callers get it; their on_failure= may raise anything
            return error
        return None


_Outcome = tuple[_Entry, BaseException | None]


def _tell(loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome]) -> None:
    try:
        loop.call_soon_threadsafe(_settle, outcomes)
    except RuntimeError:
        return  # the loop is closed, so no caller is waiting


def _settle(outcomes: list[_Outcome]) -> None:
    for entry, error in outcomes:
        entry.room.release()
        if entry.acknowledged.done():  # cancelled
            continue
        if error is None:
            entry.acknowledged.set_result(None)
        else:
            entry.acknowledged.set_exception(copy_of(error) if isinstance(error, AuditWriteError) else error)
