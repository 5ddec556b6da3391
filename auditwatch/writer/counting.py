"""What this process counts for a trail, published in its slot of the counters file.

Counting never breaks an append: without a file the numbers stay in memory, and it looks for the file again later.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import time
import weakref
from typing import Final

from auditwatch.trail.counters import FAILURES, SLOT_BYTES, WAIT_BUCKETS, counters_name
from auditwatch.writer import forks, slots
from auditwatch.writer.failures import is_from_handler, warn

# Linux has locks that belong to the open file and end with it in every pid namespace; without them a slot could have
# no owner.
_SUPPORTED: Final = hasattr(fcntl, "F_OFD_SETLK")

_LOOK_AGAIN_SECONDS: Final = 1.0
# A rotation is in progress and the trail has no name, or others are claiming slots: usually over by the next look.
_MOMENTARY: Final = frozenset({errno.ENOENT, errno.EAGAIN})

# The places of the numbers in a slot (auditwatch.trail.counters).
_BEGUN, _STORED, _BYTES, _FAILED = 1, 2, 3, 4
_WAITS: Final = _FAILED + len(FAILURES)
_LAST_FAILURE: Final = _WAITS + WAIT_BUCKETS
_NUMBERS: Final = _LAST_FAILURE + 2
_pack: Final = struct.Struct(f"<{_NUMBERS}Q{SLOT_BYTES - 8 * _NUMBERS}x").pack


class Counting:
    """The counts of this process for one trail.

    Args:
        trail_path: The trail; its counters file is beside it.
    """

    def __init__(self, trail_path: str) -> None:
        directory, name = os.path.split(trail_path)
        self._trail_path = trail_path
        self._path = os.path.join(directory, counters_name(name))
        self._warned = False
        self._missed = False
        self._begin()
        forks.remember(self)

    def __del__(self) -> None:
        self._let_go()

    def _begin(self) -> None:
        # An RLock, because a signal handler may fail to append while its thread counts.
        self._lock = threading.RLock()
        self._numbers = [0] * _NUMBERS
        self._descriptor = -1
        self._offset = 0
        self._identity = b""
        self._look_at = 0.0

    def look(self, *, quietly: bool = False) -> None:
        """Make sure that there is a slot: claim one, or another one if the file was removed or truncated.

        Args:
            quietly: Do not warn if that is not possible: the append has failed, and its error comes first.
        """
        with self._lock:
            self._look_at = time.monotonic() + _LOOK_AGAIN_SECONDS
            try:
                if self._offset and not slots.is_same_file(self._descriptor, self._path, self._identity):
                    # A process that laid the file out again must not find what was counted for the old one.
                    os.pwrite(self._descriptor, bytes(SLOT_BYTES), self._offset)
                    self._let_go()
                    self._numbers = [0] * _NUMBERS
                if not self._offset:
                    self._let_go()
                    self._claim()
            except OSError as error:
                if is_from_handler(error):
                    raise
                # What is counted until the next look is published then.
                if not quietly and (self._missed or error.errno not in _MOMENTARY):
                    self._warn(error)
                self._missed = True
            else:
                self._missed = False

    def stored(self, records: int, length: int, bucket: int, now: float) -> None:
        """Count records that have so many bytes in all and waited so long for the locks (`wait_bucket`)."""
        with self._lock:
            if now >= self._look_at:
                self.look()
            numbers = self._numbers
            numbers[_BEGUN] += records
            numbers[_STORED] += records
            numbers[_BYTES] += length
            numbers[_WAITS + bucket] += 1
            self._publish()

    def failed(self, reason: str, records: int, bucket: int | None) -> None:
        """Count records that were not acknowledged, and how long they waited for the locks if they got that far."""
        with self._lock:
            self.look(quietly=True)
            numbers = self._numbers
            numbers[_BEGUN] += records
            numbers[_FAILED + FAILURES.index(reason)] += records
            numbers[_LAST_FAILURE] = time.time_ns()
            if bucket is not None:
                numbers[_WAITS + bucket] += 1
            self._publish()

    def is_poisoned(self, identity: tuple[int, int], size: int) -> bool:
        """Whether a process has declared this file poisoned. A declaration about another file is withdrawn.

        Only for callers that hold the locks of the file that has the name now: a process that merely opened it may be
        late, and would withdraw what another one has declared since.

        Args:
            identity: Device and inode.
            size: An empty file has nothing that a sync could have lost: it only got the inode of a deleted file.
        """
        with self._lock:
            said = self._said_poison()
            if said == (0, 0):
                return False
            if said == identity and size:
                return True
            try:
                slots.take_back_poison(self._descriptor, *said)
            except OSError as error:
                if is_from_handler(error):
                    raise
            return False

    def poison(self, identity: tuple[int, int]) -> bool:
        """Declare a file poisoned for all processes; returns False if there is no counters file to do it in."""
        with self._lock:
            self.look()
            return self._descriptor >= 0 and self._say_poison(identity)

    def _say_poison(self, identity: tuple[int, int]) -> bool:
        try:
            slots.poison(self._descriptor, *identity)
        except OSError as error:
            if is_from_handler(error):
                raise
            return False
        return True

    def _said_poison(self) -> tuple[int, int]:
        if self._descriptor < 0:
            return (0, 0)
        try:
            return slots.poisoned(self._descriptor)
        except OSError as error:
            if is_from_handler(error):
                raise
            return (0, 0)

    def abandon(self) -> None:
        """In a forked child: leave the slot to the parent and count from zero in another one."""
        self._let_go()
        self._begin()

    def _claim(self) -> None:
        if not _SUPPORTED:
            raise OSError(errno.ENOTSUP, "this system has no open file description locks")
        # It stays open even if no slot is free: declaring and seeing poison needs none.
        self._descriptor = slots.open_counters(self._path, self._trail_path)
        self._offset, self._identity = slots.claim(self._descriptor)

    def _publish(self) -> None:
        numbers = self._numbers
        numbers[0] = numbers[-1] = numbers[0] + 2
        if self._offset:
            try:
                os.pwrite(self._descriptor, _pack(*numbers), self._offset)
            except OSError as error:
                if is_from_handler(error):
                    raise
                # The counts only grow: what cannot be published now is published with the next.
                return

    def _warn(self, error: OSError) -> None:
        if self._warned:
            return
        self._warned = True
        warn(f"{self._path}: writes are not counted, but appends go on: {error.strerror}")

    def _let_go(self) -> None:
        descriptor, self._descriptor, self._offset = self._descriptor, -1, 0
        if descriptor >= 0:
            os.close(descriptor)


_counting: Final[weakref.WeakValueDictionary[str, Counting]] = weakref.WeakValueDictionary()


def counting_of(trail_path: str) -> Counting:
    """The counts of this process for a trail, shared by all its writers."""
    return _counting.setdefault(trail_path, Counting(trail_path))
