"""One paced reader a directory, in watchdog's observer.

Watchdog's own reader hands each event on by itself, through three threads: at 1,000 lines a second that costs more than
judging them. Here events are read once a period. What happened to one file in between is one event, and most of it the
kernel has merged before it is read.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Any, Final, cast

from watchdog.events import DirModifiedEvent, FileModifiedEvent
from watchdog.observers.api import BaseObserver, EventEmitter, EventQueue, ObservedWatch

Pause = Callable[[], float]
"""Seconds between two reads of what happened in a directory; asked for after each read."""

# inotify(7), <sys/inotify.h>
_MODIFY: Final = 0x2
_ATTRIB: Final = 0x4
_MOVED: Final = 0xC0
_CREATE: Final = 0x100
_DELETE: Final = 0x200
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000
_ONLY_DIRECTORIES: Final = 0x1000000

_CHANGES: Final = _MODIFY | _ATTRIB | _MOVED | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
"""What means changes: our own reads open and close files, and must not wake us."""

_ENDS: Final = _DELETE_SELF | _MOVE_SELF | _IGNORED
"""After one of these the directory at the path is another one, or none."""

_HEAD: Final = Struct("iIII")
_LONGEST_EVENT: Final = _HEAD.size + 256
_BUFFER_BYTES: Final = 1 << 16

_libc: Final = ctypes.CDLL(None, use_errno=True)
if not hasattr(_libc, "inotify_init1"):
    raise ImportError("inotify is not available on this system")


class PacedObserver(BaseObserver):
    """An observer of directories, without those in them.

    A file that changed, came, went or was renamed is a FileModifiedEvent with its path. A DirModifiedEvent of the
    watched directory says that events were lost: anything in it may have changed.

    Args:
        pause: How often a directory that changes all the time is read; the first change after a pause is read at once.
    """

    def __init__(self, pause: Pause) -> None:
        super().__init__(cast("type[EventEmitter]", partial(_PacedEmitter, pause)))


class _PacedEmitter(EventEmitter):
    """The reader of one directory. It ends, as watchdog's own does, when the directory is no longer at its path."""

    def __init__(self, pause: Pause, event_queue: EventQueue, watch: ObservedWatch, **how: Any) -> None:
        super().__init__(event_queue, watch, **how)
        self._pause = pause
        self._closing = threading.Lock()
        self._descriptor = -1
        self._watched = -1

    def start(self) -> None:
        """Start the reader.

        Raises:
            OSError: The directory is not there, or the system's limits on inotify are reached.
            RuntimeError: There are too many threads.
        """
        try:
            super().start()
        except (OSError, RuntimeError):
            self._close()
            raise

    def on_thread_start(self) -> None:
        """Watch the directory, before the thread starts."""
        self._descriptor = _checked(_libc.inotify_init1(os.O_CLOEXEC), self.watch.path)
        path = os.fsencode(self.watch.path)
        asked = _libc.inotify_add_watch(self._descriptor, path, _CHANGES | _ONLY_DIRECTORIES)
        self._watched = _checked(asked, self.watch.path)

    def on_thread_stop(self) -> None:
        """Have the reader end: that its watch is removed is one more event, so that it does not wait for others."""
        with self._closing:
            if self._descriptor >= 0:
                _libc.inotify_rm_watch(self._descriptor, self._watched)

    def run(self) -> None:
        """Read until stopped."""
        try:
            super().run()
        finally:
            self._close()

    def queue_events(self, timeout: float) -> None:  # noqa: ARG002  watchdog's; the pause is asked for each time
        """Queue what happened since the last time, each file once, then let more come together."""
        data = os.read(self._descriptor, _BUFFER_BYTES)
        happened, names = _told(data)
        if happened & _OVERFLOW:
            self.queue_event(DirModifiedEvent(self.watch.path))
        else:
            for name in names:
                self.queue_event(FileModifiedEvent(os.path.join(self.watch.path, os.fsdecode(name))))
        if happened & _ENDS:
            self.stop()
        if len(data) <= _BUFFER_BYTES - _LONGEST_EVENT:  # otherwise there is more
            self.stopped_event.wait(self._pause())

    def _close(self) -> None:
        with self._closing:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)


def _checked(result: int, path: object) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def _told(data: bytes) -> tuple[int, dict[bytes, None]]:
    """All that happened, as one mask, and the names of the files to which anything did, in their order."""
    happened, place = 0, 0
    names: dict[bytes, None] = {}
    while place < len(data):
        _, mask, _, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size + length
        happened |= mask
        if length:  # otherwise it is about the directory itself
            names[data[place - length : place].rstrip(b"\0")] = None
    return happened, names
