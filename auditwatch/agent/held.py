"""The active file of a trail, held open: what was written before it lost its name can still be read."""

from __future__ import annotations

import os
from contextlib import suppress

from auditwatch.errors import Unreadable
from auditwatch.files.opening import open_trail


class Held:
    """At most one descriptor. Only the prober's thread uses it: closing a file may take as long as any call."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    @property
    def is_holding(self) -> bool:
        """Whether a file is held."""
        return self._descriptor is not None

    def settle(self, known: tuple[int, int], at_path: int | None) -> int | None:
        """Hold the known file, and give the descriptor of that which is no longer at the path.

        Args:
            known: Device and inode of the active segment; zeros if there is none.
            at_path: A descriptor of the file that is at the path now, which is not kept; None if there is none.

        Returns:
            The held descriptor, if the known file is no longer at the path; it stays ours.
        """
        now = _identity(at_path)
        if self._descriptor is not None and _identity(self._descriptor) != known:
            self.close()
        if self._descriptor is None:
            if at_path is not None and known in (now, (0, 0)):
                with suppress(OSError):  # too many are open: then this one is not held
                    self._descriptor = os.dup(at_path)
            return None
        return None if now == known else self._descriptor

    def find(self, known: tuple[int, int], directory: str) -> int | None:
        """Hold the known file if it lies in a directory, under whatever name; the descriptor stays ours."""
        try:
            with os.scandir(directory or ".") as entries:
                names = [entry.name for entry in entries if entry.inode() == known[1]]
        except OSError:
            return None
        for name in names:
            with suppress(Unreadable, OSError):
                descriptor = open_trail(os.path.join(directory, name))
                if _identity(descriptor) == known:
                    self._descriptor = descriptor
                    return descriptor
                os.close(descriptor)
        return None

    def duplicate(self, known: tuple[int, int]) -> int | None:
        """A descriptor of the known file, which the caller closes; None if it is not held."""
        if self._descriptor is None or _identity(self._descriptor) != known:
            return None
        return os.dup(self._descriptor)

    def close(self) -> None:
        """Hold nothing."""
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
    return path if (there.st_dev, there.st_ino) == _identity(descriptor) else ""


def _identity(descriptor: int | None) -> tuple[int, int] | None:
    if descriptor is None:
        return None
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
