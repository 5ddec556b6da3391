"""Appending from an event loop: the loop hands lines to a thread, and the await ends with the acknowledgement.

One thread a writer, so lines are stored in the order of the calls. What has queued up while it stored is stored next,
in one write and with one sync. The thread ends when nothing came for a moment, and the interpreter waits for it: what
was handed over is stored, whatever becomes of the loop.

Only this module needs asyncio, which takes longer to import than all the rest of the writer together.
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
"""Lines that an event loop may have handed over at once; who comes then waits for room."""

_LONGEST_BATCH_BYTES: Final = 256 * 1024
_LINGER_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line on its way; without one, whoever waits until all before him are stored.

    Attributes:
        line: With its newline.
        loop: Where somebody waits.
        acknowledged: What he waits for.
        room: What the line takes up until then.
    """

    line: bytes
    loop: asyncio.AbstractEventLoop
    acknowledged: asyncio.Future[None]
    room: asyncio.Semaphore


class AsyncFront:
    """Stores lines for event loops.

    Args:
        path: The trail, for messages.
        store: Stores lines in one write; called in a thread of its own, never twice at once.
    """

    def __init__(self, path: str, store: Callable[[list[bytes]], None]) -> None:
        self._path = path
        self._store = store
        self.abandon()
        forks.remember(self)

    def abandon(self) -> None:
        """In a forked child: the thread, the loops and what they handed over are the parent's."""
        self._lock = threading.Lock()
        self._entries: queue.SimpleQueue[_Entry] = queue.SimpleQueue()
        self._is_running = False
        self._rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def append(self, line: bytes) -> None:
        """Return when the line is acknowledged.

        Raises:
            AuditWriteError: If it was not.
            asyncio.CancelledError: If the await is cancelled; its cause is an AuditWriteError that says whether the
                line may be stored: once it was handed over, it may.
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
        """Close when everything that was handed over before is stored or has failed.

        Args:
            close: Called in another thread, for it may wait for the disk.
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
        except RuntimeError:  # no more threads, or the interpreter ends: here and now, though the loop waits for it
            self._work()

    def _work(self) -> None:
        while batch := self._next_batch():
            error = self._error_of(batch)
            for loop in {entry.loop for entry in batch}:
                _tell(loop, [entry for entry in batch if entry.loop is loop], error)

    def _next_batch(self) -> list[_Entry]:
        """What has queued up, as far as it fits into one write; nothing once nobody comes any more."""
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

    def _error_of(self, batch: list[_Entry]) -> BaseException | None:
        lines = [entry.line for entry in batch if entry.line]
        try:
            if lines:
                self._store(lines)
        except BaseException as error:  # noqa: BLE001  it belongs to those who wait, on_failure= of theirs may raise it
            return error
        return None


def _tell(loop: asyncio.AbstractEventLoop, entries: list[_Entry], error: BaseException | None) -> None:
    try:
        loop.call_soon_threadsafe(_settle, entries, error)
    except RuntimeError:
        return  # the loop is closed, nobody waits


def _settle(entries: list[_Entry], error: BaseException | None) -> None:
    for entry in entries:
        entry.room.release()
        if entry.acknowledged.done():  # cancelled
            continue
        if error is None:
            entry.acknowledged.set_result(None)
        else:
            entry.acknowledged.set_exception(copy_of(error) if isinstance(error, AuditWriteError) else error)
