"""Small files that are there in full or not at all, even after a power cut."""

from __future__ import annotations

import os
from collections.abc import Callable


def sync_directory(path: str) -> None:
    """Make the names in a directory durable: whatever was created, renamed or removed there.

    Raises:
        OSError: The directory cannot be opened or synchronised.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: str, data: bytes, *, mode: int = 0o600, prepare: Callable[[int], None] | None = None) -> None:
    """Replace a small file with `data`: a reader sees either the old bytes or the new ones.

    The new bytes first go into `.NAME.new`. The name is fixed, so that repeated kills leave only one stray file; this
    requires that each path has only one writer.

    Args:
        path: The file; it need not exist.
        data: All of its new bytes.
        mode: Permissions of the new file, regardless of the umask.
        prepare: Called with the descriptor of the new file, before that has the name.

    Raises:
        OSError: A step failed; the old file is then still there.
    """
    directory, name = os.path.split(os.path.abspath(path))
    fresh = os.path.join(directory, f".{name}.new")
    _remove(fresh)
    try:
        _write_durably(fresh, data, mode, prepare)
        os.rename(fresh, path)
    except OSError:
        _remove(fresh)
        raise
    sync_directory(directory)


def _write_durably(path: str, data: bytes, mode: int, prepare: Callable[[int], None] | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        os.fchmod(descriptor, mode)
        if prepare:
            prepare(descriptor)
        # A short write only returns a count; the reason comes with the next write, so go on until it does.
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
