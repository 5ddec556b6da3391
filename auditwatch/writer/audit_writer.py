"""The front that producers hold: settings, serialisation, and one append after another into the right file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from auditwatch.errors import AuditWriteError, LockTimeout, Stored
from auditwatch.trail.counters import TIMED_OUT, wait_bucket
from auditwatch.trail.limits import MAX_LINE_BYTES
from auditwatch.writer import failpoints, forks, reentry
from auditwatch.writer.counting import counting_of
from auditwatch.writer.durability import Sync
from auditwatch.writer.equipment import ballast_of, group_of, rotation_of, serialiser_of, stamp_bytes_of
from auditwatch.writer.failures import UnserialisableError, refusal, write_error
from auditwatch.writer.opening import open_trail
from auditwatch.writer.settings import Durability, OnFailure, Reentrant, Settings, absolute
from auditwatch.writer.trail_file import TrailFile

if TYPE_CHECKING:
    from auditwatch.writer.async_front import AsyncFront
    from auditwatch.writer.ballast import Ballast
    from auditwatch.writer.group import GroupCommit
    from auditwatch.writer.rotation import Rotation
    from auditwatch.writer.serialise import Serialiser

_LOOK_FOR_POISON_SECONDS: Final = 0.01
_FEWEST_ATTEMPTS: Final = 3


class AuditWriter:
    """Appends records to a JSONL trail so that no line is ever lost, torn or mixed with another.

    Safe from any number of threads and processes at once, over forks, and beside every producer that takes
    `flock(LOCK_EX)` on the trail. A pickled writer opens the same path with the same settings.

    Args:
        path: The trail; created where it is missing, its directory is not.
        lock_path: A file to lock instead of the trail, for trails that untrusted users can open. All producers
            must name the same.
        lock_timeout: Longest wait in seconds for both locks together.
        max_line_bytes: Longest line before its newline; longer records are refused, never cut.
        timestamp_field: Member with the time in UTC that is put first where a record has none; None: no such member.
        default: Called with a value that JSON does not know; returns one that it knows.
        dumps: Replaces the serialiser; returns one JSON object without newlines, which is checked.
        on_failure: "raise", or what is called with the error instead; `append` then returns.
        file_mode: Permissions of a new trail, less the umask.
        allow_network: Whether to write on NFS, CIFS, FUSE and the like, where the guarantees do not hold.
        durability: What an acknowledged record survives: "process" a kill of every process; "power" also a power cut
            (threads share one fdatasync); "interval" a power cut that is `sync_interval` later.
        sync_interval: Seconds until an acknowledged record is on disk, with durability "interval".
        stamp: Whether to number records and to chain them by hashes (`_seq`, `_prev`).
        rotate_bytes: Size beyond which the file is renamed to a segment and a new one begun.
        rotate_every: Age in seconds at which it is.
        ballast_bytes: Size of a file that is kept beside the trail and thrown away at the first full disk.
        reentrant: What becomes of an append by a signal handler that interrupts an append of this trail: "raise" an
            error, or "after": it returns at once, and the interrupted append stores the record at its own end.

    Raises:
        AuditWriteError: If the trail cannot be opened and failures are raised.
        ValueError: If a parameter cannot be.
    """

    def __init__(  # noqa: PLR0913  the parameters of the contract, by name only
        self,
        path: str | os.PathLike[str],
        *,
        lock_path: str | os.PathLike[str] | None = None,
        lock_timeout: float = 5.0,
        max_line_bytes: int = MAX_LINE_BYTES,
        timestamp_field: str | None = "timestamp",
        default: Callable[[Any], Any] | None = None,
        dumps: Callable[[Any], bytes | str] | None = None,
        on_failure: OnFailure = "raise",
        file_mode: int = 0o640,
        allow_network: bool = False,
        durability: Durability = "process",
        sync_interval: float = 1.0,
        stamp: bool = False,
        rotate_bytes: int | None = None,
        rotate_every: float | None = None,
        ballast_bytes: int | None = None,
        reentrant: Reentrant = "raise",
    ) -> None:
        self._begin(
            Settings(
                path=absolute(path),
                lock_path=None if lock_path is None else absolute(lock_path),
                lock_timeout=lock_timeout,
                max_line_bytes=max_line_bytes,
                timestamp_field=timestamp_field,
                default=default,
                dumps=dumps,
                on_failure=on_failure,
                file_mode=file_mode,
                allow_network=allow_network,
                durability=durability,
                sync_interval=sync_interval,
                stamp=stamp,
                rotate_bytes=rotate_bytes,
                rotate_every=rotate_every,
                ballast_bytes=ballast_bytes,
                reentrant=reentrant,
            ).checked()
        )

    def _begin(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.path
        self._closed = False
        self._trail: TrailFile | None = None
        self._front: AsyncFront | None = None
        self._serialiser: Serialiser | None = None
        self._serialise: Callable[[object], bytes] = lambda record: self._loaded().line(record)
        self._stamp_bytes = stamp_bytes_of(settings)
        self._longest = settings.max_line_bytes + 1 - self._stamp_bytes
        self._stamp = settings.stamp
        self._lock_timeout = settings.lock_timeout
        self._durable = settings.durability != "process"
        self._waits_its_turn = settings.reentrant == "after"
        self._group: GroupCommit | None = None
        self._ballast: Ballast | None = None
        self._rotation: Rotation | None = None
        self._attach(settings)

    def _attach(self, settings: Settings) -> None:
        """Reach for the file system."""
        self._counting = counting_of(settings.path)
        self._rotation = rotation_of(settings)
        self._group = group_of(settings, self._stored, self._interrupted)
        self._ballast = ballast_of(settings)
        try:
            self._loaded()
            self._trail = open_trail(settings)
        except UnserialisableError as error:
            self._refuse(str(error), 1)
        except AuditWriteError as error:
            if not self._answered(error, 1):
                raise
        else:
            self._counting.look()
            if self._ballast is not None:
                self._ballast.keep(time.monotonic())

    def __getstate__(self) -> Settings:
        return self._settings

    def __setstate__(self, settings: Settings) -> None:
        self._begin(settings)

    def __repr__(self) -> str:
        return f"AuditWriter({self._path!r}{', closed' if self._closed else ''})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """Where the trail lies."""
        return self._path

    @property
    def ballast_releases(self) -> int:
        """How often this writer released its ballast."""
        return 0 if self._ballast is None else self._ballast.releases

    def append(self, record: Mapping[str, Any] | object) -> None:
        """Append one record; when this returns, it is acknowledged.

        Args:
            record: A mapping with string keys, or an instance of a dataclass.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be there all the same.
        """
        try:
            line = self._serialise(record)
        except UnserialisableError as error:
            message = str(error)
        except Exception as error:  # noqa: BLE001  hooks and records run the caller's code: no crash of ours
            message = f"the record, default= or dumps= raised {type(error).__name__}"
        else:
            self._append([line], len(line), len(line))
            return
        self._refuse(message, 1)

    def append_many(self, records: Iterable[Mapping[str, Any] | object]) -> None:
        """Append records one behind the other in one write, with nothing between them.

        Where the disk is full in the middle, those before that place stay, whole: a newline commits, and readers may
        have seen it. The error then says that it is unknown whether they are stored.

        Args:
            records: As `append` takes them; they are held in memory until all are serialised.

        Raises:
            AuditWriteError: If they were not acknowledged; `stored` says whether they may be there all the same.
        """
        lines = []
        for number, record in enumerate(records, 1):
            line = self._line(record, number)
            if line is None:
                return
            lines.append(line)
        if lines:
            self._append_all(lines)

    async def append_async(self, record: Mapping[str, Any] | object) -> None:
        """Append one record without blocking the event loop; when the await ends, it is acknowledged.

        It is serialised at once and stored by a thread, in the order of the calls. While too many are on their way,
        the await waits for room. A cancelled await leaves open whether the record is stored: the CancelledError has
        an AuditWriteError as its cause.

        Args:
            record: As `append` takes it.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be there all the same.
        """
        line = self._line(record)
        if line is None:
            return
        if len(line) > self._longest:
            self._append_all([line])  # refused there
        else:
            await self._async_front().append(line)

    def append_line(self, line: bytes) -> None:
        """Append one record that is JSON already; its bytes are kept, no timestamp is added.

        Args:
            line: One JSON object in UTF-8, without a newline.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be there all the same.
        """
        try:
            whole = self._loaded().checked(line)
        except UnserialisableError as error:
            message = str(error)
        else:
            self._append([whole], len(whole), len(whole))
            return
        self._refuse(message, 1)

    def close(self) -> None:
        """Close the trail; appending afterwards is an error. Closing twice is none."""
        self._closed = True
        trail, self._trail = self._trail, None
        if trail is not None:
            trail.retire()

    async def aclose(self) -> None:
        """Close the trail once everything is stored that `append_async` was handed."""
        await self._async_front().finish(self.close)

    def _async_front(self) -> AsyncFront:
        if self._front is None:
            from auditwatch.writer.async_front import AsyncFront  # noqa: PLC0415  asyncio for those who use it

            self._front = AsyncFront(self._path, self._append_all, together=self._group is not None)
        return self._front

    def _loaded(self) -> Serialiser:
        """The serialiser, which is loaded with the trail, and here again if it could not be then."""
        if self._serialiser is None:
            self._serialiser = serialiser_of(self._settings)
            self._serialise = self._serialiser.line
        return self._serialiser

    def _line(self, record: object, number: int | None = None) -> bytes | None:
        """The line of a record, by its number if it is one of several; None where it was refused and somebody told."""
        place = "" if number is None else f"record {number}: "
        try:
            return self._serialise(record)
        except UnserialisableError as error:
            message = f"{place}{error}"
        except Exception as error:  # noqa: BLE001  as in `append`
            message = f"{place}the record, default= or dumps= raised {type(error).__name__}"
        self._refuse(message, number or 1)
        return None

    def _append_all(self, lines: list[bytes]) -> None:
        self._append(lines, max(map(len, lines)), sum(map(len, lines)))

    def _append(self, lines: list[bytes], longest: int, length: int) -> None:
        if self._waits_its_turn and self._interrupts():
            reentry.later(lambda: self._append(lines, longest, length))
            return
        began = time.monotonic()
        try:
            if longest > self._longest:
                message = f"not stored: {longest - 1} bytes, the limit is {self._longest - 1}"
                raise refusal(self._path, "too_long", message)
            forks.notice()
            free = self._group.store(lines) if self._group is not None else self._stored(lines, began)
        except AuditWriteError as error:
            if not self._overcame(error, lines, began):
                raise
        else:
            bucket = 0 if free else wait_bucket(time.monotonic() - began)
            self._counting.stored(len(lines), length, bucket, began)
            if self._ballast is not None:
                self._ballast.keep(began)
        finally:
            if reentry.of_thread:
                reentry.catch_up()

    def _overcame(self, error: AuditWriteError, lines: list[bytes], began: float) -> bool:
        """Try again where the ballast made room; else count and tell. False where the error has to be raised."""
        if self._ballast is not None and self._ballast.helps(error, began):
            self._append_all(lines)
            return True
        return self._answered(error, len(lines), _bucket_of(error))

    def _interrupts(self) -> bool:
        """Whether this thread is in the middle of an append to this very file."""
        with suppress(AuditWriteError):
            return (self._trail or self._opened()).locks.are_mine()
        return False

    def _stored(self, lines: list[bytes], now: float) -> bool:
        """Store the lines in the file that bears the name now; says whether the locks were free at once."""
        attempts = 0
        while (free := self._stored_in(self._trail or self._opened(), lines, now)) is None:
            self._trail = None
            attempts += 1
            if attempts >= _FEWEST_ATTEMPTS and time.monotonic() > now + self._lock_timeout:
                raise refusal(self._path, "other", "not stored: the file was replaced again and again meanwhile")
        return free

    def _interrupted(self) -> AuditWriteError:
        message = f"{self._path}: the thread that stored this record for several was interrupted"
        return AuditWriteError(message, stored="unknown", reason="other")

    def _stored_in(self, trail: TrailFile, lines: list[bytes], now: float) -> bool | None:
        """As `_stored`, or None where the file no longer bears the name: it is closed for all writers then."""
        locks = trail.locks
        if locks.are_mine():
            raise locks.reentry()
        stored: Stored = "no"
        try:
            try:
                free = locks.acquire(now + self._lock_timeout)
                size = trail.size_if_there(self._path, now)
                if size is None or (self._rotation is not None and self._rotated(trail, size, lines)):
                    trail.close()
                    return None
                if self._durable or now >= trail.look_for_poison_at:
                    self._look_for_poison(trail, size, now)
                trail.store(lines, size, self._stamp)
                stored, sync = "unknown", trail.sync
                if failpoints.armed:
                    failpoints.reach("append.written")
            finally:
                locks.release()
            if failpoints.armed:
                failpoints.reach("append.unlocked")
        except OSError as error:
            trail.retire()  # a lock that could not be given back goes with the descriptor,
            sync = trail.sync  # which the traceback must not keep open
            raise write_error(self._path, error.errno, stored) from error
        if self._durable:
            self._make_durable(trail, sync)
        return free

    def _rotated(self, trail: TrailFile, size: int, lines: list[bytes]) -> bool:
        rotation = self._rotation
        length = sum(map(len, lines)) + self._stamp_bytes * len(lines)
        return rotation is not None and trail.is_full(rotation, size, length) and rotation.rename()

    def _look_for_poison(self, trail: TrailFile, size: int, now: float) -> None:
        trail.look_for_poison_at = now + _LOOK_FOR_POISON_SECONDS
        if self._counting.is_poisoned(trail.identity, size):
            trail.poison()

    def _make_durable(self, trail: TrailFile, sync: Sync) -> None:
        """Have what was just stored on disk, now or soon.

        Raises:
            AuditWriteError: If that failed, now or earlier.
        """
        if self._settings.durability == "interval":
            sync.later(self._settings.sync_interval, lambda _: self._poison(trail))
            return
        try:
            sync.now()
        except OSError as error:
            known = "" if self._poison(trail) else ", which no other process learns, for there is no counters file"
            what = f"written, but the disk did not confirm it; nothing more is written to this file{known}"
            raise write_error(self._path, error.errno, "unknown", what=what) from error

    def _poison(self, trail: TrailFile) -> bool:
        trail.poison()
        return self._counting.poison(trail.identity)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise refusal(self._path, "other", "not stored: the writer is closed")

    def _opened(self) -> TrailFile:
        self._refuse_if_closed()
        self._trail = trail = open_trail(self._settings)
        return trail

    def _refuse(self, message: str, records: int) -> None:
        error = refusal(self._path, "unserialisable", f"not stored: {message}")
        if not self._answered(error, records):
            raise error

    def _answered(self, error: AuditWriteError, records: int, bucket: int | None = None) -> bool:
        """Count a failure and tell who wants to be told; False where it has to be raised."""
        self._counting.failed(error.reason, records, bucket)
        if self._settings.on_failure == "raise":
            return False
        self._settings.on_failure(error)
        return True


def _bucket_of(error: AuditWriteError) -> int | None:
    return TIMED_OUT if isinstance(error, LockTimeout) else None
