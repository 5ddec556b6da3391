"""Open a trail so that nothing with the name of one can block, surprise or redirect us."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from auditwatch.errors import Reason, Unreadable
from auditwatch.trail.names import printable

_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_REASONS: Final[dict[int, Reason]] = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.ENXIO: "not_regular",  # a socket, or a device without a driver
    errno.ENODEV: "not_regular",
}


def open_trail(path: str, follow_symlink: bool = False) -> int:
    """A descriptor for reading the regular file at this path; the caller closes it.

    Args:
        path: The path as the user gave it; it may contain undecodable bytes.
        follow_symlink: Whether the last component may be a symbolic link.

    Raises:
        Unreadable: missing, permission, directory, not_regular, symlink or io_error.
    """
    try:
        descriptor = os.open(path, _FLAGS if follow_symlink else _FLAGS | os.O_NOFOLLOW)
    except ValueError as error:  # a NUL byte in the path
        raise Unreadable("missing", f"{printable(path)}: no file can have this name") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _check_regular(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def opened(path: str, follow_symlink: bool = False) -> Iterator[int]:
    """A descriptor from `open_trail`, closed at the end; adds the path to errors that are raised inside.

    Raises:
        Unreadable: As `open_trail`; or one raised inside, with the path added, because readers know only the offset.
    """
    descriptor = open_trail(path, follow_symlink)
    try:
        yield descriptor
    except Unreadable as error:
        raise type(error)(error.reason, f"{printable(path)}: {error}") from error
    finally:
        os.close(descriptor)


def _check_regular(path: str, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise Unreadable("directory", f"{printable(path)} is a directory; name the file in it")
    if not stat.S_ISREG(mode):
        raise Unreadable("not_regular", f"{printable(path)} is not a regular file (a pipe, socket or device)")


def _unreadable(path: str, error: OSError) -> Unreadable:
    if error.errno == errno.ELOOP and os.path.islink(path):
        return Unreadable("symlink", _symlink_message(path))
    reason = _REASONS.get(error.errno or 0, "io_error")
    if reason == "permission":
        return Unreadable(reason, f"{printable(path)}: {_denial(path)}")
    if reason == "not_regular":
        return Unreadable(reason, f"{printable(path)} is not a regular file (a pipe, socket or device)")
    return Unreadable(reason, f"{printable(path)}: {error.strerror}")


def _symlink_message(path: str) -> str:
    try:
        target = printable(os.readlink(path))
    except OSError:
        target = "somewhere"
    return (
        f"{printable(path)} is a symbolic link to {target}; "
        "name the target itself, or set follow_symlink: true in the configuration"
    )


def _denial(path: str) -> str:
    """Which component of the path denies what, checked from the root down."""
    full = os.path.abspath(path)
    for index, char in enumerate(full):
        directory = full[:index] or "/"
        if char == "/" and not os.access(directory, os.X_OK, effective_ids=True):
            return f"permission denied by the directory {printable(directory)} (search)"
    return f"permission denied by the file itself, {printable(full)} (read)"
