"""The files of a trail that are held open: what was written before one lost its name can still be read.

That is the active file, and for a while each that was. If one of those has no name any more and somebody still appends
to it, that is noticed here alone.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from auditwatch.errors import Unreadable
from auditwatch.files.opening import open_trail
from auditwatch.host.births import FileId, file_id, is_one_file
from auditwatch.host.descriptors import limit

HOLD_SECONDS: Final = 300.0
"""How long a file that is no longer the active one stays open after its last growth, if nothing else is configured."""

MOST_LEFT: Final = 8
"""Most files of a trail that are held besides the active one; of more, those that were left first are closed."""

TELL_SECONDS: Final = 10.0
"""Between two reports of the same file that grows."""


@dataclass(frozen=True, slots=True)
class Stirred:
    """A file that grew after it was no longer the active one.

    Attributes:
        has_name: Whether it still lies somewhere; then a look at the neighbours shows it.
        more: Bytes since it was first seen without a name.
    """

    has_name: bool
    more: int = 0


@dataclass(slots=True, eq=False)
class _Left:
    """A file that is no longer the active one.

    Attributes:
        size: When it was last looked at.
        grown: When that was last another one, by the monotonic clock.
        base: Size when it was first seen without a name; None while it has one.
        told: Size when its growth was last reported.
        told_at: When that was, by the monotonic clock.
    """

    descriptor: int
    size: int
    grown: float
    base: int | None = None
    told: int = 0
    told_at: float = float("-inf")

    def stirred(self, now: float) -> Stirred | None:
        status = os.fstat(self.descriptor)
        has_grown, self.size = status.st_size > self.size, status.st_size
        self.grown = now if has_grown else self.grown
        if status.st_nlink:
            return Stirred(has_name=True) if has_grown else None
        if self.base is None:
            self.base = status.st_size  # what it grew by until now may have had a name still
        if self.size <= max(self.base, self.told) or now - self.told_at < TELL_SECONDS:
            return None
        self.told, self.told_at = self.size, now
        return Stirred(has_name=False, more=self.size - self.base)


class Held:
    """The held files of one trail. Only the prober's thread uses it: closing a file may take as long as any call.

    Args:
        hold_seconds: How long after its last growth even the active file is held, 0 for never; None: as long as it is
            the active one.
    """

    def __init__(self, hold_seconds: float | None = None) -> None:
        self._hold_seconds = hold_seconds
        self._descriptor: int | None = None
        self._size = 0
        self._grown = 0.0
        self._rested: tuple[FileId, int] | None = None
        self._left: list[_Left] = []

    @property
    def is_holding(self) -> bool:
        """Whether the active file is held."""
        return self._descriptor is not None

    @property
    def last_directory(self) -> str:
        """The directory in which the active file had its last name, as the kernel says: a hint where to look."""
        try:
            return os.path.dirname(os.readlink(f"/proc/self/fd/{self._descriptor}"))
        except OSError:
            return ""

    @property
    def count(self) -> int:
        """How many files are held; any thread may ask."""
        return len(self._left) + (self._descriptor is not None)

    def settle(self, known: FileId, at_path: int | None) -> int | None:
        """Hold the known file, and give the descriptor of that which is no longer at the path.

        Args:
            known: The active segment; zeros if there is none.
            at_path: A descriptor of the file that is at the path now, which is not kept; None if there is none.

        Returns:
            The held descriptor, if the known file is no longer at the path; it stays ours.
        """
        is_there = at_path is not None and is_one_file(file_id(at_path), known)
        if self._descriptor is not None and not is_one_file(file_id(self._descriptor), known):
            self._leave()
        if self._descriptor is None:
            if at_path is not None and (is_there or not known[1]) and not self._is_resting(at_path):
                with suppress(OSError):  # too many are open: then this one is not held
                    self._hold_spare(os.dup(at_path))
            return None
        return None if is_there else self._descriptor

    def stirred(self) -> tuple[Stirred, ...]:
        """Which files that are no longer the active one grew since the last time; what is long quiet is closed."""
        now = time.monotonic()
        found = [seen for left in self._left if (seen := left.stirred(now)) is not None]
        patience = HOLD_SECONDS if self._hold_seconds is None else self._hold_seconds
        self._close([left for left in self._left if now - left.grown >= patience])
        if self._descriptor is not None and self._hold_seconds is not None:
            size = os.fstat(self._descriptor).st_size
            if size != self._size:
                self._size, self._grown = size, now
            elif now - self._grown >= self._hold_seconds:
                self.rest()
        return tuple(found)

    def rest(self) -> None:
        """Hold nothing until the active file grows."""
        if self._descriptor is not None:
            self._rested = file_id(self._descriptor), os.fstat(self._descriptor).st_size
        self.close()

    def _is_resting(self, at_path: int) -> bool:
        return self._hold_seconds == 0 or self._rested == (file_id(at_path), os.fstat(at_path).st_size)

    def _hold_spare(self, descriptor: int) -> None:
        """Hold it, unless it is one of the last that there may be: its number is the lowest that was free."""
        if descriptor >= limit() * 3 // 4:
            os.close(descriptor)
        else:
            self._hold(descriptor)

    def _hold(self, descriptor: int) -> None:
        self._descriptor, self._size, self._grown = descriptor, os.fstat(descriptor).st_size, time.monotonic()

    def _leave(self) -> None:
        """The active file is another one now."""
        if self._descriptor is not None:
            status = os.fstat(self._descriptor)
            base = None if status.st_nlink else status.st_size
            self._left.append(_Left(self._descriptor, status.st_size, time.monotonic(), base))
            self._descriptor = None
            self._close(self._left[:-MOST_LEFT])

    def _close(self, left: list[_Left]) -> None:
        self._left = [one for one in self._left if one not in left]
        for one in left:
            os.close(one.descriptor)

    def find(self, known: FileId, directory: str) -> int | None:
        """Hold the known file if it lies in a directory, under whatever name; the descriptor stays ours."""
        try:
            with os.scandir(directory or ".") as entries:
                names = [entry.name for entry in entries if entry.inode() == known[1]]
        except OSError:
            return None
        for name in names:
            with suppress(Unreadable, OSError):
                descriptor = open_trail(os.path.join(directory, name))
                if is_one_file(file_id(descriptor), known):
                    self._hold(descriptor)
                    return descriptor
                os.close(descriptor)
        return None

    def duplicate(self, known: FileId) -> int | None:
        """A descriptor of the known file, which the caller closes; None if it is not held."""
        held = (self._descriptor, *(left.descriptor for left in reversed(self._left)))
        found = next((one for one in held if one is not None and is_one_file(file_id(one), known)), None)
        return None if found is None else os.dup(found)

    def close(self) -> None:
        """Hold nothing."""
        self._close(self._left)
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def path_of(descriptor: int) -> str:
    """Where an open file is now; empty if it has no name that is known to be its own.

    What the kernel says is believed only if that file is there: in a bind mount it names another directory, and for one
    of several links it may say "(deleted)".
    """
    try:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return ""
    return path if (there.st_dev, there.st_ino) == file_id(descriptor)[:2] else ""
