"""Opening a trail: safely, and once for each file in a process.

Two descriptors of one file in one process would lock each other out, so all writers of a process share one for
each file, identified by device and inode.
"""

from __future__ import annotations

import os
import stat
import threading
import weakref
from typing import Final

from auditwatch.host.durable import sync_directory
from auditwatch.host.filesystems import is_network, of_descriptor, reports_changes
from auditwatch.writer import failpoints, forks
from auditwatch.writer.durability import Descriptor
from auditwatch.writer.failures import is_from_handler, refusal, write_error
from auditwatch.writer.settings import Settings
from auditwatch.writer.trail_file import TrailFile
from auditwatch.writer.whereabouts import Whereabouts

# O_NONBLOCK: a FIFO with that name must not block the program.
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK


_Key = tuple[int, int, str | None]


class _Registry:
    """The open trails of this process."""

    def __init__(self) -> None:
        # An RLock, because a signal handler may append while its thread opens.
        self.lock = threading.RLock()
        self.files: weakref.WeakValueDictionary[_Key, TrailFile] = weakref.WeakValueDictionary()
        forks.remember(self)

    def abandon(self) -> None:
        """In a forked child: the files abandon themselves; the lock may be held by a thread that no longer exists."""
        self.lock = threading.RLock()

    def shared(self, settings: Settings, file: Descriptor) -> TrailFile:
        """The open trail for a file just opened; the one that the process already has, if it has one."""
        status = os.fstat(file.number)
        key = (status.st_dev, status.st_ino, settings.lock_path)
        with self.lock:
            trail = self.files.get(key)
            if trail is None or not trail.is_open:
                trail = _trail_file(settings, file)
                forks.remember(trail)
                self.files[key] = trail
            trail.bear(settings.path, _name(settings.path, file))
        return trail


_registry: Final = _Registry()


def open_trail(settings: Settings) -> TrailFile:
    """The trail with its lock file; both are created if they are missing.

    Raises:
        AuditWriteError: If it cannot be opened, is not a regular file, or is on a network file system.
    """
    try:
        file = _open(settings.path, settings.file_mode, may_fail=settings.durability == "process")
        _check(file.number, settings)
        return _registry.shared(settings, file)
    except OSError as error:
        if is_from_handler(error):
            raise
        raise write_error(settings.path, error.errno, "no", what=_what(settings.path)) from error


def _trail_file(settings: Settings, file: Descriptor) -> TrailFile:
    if settings.lock_path is None:
        return TrailFile(settings.path, file, None)
    lock = _open(settings.lock_path, settings.file_mode, may_fail=True)
    name = _name(settings.lock_path, lock)
    return TrailFile(settings.path, file, (lock, name))


def _name(path: str, file: Descriptor) -> Whereabouts:
    trusted = reports_changes(of_descriptor(file.number))
    return Whereabouts(path, os.fstat(file.number), may_trust_directory=trusted)


def _open(path: str, mode: int, *, may_fail: bool) -> Descriptor:
    """The file, which is created if it is missing.

    Args:
        path: Of the file.
        mode: Permissions of a new file.
        may_fail: Whether its name need not be durable. Some producers may write into a directory that they cannot
            open, which is no reason to refuse a record that only has to survive a kill. Otherwise even the name of a
            file that another process created is synced, because that process may have been killed before it did so.
    """
    file, created = _opened_or_created(path, mode)
    if created and failpoints.armed:
        failpoints.reach("open.created")
    if created or not may_fail:
        try:
            sync_directory(os.path.dirname(os.path.realpath(path)))
        except OSError as error:
            if not may_fail or is_from_handler(error):
                raise
    return file


def _opened_or_created(path: str, mode: int) -> tuple[Descriptor, bool]:
    """The file, and whether it was created by this call."""
    try:
        return Descriptor(os.open(path, _FLAGS)), False
    except FileNotFoundError:
        pass
    try:
        return Descriptor(os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, mode)), True
    except FileExistsError:  # created in the meantime, or a link whose target does not exist yet
        return Descriptor(os.open(path, _FLAGS | os.O_CREAT, mode)), False


def _check(descriptor: int, settings: Settings) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise refusal(settings.path, "other", "not opened: not a regular file")
    mount = of_descriptor(descriptor)
    if mount is not None and is_network(mount) and not settings.allow_network:
        message = (
            f"not opened: it is on {mount.type}, where locks and appends do not work as they do on a local disk; "
            "write locally and copy, or pass allow_network=True"
        )
        raise refusal(settings.path, "other", message)


def _what(path: str) -> str:
    directory = os.path.dirname(path)
    return "not opened" if os.path.isdir(directory) else f"not opened, create the directory {directory} first"
