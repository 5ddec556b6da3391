"""Appending from an event loop: the loop hands lines to a thread, and the await ends with the acknowledgement.

Each writer has one thread, so lines are stored in the order of the calls. If each line would have to wait for the disk,
the lines that have queued up are stored together, with one sync. The thread ends after a moment without work, and the
interpreter waits for it: lines that were handed over are stored, whatever happens to the loop.

`lock_timeout` begins with the call. So when the lock is held for too long, all whose time is up fail together, and the
end of the program does not wait for one after the other.

Only this module needs asyncio, which takes longer to import than the rest of the writer together.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import weakref
from _thread import start_new_thread
from collections import deque
from typing import TYPE_CHECKING, Final

from auditwatch.errors import AuditWriteError, LockTimeout, Stored
from auditwatch.writer import forks
from auditwatch.writer.failures import copy_of, is_lack_of_threads

if TYPE_CHECKING:
    from auditwatch.writer.appender import Appender

BOUND: Final = 1024
"""Lines of one event loop that may be on their way at once; further calls wait for room."""

_LONGEST_BATCH_BYTES: Final = 256 * 1024
_LINGER_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 1e-3


class _Entry:
    """A line on its way.

    Attributes:
        line: With its newline.
        since: When the call was made (`time.monotonic`).
        loop: The caller's event loop.
        acknowledged: What the caller waits for.
    """

    __slots__ = ("_room", "acknowledged", "line", "loop", "since")

    def __init__(self, line: bytes, since: float, loop: asyncio.AbstractEventLoop, room: asyncio.Semaphore) -> None:
        self.line = line
        self.since = since
        self.loop = loop
        self.acknowledged: asyncio.Future[None] = loop.create_future()
        self._room: asyncio.Semaphore | None = room

    def make_room(self) -> None:
        """Let another call in; only in the loop."""
        room, self._room = self._room, None
        if room is not None:
            room.release()

    def settle(self, error: BaseException | None) -> None:
        """Answer the caller; only in the loop."""
        self.make_room()
        if self.acknowledged.done():  # cancelled, or settled by a call that was interrupted
            return
        if error is None:
            self.acknowledged.set_result(None)
        else:
            self.acknowledged.set_exception(copy_of(error) if isinstance(error, AuditWriteError) else error)


class _Post:
    """What became of entries of one loop, on its way to their callers.

    Waking a loop costs more than an append. So the first of a batch wakes it, and then it looks by itself, every
    millisecond, until the last one wakes it again.

    Args:
        loop: Whose entries.
    """

    __slots__ = ("__weakref__", "_is_called", "_is_sent", "_loop", "_outcomes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._outcomes: deque[tuple[_Entry, BaseException | None]] = deque()
        self._is_called = False
        self._is_sent = True

    def add(self, entry: _Entry, error: BaseException | None) -> None:
        """Add what became of one."""
        self._outcomes.append((entry, error))
        self._is_sent = False
        if not self._is_called:
            self._call()

    def send(self, *, again: bool = False) -> None:
        """Have all told soon, if there are any; `again`: even if that was asked for already."""
        is_sent, self._is_sent = self._is_sent, True
        if self._outcomes and (again or not is_sent):
            self._call()

    def _call(self) -> None:
        loop = self._loop()
        try:
            self._is_called = True
            if loop is not None:
                loop.call_soon_threadsafe(self._tell)
        except RuntimeError:
            self._outcomes.clear()  # the loop is closed, so no caller is waiting

    def _tell(self) -> None:
        """In the loop."""
        self._is_called = False
        while self._outcomes:
            entry, error = self._outcomes[0]
            entry.settle(error)
            self._outcomes.popleft()
        loop = self._loop()
        if loop is not None and not self._is_sent:
            self._is_called = True
            loop.call_later(_LOOK_SECONDS, self._tell)


class AsyncFront:
    """Stores lines for event loops.

    Args:
        path: The trail, for messages.
        appender: Stores lines, in a separate thread.
    """

    def __init__(self, path: str, appender: Appender) -> None:
        self._path = path
        self._appender = appender
        self._together = appender.shares_syncs
        self.abandon()
        forks.remember(self)

    def abandon(self) -> None:
        """In a forked child: the thread, the loops and their lines belong to the parent."""
        # RLocks, because a signal handler may close the writer while its thread is here.
        self._lock = threading.RLock()
        self._turn = threading.RLock()
        self._entries: queue.SimpleQueue[_Entry | threading.Event] = queue.SimpleQueue()
        self._is_running = False
        self._worker = 0
        self._rooms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )
        self._timed_out: tuple[float, LockTimeout] | None = None
        self._posts: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Post] = weakref.WeakKeyDictionary()
        self._reminded_at = 0.0

    async def append(self, line: bytes) -> None:
        """Return when the line is acknowledged.

        Raises:
            AuditWriteError: If it was not.
            asyncio.CancelledError: If the await is cancelled. Its cause is an AuditWriteError that says whether the
                line may be stored: it may, once it has been handed over.
        """
        since = time.monotonic()
        stored: Stored = "no"
        try:
            room = self._room()
            await room.acquire()
            stored = "unknown"
            await self._handed_over(line, since, room)
        except asyncio.CancelledError as cancelled:
            message = f"{self._path}: the await was cancelled before the record was acknowledged"
            raise cancelled from AuditWriteError(message, stored=stored, reason="other")

    def drain(self) -> None:
        """Return when everything that was handed over earlier is stored or has failed."""
        if self._worker == threading.get_ident():
            return  # on_failure= closes the writer; the rest is told that it is closed
        if not self._is_running and self._entries.empty():
            return
        drained = threading.Event()
        self._put(drained)
        drained.wait()

    def _room(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        with self._lock:
            return self._rooms.setdefault(loop, asyncio.Semaphore(BOUND))

    def _handed_over(self, line: bytes, since: float, room: asyncio.Semaphore) -> asyncio.Future[None]:
        entry = _Entry(line, since, asyncio.get_running_loop(), room)
        try:
            self._put(entry)
        except BaseException:
            entry.make_room()
            raise
        return entry.acknowledged

    def _put(self, entry: _Entry | threading.Event) -> None:
        is_first = False
        try:
            with self._lock:
                self._entries.put(entry)
                is_first = not self._is_running
                self._is_running = True
            if is_first:
                self._start()
        except BaseException:
            if is_first:  # interrupted: if a thread runs nevertheless, the next one waits for its turn
                self._is_running = False
            raise

    def _start(self) -> None:
        worker = threading.Thread(target=self._work, name=f"append_async {self._path}")
        try:
            _begin(worker)
        except RuntimeError as error:
            if not is_lack_of_threads(error):
                raise
            self._work()  # now, although it blocks the loop

    def _work(self) -> None:
        with self._turn:
            self._worker = threading.get_ident()
            with self._lock:
                self._is_running = True
            try:
                while batch := self._next_batch():
                    self._deal_with(batch)
            except BaseException:
                self._is_running = False  # out of memory, perhaps: the next call starts another thread
                raise
            finally:
                self._worker = 0

    def _next_batch(self) -> list[_Entry | threading.Event]:
        """What has queued up, up to the length of one write; nothing once no more lines come."""
        try:
            batch = [self._entries.get(timeout=_LINGER_SECONDS)]
        except queue.Empty:
            self._remind()
            with self._lock:
                self._is_running = not self._entries.empty()
            return self._next_batch() if self._is_running else []
        length = _length(batch[0])
        while length < _LONGEST_BATCH_BYTES and not self._entries.empty():
            batch.append(self._entries.get())
            length += _length(batch[-1])
        return batch

    def _deal_with(self, batch: list[_Entry | threading.Event]) -> None:
        """Store a batch and answer its callers; each as soon as its fate is known."""
        if time.monotonic() > self._reminded_at + _LINGER_SECONDS:
            self._remind()
        entries = [entry for entry in batch if isinstance(entry, _Entry)]
        try:
            for group in [entries] if self._together and entries else [[entry] for entry in entries]:
                self._store(group)
        finally:
            self._end_batch()
            for drained in batch:
                if isinstance(drained, threading.Event):
                    drained.set()

    def _store(self, entries: list[_Entry]) -> None:
        """Store lines in one write. After a time-out, those who have time left try again."""
        while entries:
            late = self._late(entries)
            if late and self._timed_out is not None:
                for entry in late:
                    self._note([entry], self._answer(copy_of(self._timed_out[1]), 1))
            else:
                late = entries
                try:
                    self._appender.append_all([entry.line for entry in entries], entries[0].since, answers=False)
                except LockTimeout as error:
                    up = entries[0].since + self._appender.lock_timeout
                    self._timed_out = max(time.monotonic(), up), error
                    continue
                except AuditWriteError as error:
                    self._note(entries, self._answer(error, len(entries)))
                except BaseException as error:  # noqa: BLE001  the waiting callers get it
                    self._note(entries, error)
                else:
                    self._note(entries, None)
            entries = [entry for entry in entries if entry not in late]

    def _late(self, entries: list[_Entry]) -> list[_Entry]:
        """Those whose whole time had passed when the lock was last seen to be held for too long."""
        if self._timed_out is None:
            return []
        seen = self._timed_out[0] - self._appender.lock_timeout
        return [entry for entry in entries if entry.since <= seen]

    def _answer(self, error: AuditWriteError, records: int) -> BaseException | None:
        """What the callers get; None if `on_failure` has heard of it."""
        try:
            return None if self._appender.answered(error, records) else error
        except BaseException as raised:  # noqa: BLE001  what on_failure= raises, and it may raise anything
            return raised

    def _note(self, entries: list[_Entry], error: BaseException | None) -> None:
        for entry in entries:
            post = self._posts.get(entry.loop)
            if post is None:
                post = self._posts.setdefault(entry.loop, _Post(entry.loop))
            post.add(entry, error)

    def _end_batch(self) -> None:
        for post in list(self._posts.values()):
            post.send()

    def _remind(self) -> None:
        """Tell once more those who have not heard: what a signal handler raises in a callback, its loop only logs."""
        self._reminded_at = time.monotonic()
        for post in list(self._posts.values()):
            post.send(again=True)


def _begin(worker: threading.Thread) -> None:
    """As `worker.start()`, but in another thread: if a signal handler raises in the middle, its exception comes out.

    Raises:
        RuntimeError: If no thread can be had.
    """
    errors: list[Exception] = []
    begun = threading.Lock()
    begun.acquire()

    def begin() -> None:
        try:
            worker.start()
        except Exception as error:  # noqa: BLE001  raised below
            errors.append(error)
        begun.release()

    start_new_thread(begin, ())
    begun.acquire()
    for error in errors:
        raise error


def _length(entry: _Entry | threading.Event) -> int:
    return len(entry.line) if isinstance(entry, _Entry) else 0
