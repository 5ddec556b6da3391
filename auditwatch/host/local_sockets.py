"""Unix sockets in a directory: whoever may open the file may talk to who listens there, and nobody else."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_LONGEST_PATH: Final = 107
"""Bytes that the kernel has room for in an address (unix(7)); a longer path is reached through its directory."""

_LISTENS: Final = 0x10000
"""In /proc/net/unix, the flag of a socket that waits for connections (proc(5), __SO_ACCEPTCON)."""

_FIELDS: Final = 8


def listening(directory: str, name: str) -> socket.socket:
    """A socket that listens at this name, for its owner alone; what had the name before is removed.

    Raises:
        OSError: The directory is not there, or cannot be written.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _reached(directory, name) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            sock.bind(path)
            os.chmod(path, 0o600)  # until it listens, nobody can connect
        sock.listen()
    except BaseException:
        sock.close()
        raise
    return sock


def connection_to(directory: str, name: str, timeout_seconds: float) -> socket.socket:
    """A connection to who listens at this name.

    Raises:
        OSError: Nobody does, or not for us.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_seconds)
        with _reached(directory, name) as path:
            sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def directories_with(name: str) -> list[str]:
    """The directories in which this user listens at this name, as far as the kernel tells; sorted.

    Others may listen there as well, and root may talk to all of them: what they say is not asked for.
    """
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as lines:
            sockets = [line.rstrip("\n").split(maxsplit=_FIELDS - 1) for line in lines]
    except OSError:
        return []
    paths = {found[-1] for found in sockets[1:] if len(found) == _FIELDS and int(found[3], 16) & _LISTENS}
    return sorted(os.path.dirname(path) for path in paths if os.path.basename(path) == name and _is_ours(path))


def _is_ours(path: str) -> bool:
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False


@contextmanager
def _reached(directory: str, name: str) -> Iterator[str]:
    """A path to the name that an address has room for, for as long as the context lasts."""
    path = os.path.join(directory, name)
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
