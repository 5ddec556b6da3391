"""From serialised lines to acknowledged: lines go in, and either they are stored or there is an AuditWriteError."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from auditwatch.errors import AuditWriteError, LockTimeout, Stored
from auditwatch.trail.counters import TIMED_OUT, wait_bucket
from auditwatch.writer import failpoints, forks, reentry
from auditwatch.writer.equipment import ballast_of, group_of, rotation_of, stamp_bytes_of
from auditwatch.writer.failures import is_from_handler, refusal, write_error
from auditwatch.writer.locking import FailedAfterwards, TwoLocks

if TYPE_CHECKING:
    from auditwatch.writer.counting import Counting
    from auditwatch.writer.durability import Sync
    from auditwatch.writer.rotation import Rotation
    from auditwatch.writer.settings import Settings

_LOOK_FOR_POISON_SECONDS: Final = 0.01
_FEWEST_ATTEMPTS: Final = 3


class OpenFile(Protocol):
    """The open file as an appender needs it: a `TrailFile`, which documents it, or a stand-in for tests."""

    locks: TwoLocks
    sync: Sync
    identity: tuple[int, int]
    look_for_poison_at: float

    def size_if_there(self, path: str, now: float) -> int | None:
        """The size of the file, or None if it no longer has its name."""

    def is_full(self, rotation: Rotation, size: int, length: int) -> bool:
        """Whether so many more bytes belong in a new file."""

    def store(self, lines: list[bytes], size: int, stamp: bool) -> None:
        """Append lines in one write."""

    def poison(self) -> None:
        """Accept nothing more."""

    def close(self) -> None:
        """Let go of the file while its locks are held."""

    def retire(self) -> None:
        """Let go of the file once no thread is in the middle of an append."""


class Appender:
    """Stores lines in the file that has the trail's name now, counts them, and reports failures.

    Args:
        settings: The writer's settings.
        counting: Where stored and failed records are counted.
        open_file: Opens the trail, and again whenever its name means another file; raises AuditWriteError.

    Attributes:
        longest: Longest line that is accepted, with its newline and before it is stamped.
        lock_timeout: Longest wait for the locks in seconds.
        shares_syncs: Whether lines of several callers are stored with one write and one sync.
        is_closed: Whether nothing more is accepted.
    """

    def __init__(self, settings: Settings, counting: Counting, open_file: Callable[[Settings], OpenFile]) -> None:
        self._settings = settings
        self._path = settings.path
        self._counting = counting
        self._open_file = open_file
        self._trail: OpenFile | None = None
        self._stamp = settings.stamp
        self._stamp_bytes = stamp_bytes_of(settings)
        self.lock_timeout = settings.lock_timeout
        self._durable = settings.durability != "process"
        self._waits_its_turn = settings.reentrant == "after"
        self._rotation = rotation_of(settings)
        self._group = group_of(settings, self._committed, self._interrupted)
        self._ballast = ballast_of(settings)
        self.longest = settings.max_line_bytes + 1 - self._stamp_bytes
        self.shares_syncs = self._group is not None
        self.is_closed = False

    @property
    def ballast_releases(self) -> int:
        """How often this writer released its ballast."""
        return 0 if self._ballast is None else self._ballast.releases

    def open(self) -> None:
        """Open the trail; if this is not possible now, the next append tries again.

        Raises:
            AuditWriteError: If it cannot be opened and failures are raised.
        """
        try:
            self._trail = self._open_file(self._settings)
        except AuditWriteError as error:
            if not self.answered(error, 1):
                raise
        else:
            self._counting.look()
            if self._ballast is not None:
                self._ballast.keep(time.monotonic())

    def append(
        self, lines: list[bytes], longest: int, length: int, since: float = 0.0, *, answers: bool = True
    ) -> None:
        """Store lines in one write; when this returns, they are acknowledged.

        Args:
            lines: Each with its newline.
            longest: Length of the longest of them.
            length: Of all together.
            since: When `lock_timeout` began (`time.monotonic`); 0: now.
            answers: Whether a failure is counted and `on_failure` called here; else the caller does it: see `answered`.

        Raises:
            AuditWriteError: If they were not acknowledged and failures are raised.
        """
        if self._waits_its_turn and self._interrupts():
            reentry.later(lambda: self.append(lines, longest, length))
            return
        began = time.monotonic()
        try:
            if longest > self.longest:
                message = f"not stored: {longest - 1} bytes, the limit is {self.longest - 1}"
                raise refusal(self._path, "too_long", message)
            forks.notice()
            group = self._group
            free = self._stored(lines, began, since or began) if group is None else group.store(lines, since or began)
        except AuditWriteError as error:
            if not self._overcame(error, lines, began, answers):
                raise
        else:
            bucket = 0 if free else wait_bucket(time.monotonic() - began)
            self._counting.stored(len(lines), length, bucket, began)
            if self._ballast is not None:
                self._ballast.keep(began)
        finally:
            if reentry.of_thread:
                reentry.catch_up()

    def append_all(self, lines: list[bytes], since: float = 0.0, *, answers: bool = True) -> None:
        """As `append`, for at least one line, whose lengths are not known yet."""
        self.append(lines, max(map(len, lines)), sum(map(len, lines)), since, answers=answers)

    def refuse(self, message: str, records: int, cause: BaseException | None = None) -> None:
        """Fail as an append does for records that cannot be made into lines.

        Args:
            message: Why, without anything of their contents.
            records: How many.
            cause: What the caller's code raised.

        Raises:
            AuditWriteError: If failures are raised.
        """
        error = refusal(self._path, "unserialisable", f"not stored: {message}")
        error.__cause__ = cause
        if not self.answered(error, records):
            raise error

    def count_failed(self, reason: str, records: int) -> None:
        """Count records that were given up elsewhere, without raising or calling `on_failure`."""
        self._counting.failed(reason, records, None)

    def close(self) -> None:
        """Let go of the trail. Appending afterwards is an error; closing again is not."""
        self.is_closed = True
        trail, self._trail = self._trail, None
        if trail is not None:
            trail.retire()

    def _overcame(self, error: AuditWriteError, lines: list[bytes], began: float, answers: bool) -> bool:
        """Try again if the ballast made room, otherwise answer. Returns False if the error has to be raised."""
        if self._ballast is not None and self._ballast.helps(error, began):
            self.append_all(lines, answers=answers)
            return True
        return answers and self.answered(error, len(lines))

    def answered(self, error: AuditWriteError, records: int) -> bool:
        """Count a failure and call `on_failure` with it. Returns False if the error has to be raised."""
        self._counting.failed(error.reason, records, TIMED_OUT if isinstance(error, LockTimeout) else None)
        if self._settings.on_failure == "raise":
            return False
        self._settings.on_failure(error)
        return True

    def _interrupts(self) -> bool:
        """Whether this thread is in the middle of an append to this very file."""
        try:
            return (self._trail or self._opened()).locks.are_in_use()
        except AuditWriteError:
            return False

    def _interrupted(self) -> AuditWriteError:
        message = f"{self._path}: the thread that was storing this record with others was interrupted"
        return AuditWriteError(message, stored="unknown", reason="other")

    def _opened(self) -> OpenFile:
        if self.is_closed:
            raise refusal(self._path, "other", "not stored: the writer is closed")
        self._trail = trail = self._open_file(self._settings)
        return trail

    def _committed(self, lines: list[bytes], since: float) -> bool:
        return self._stored(lines, time.monotonic(), since)

    def _stored(self, lines: list[bytes], now: float, since: float) -> bool:
        """Store lines in the file that has the name now; returns whether the locks were free at once."""
        attempts, deadline = 0, since + self.lock_timeout
        while True:
            trail = self._trail or self._opened()
            sync = trail.sync
            try:
                free = trail.locks.hold(deadline, self._store, trail, lines, now)
                if failpoints.armed:
                    _reach_afterwards("append.unlocked")
            except OSError as error:
                if is_from_handler(error):
                    raise
                trail.retire()  # a lock that could not be released goes with the descriptor,
                sync = trail.sync  # which the traceback must not keep open
                stored: Stored = "unknown" if isinstance(error, FailedAfterwards) else "no"
                raise write_error(self._path, error.errno, stored) from error
            if free is not None:
                if self._durable:
                    self._make_durable(trail, sync)
                return free
            self._trail = None
            attempts += 1
            if attempts >= _FEWEST_ATTEMPTS and time.monotonic() > deadline:
                raise refusal(self._path, "other", "not stored: the file was replaced again and again in the meantime")

    def _store(self, trail: OpenFile, lines: list[bytes], now: float, free: bool) -> bool | None:
        """What happens under the locks; returns `free`, or None if the file no longer has the name."""
        size = trail.size_if_there(self._path, now)
        if size is None or (self._rotation is not None and self._rotated(trail, size, lines)):
            trail.close()
            return None
        if self._durable or now >= trail.look_for_poison_at:
            self._look_for_poison(trail, size, now)
        trail.store(lines, size, self._stamp)
        if failpoints.armed:
            _reach_afterwards("append.written")
        return free

    def _rotated(self, trail: OpenFile, size: int, lines: list[bytes]) -> bool:
        rotation = self._rotation
        length = sum(map(len, lines)) + self._stamp_bytes * len(lines)
        return rotation is not None and trail.is_full(rotation, size, length) and rotation.rename()

    def _make_durable(self, trail: OpenFile, sync: Sync) -> None:
        """Get what was just stored onto the disk, now or soon.

        Raises:
            AuditWriteError: If that failed, now or earlier.
        """
        if self._settings.durability == "interval":
            sync.later(self._settings.sync_interval, lambda _: self._poison(trail))
            return
        try:
            sync.now()
        except OSError as error:
            if is_from_handler(error):
                raise
            known = "" if self._poison(trail) else ", but other processes cannot know: there is no counters file"
            what = f"written, but the disk did not confirm it; nothing more is written to this file{known}"
            raise write_error(self._path, error.errno, "unknown", what=what) from error

    def _look_for_poison(self, trail: OpenFile, size: int, now: float) -> None:
        trail.look_for_poison_at = now + _LOOK_FOR_POISON_SECONDS
        if self._counting.is_poisoned(trail.identity, size):
            trail.poison()

    def _poison(self, trail: OpenFile) -> bool:
        trail.poison()
        return self._counting.poison(trail.identity)


def _reach_afterwards(point: str) -> None:
    try:
        failpoints.reach(point)
    except OSError as error:
        raise FailedAfterwards(error.errno, error.strerror) from error
