"""One agent per state directory: `agent.lock`, held by flock for as long as the process lives."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import suppress
from types import TracebackType
from typing import Self

from auditwatch.errors import StateFull, StateLocked, StateUnwritable
from auditwatch.state.store_file import identity

LOCK_NAME = "agent.lock"


class AgentLock:
    """The right to write in a state directory, from `acquire` (or `with`) until `release` or the end of the process.

    flock ends with its process, even with kill -9; the number in the file is only for the message.
    """

    def __init__(self, state_dir: str) -> None:
        self._path = os.path.join(state_dir, LOCK_NAME)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StateLocked: Another process holds it; the message names it.
            StateUnwritable: The lock file cannot be opened.
        """
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_pid(descriptor)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StateLocked(_locked_message(self._path, holder)) from None
        except OSError as error:
            os.close(descriptor)
            raise StateUnwritable(f"{self._path} cannot be locked: {error.strerror}") from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock; the file stays, because removing it would let two processes lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is locked is still the one at its path: only that one keeps other agents out."""
        if self._descriptor is None:
            return False
        status = os.fstat(self._descriptor)
        return identity(self._path) == (status.st_dev, status.st_ino)

    def renew(self) -> None:
        """Lock the file that is at the path now, instead of one that was removed or replaced.

        Raises:
            StateLocked: Another process holds it; the message names it.
            StateUnwritable: The lock file cannot be opened.
        """
        former, self._descriptor = self._descriptor, None
        try:
            self.acquire()
        except BaseException:
            self._descriptor = former
            raise
        if former is not None:
            os.close(former)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags, 0o600)
            give_to_owner_of(os.path.dirname(self._path), descriptor)
        except OSError as error:
            kind = StateFull if error.errno == errno.ENOSPC else StateUnwritable
            raise kind(f"{self._path} cannot be opened: {error.strerror}; see --state-dir") from None
        return descriptor


def give_to_owner_of(directory: str, descriptor: int) -> None:
    """What root creates in another user's directory becomes that user's: the agent must be able to use it."""
    if os.geteuid() != 0:
        return
    owner = os.stat(directory)
    if (owner.st_uid, owner.st_gid) != (os.fstat(descriptor).st_uid, os.fstat(descriptor).st_gid):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _write_pid(descriptor: int) -> None:
    """Only for the message of others: a full disk is no reason not to hold the lock."""
    text = f"{os.getpid()}\n".encode()
    with suppress(OSError):
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))


def _holder(descriptor: int) -> str:
    match = re.match(rb"([0-9]{1,10})\n", os.pread(descriptor, 16, 0))
    return f"process {match[1].decode()}" if match else "another process"


def _locked_message(path: str, holder: str) -> str:
    return (
        f"{path} is held by {holder}: another agent uses this state directory; stop it, or choose another --state-dir"
    )
