"""Rotation: one rename under the locks, and nothing else.

The first writer that then locks the empty active file writes the record that names the previous segment. A kill at any
point leaves either the old name or the new one, and every acknowledged line in a file with one of these names.
"""

from __future__ import annotations

import calendar
import errno
import os
import re
import time
from typing import Final

from auditwatch.host.durable import sync_directory
from auditwatch.trail.names import segment_name, segment_number
from auditwatch.writer import failpoints, predecessors
from auditwatch.writer.failures import is_from_handler, warn
from auditwatch.writer.settings import Settings

_TIMESTAMP: Final = re.compile(rb'"timestamp":"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)"')
_FIRST_BYTES: Final = 4096
_RETRY_SECONDS: Final = 1.0


class Rotation:
    """Decides when the active file of a trail is to be renamed, and renames it.

    Args:
        settings: With `rotate_bytes` and `rotate_every`.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.path
        self._bytes = settings.rotate_bytes
        self._every = settings.rotate_every
        self._begun: tuple[object, float] | None = None
        self._not_before = 0.0
        self._warned = False

    def is_due(self, trail: object, descriptor: int, size: int, length: int) -> bool:
        """Whether so many more bytes belong in a new file.

        Args:
            trail: What distinguishes this file from the next one.
            descriptor: Of the active file, which is locked.
            size: Of that file.
            length: Of what is to be appended.
        """
        if size == 0 or time.monotonic() < self._not_before:
            return False
        if self._bytes is not None and size + length > self._bytes:
            return True
        return self._every is not None and time.time() - self._began(trail, descriptor) >= self._every

    def rename(self) -> bool:
        """Give the active file its segment name; returns False if the system refuses, which is warned of once."""
        try:
            if failpoints.armed:
                failpoints.reach("rotate.begin")
            directory = _renamed(os.path.realpath(self._path))
        except OSError as error:
            if is_from_handler(error):
                raise
            # The record matters more than the size of the file: it is appended, and the rename is tried again later.
            self._not_before = time.monotonic() + _RETRY_SECONDS
            self._warn("not rotated, but appends go on", error)
            return False
        self._sync(directory)
        return True

    def _sync(self, directory: str) -> None:
        try:
            if failpoints.armed:
                failpoints.reach("rotate.renamed")
            sync_directory(directory)
            if failpoints.armed:
                failpoints.reach("rotate.synced")
        except OSError as error:
            if is_from_handler(error):
                raise
            # The segment has its new name. A writer that asked for more than surviving a kill gets an error when it
            # opens the new file, because that syncs the directory again.
            self._warn("the new name of the segment may not survive a power cut", error)

    def _began(self, trail: object, descriptor: int) -> float:
        if self._begun is None or self._begun[0] is not trail:
            self._begun = (trail, _first_timestamp(descriptor))
        return self._begun[1]

    def _warn(self, what: str, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warn(f"{self._path}: {what}: {error.strerror}")


def _renamed(real: str) -> str:
    """Rename the active file; returns its directory."""
    directory, active = os.path.split(real)
    number = 1 + max((segment_number(name) or 0 for name in predecessors.names(real)), default=0)
    target = os.path.join(directory, segment_name(active, closing_time(time.time_ns()), number))
    # Every writer that renames holds the lock, so the name cannot be taken between this check and the rename.
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "a segment with this name already exists")
    os.rename(real, target)
    return directory


def closing_time(nanoseconds: int) -> str:
    """A point in time in the form that names of segments have.

    >>> closing_time(1_759_795_200_000_001_999)
    '20251007T000000000001Z'
    """
    second, rest = divmod(nanoseconds, 10**9)
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(second))}{rest // 1000:06}Z"


def _first_timestamp(descriptor: int) -> float:
    """When the file was begun, according to its first line; now, if that line does not say."""
    match = _TIMESTAMP.search(os.pread(descriptor, _FIRST_BYTES, 0).partition(b"\n")[0])
    if match is None:
        return time.time()
    try:
        return calendar.timegm(time.strptime(b"T".join(match.groups()).decode(), "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return time.time()
