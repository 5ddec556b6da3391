"""The front that producers hold: settings, serialisation and the public methods; an `Appender` does the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from auditwatch.errors import AuditWriteError
from auditwatch.trail.limits import MAX_LINE_BYTES
from auditwatch.writer.appender import Appender
from auditwatch.writer.counting import counting_of
from auditwatch.writer.equipment import serialiser_of
from auditwatch.writer.failures import UnserialisableError, is_lack_of_threads, unloadable
from auditwatch.writer.opening import open_trail
from auditwatch.writer.settings import Durability, OnFailure, Reentrant, Settings, absolute

if TYPE_CHECKING:
    from auditwatch.writer.async_front import AsyncFront
    from auditwatch.writer.serialise import Serialiser


class AuditWriter:
    """Appends records to a JSONL trail so that no line is ever lost, torn or mixed with another.

    Safe to use from any number of threads and processes at once, across forks, and beside every producer that takes
    `flock(LOCK_EX)` on the trail. A pickled writer opens the same path with the same settings.

    Args:
        path: The trail. It is created if it is missing; its directory is not.
        lock_path: A file to lock instead of the trail, for trails that untrusted users can open. All producers
            must name the same one.
        lock_timeout: Longest wait in seconds for both locks together.
        max_line_bytes: Longest line, not counting its newline; longer records are refused, never cut.
        timestamp_field: Member with the time in UTC that is put first if a record has none; None: no such member.
        default: Called with a value that JSON does not know; returns one that it knows.
        dumps: Replaces the serialiser; returns one JSON object without newlines, which is checked.
        on_failure: "raise", or a callable that gets the error instead; `append` then returns.
        file_mode: Permissions of a new trail, less the umask.
        allow_network: Whether to write on NFS, CIFS, FUSE and the like, where the guarantees do not hold.
        durability: What an acknowledged record survives: "process": a kill of every process; "power": also a power cut
            (threads share one fdatasync); "interval": also a power cut, once `sync_interval` has passed.
        sync_interval: Seconds until an acknowledged record is on disk, with durability "interval".
        stamp: Whether to number records and to chain them by hashes (`_seq`, `_prev`).
        rotate_bytes: Size above which the file is renamed to a segment and a new one is begun.
        rotate_every: Age in seconds at which the same happens.
        ballast_bytes: Size of a file that is kept beside the trail and deleted when the disk is first full.
        reentrant: What happens to an append by a signal handler that interrupts an append to this trail: "raise": it
            raises; "after": it returns at once, and the interrupted append stores the record when it ends.

    Raises:
        AuditWriteError: If the trail cannot be opened and failures are raised.
        ValueError: If a setting is not valid.
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
                lock_path=None if lock_path is None else absolute(lock_path, "lock_path"),
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
        self._front: AsyncFront | None = None
        self._serialiser: Serialiser | None = None
        self._serialise: Callable[[object], bytes] = lambda record: self._loaded().line(record)
        try:
            self._appender = self._appender_of(settings)
        except ImportError as error:
            raise unloadable(self._path, error) from error
        try:
            self._loaded()
        except UnserialisableError as error:
            refused = error
        else:
            self._appender.open()
            return
        self._refuse(refused, 1)

    def _appender_of(self, settings: Settings) -> Appender:
        """What stores the lines; the writer for tests has another one."""
        return Appender(settings, counting_of(settings.path), open_trail)

    def __getstate__(self) -> Settings:
        return self._settings

    def __setstate__(self, settings: Settings) -> None:
        self._begin(settings)

    def __repr__(self) -> str:
        return f"AuditWriter({self._path!r}{', closed' if self._appender.is_closed else ''})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            self.close()
        except AuditWriteError:
            if error is None:  # the caller's own exception matters more than ours
                raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            await self.aclose()
        except AuditWriteError:
            if error is None:
                raise

    @property
    def path(self) -> str:
        """The absolute path of the trail."""
        return self._path

    @property
    def ballast_releases(self) -> int:
        """How often this writer released its ballast."""
        return self._appender.ballast_releases

    def append(self, record: Mapping[str, Any] | object) -> None:
        """Append one record; when this returns, it is acknowledged.

        Args:
            record: A mapping with string keys, or an instance of a dataclass.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be in the trail.
        """
        try:
            line = self._serialise(record)
        except UnserialisableError as error:
            refused = error
        else:
            self._appender.append([line], len(line), len(line))
            return
        self._refuse(refused, 1)

    def append_many(self, records: Iterable[Mapping[str, Any] | object]) -> None:
        """Append records one after another in one write, with nothing between them.

        If the disk fills up in the middle, the records before that place stay, whole: a newline commits, and readers
        may have seen it. The error then says that it is unknown whether they are stored.

        Args:
            records: As `append` takes them; they are held in memory until all are serialised.

        Raises:
            AuditWriteError: If they were not acknowledged; `stored` says whether they may be in the trail.
        """
        lines = []
        for number, record in enumerate(records, 1):
            line = self._line(record, number)
            if line is None:
                return
            lines.append(line)
        if lines:
            self._appender.append_all(lines)

    async def append_async(self, record: Mapping[str, Any] | object) -> None:
        """Append one record without blocking the event loop; when the await ends, it is acknowledged.

        It is serialised at once and stored by a thread, in the order of the calls. While too many records are on their
        way, the await waits for room. After a cancelled await it is unknown whether the record is stored: the
        CancelledError has an AuditWriteError as its cause.

        Args:
            record: As `append` takes it.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be in the trail.
        """
        line = self._line(record)
        if line is None:
            return
        if len(line) > self._appender.longest:
            self._appender.append_all([line])  # refused there
            return
        try:
            front = self._async_front()
        except ImportError:
            self._appender.append_all([line])  # now, although it blocks the loop
        else:
            await front.append(line)

    def append_line(self, line: bytes) -> None:
        """Append one record that is already JSON; its bytes are kept, and no timestamp is added.

        Args:
            line: One JSON object in UTF-8, without a newline.

        Raises:
            AuditWriteError: If it was not acknowledged; `stored` says whether it may be in the trail.
        """
        try:
            whole = self._loaded().checked(line)
        except UnserialisableError as error:
            refused = error
        else:
            self._appender.append([whole], len(whole), len(whole))
            return
        self._refuse(refused, 1)

    def refuse(self, message: str, records: int = 1) -> None:
        """Fail as `append` does for a record that could not be made: count it, and raise or call `on_failure`.

        For code that turns something else into records, as `AuditHandler` does.

        Args:
            message: Why it could not be made, without anything of its contents.
            records: How many.

        Raises:
            AuditWriteError: If failures are raised.
        """
        self._appender.refuse(message, records)

    def count_dropped(self, records: int) -> None:
        """Count records that were given up before they reached the writer, without raising or calling `on_failure`."""
        self._appender.count_failed("other", records)

    def close(self) -> None:
        """Close the trail once everything that was passed to `append_async` has been dealt with.

        Appending afterwards is an error; closing again is not.
        """
        if self._front is not None:
            self._front.drain()
        self._appender.close()

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        import asyncio  # noqa: PLC0415  only for programs that use it

        try:
            await asyncio.to_thread(self.close)
        except RuntimeError as error:
            if not is_lack_of_threads(error):
                raise
            self.close()  # now, although it blocks the loop

    def _async_front(self) -> AsyncFront:
        if self._front is None:
            from auditwatch.writer.async_front import AsyncFront  # noqa: PLC0415  asyncio is only for programs that use it

            self._front = AsyncFront(self._path, self._appender)
        return self._front

    def _loaded(self) -> Serialiser:
        """The serialiser. It is loaded when the trail is opened, and here if that was not possible then."""
        if self._serialiser is None:
            self._serialiser = serialiser_of(self._settings)
            self._serialise = self._serialiser.line
        return self._serialiser

    def _line(self, record: object, number: int | None = None) -> bytes | None:
        """The line of a record; None if it was refused and `on_failure` called. The number is for the message."""
        try:
            return self._serialise(record)
        except UnserialisableError as error:
            refused = error
        self._refuse(refused, number or 1, "" if number is None else f"record {number}: ")
        return None

    def _refuse(self, error: UnserialisableError, records: int, place: str = "") -> None:
        """Fail outside of any `except`: what is raised has the hook's exception as its cause, and nothing else."""
        self._appender.refuse(f"{place}{error}", records, error.__cause__)
