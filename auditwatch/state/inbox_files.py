"""The files of the inbox, and whether they may be believed.

Whoever may write in the inbox may acknowledge anything, so a request counts only if nobody else could have written it:
the inbox and the file must belong to the agent's user, to root or, for root, to the owner of the state directory, and
nobody else may write to them. What is not a small regular file is not even opened.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from auditwatch.errors import StateError, StateUnwritable
from auditwatch.host.durable import sync_directory
from auditwatch.state.lock import give_to_owner_of

INBOX: Final = "inbox"

_MAX_BYTES: Final = 4 << 20  # the ids of 10,000 findings are 150 kB
_MAX_REJECTED: Final = 1000  # of one name
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class Disbelieved(ValueError):
    """A file of the inbox is not what it must be; the message says what it is."""


def complaint_about_state(state_dir: str) -> str | None:
    """Why others could change the state, in a sentence; None if they cannot, or if there is none."""
    try:
        status = os.stat(state_dir)
    except OSError:
        return None
    if (why := _owned_by_others(status, _owners(status))) is None:
        return None
    return f"{state_dir} {why}: others can change what the agent knows; it should be its user's, with mode 0700"


def complaint_about_inbox(state_dir: str) -> str | None:
    """Why nothing in the inbox can be believed, in a sentence; None if it can, or if there is no inbox."""
    directory = os.path.join(state_dir, INBOX)
    try:
        status = os.lstat(directory)
        owners = _owners(os.stat(state_dir))
    except OSError:
        return None
    why = _owned_by_others(status, owners) if stat.S_ISDIR(status.st_mode) else "is not a directory"
    if why is None:
        return None
    return f"{directory} {why}: no request in it is read; make it the agent's, with mode 0700, or remove it"


def made_inbox(state_dir: str) -> str:
    """The path of the inbox, which is created if there is none.

    Raises:
        StateError: There is no such state directory.
        StateUnwritable: The inbox cannot be created, or is not one that an agent would read.
    """
    directory = os.path.join(state_dir, INBOX)
    try:
        os.mkdir(directory, 0o700)
        _give_directory(state_dir, directory)
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise StateError(f"there is no state directory {state_dir}; name the agent's with --state-dir") from None
    except OSError as error:
        raise StateUnwritable(f"{directory} cannot be created: {error.strerror}") from None
    if (complaint := complaint_about_inbox(state_dir)) is not None:
        raise StateUnwritable(f"the request cannot be written: {complaint}")
    return directory


def _give_directory(state_dir: str, directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        give_to_owner_of(state_dir, descriptor)
    finally:
        os.close(descriptor)


def write_fields(directory: str, name: str, fields: Mapping[str, object]) -> None:
    """Write a small file that appears whole. It belongs to the agent before it appears, even if root writes it.

    Raises:
        StateUnwritable: It cannot be written.
    """
    fresh = os.path.join(directory, f".{name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            give_to_owner_of(directory, descriptor)
            file.write(json.dumps(fields).encode())
            file.flush()
            os.fsync(descriptor)
        os.rename(fresh, os.path.join(directory, name))
        sync_directory(directory)
    except OSError as error:
        remove(fresh)
        raise StateUnwritable(f"{directory} cannot be written: {error.strerror}; does it belong to you?") from None


def read_fields(state_dir: str, name: str) -> Any:
    """The JSON in a file of the inbox.

    Raises:
        Disbelieved: It is not a small regular file, or others could have written it, or it may not be read.
        ValueError: It is not JSON.
        OSError: It does not exist, or the system cannot read it.
    """
    path = os.path.join(state_dir, INBOX, name)
    _check_regular(os.lstat(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise Disbelieved("may not be read by the agent") from None
    try:
        status = os.fstat(descriptor)
        _check_regular(status)
        if (why := _owned_by_others(status, _owners(os.stat(state_dir)))) is not None:
            raise Disbelieved(why)
        return json.loads(os.read(descriptor, _MAX_BYTES))
    finally:
        os.close(descriptor)  # `open` would not: given a directory it raises, and leaves the descriptor open


def names_in(directory: str, ending: str) -> list[str]:
    """Names of the finished files with this ending, in order."""
    try:
        return sorted(name for name in os.listdir(directory) if name.endswith(ending) and not name.startswith("."))
    except OSError:
        return []


def put_aside(path: str) -> str | None:
    """Give a file that is not a request a name under which it is not looked at again; None if that is impossible."""
    for number in range(_MAX_REJECTED):
        aside = path.removesuffix(".request") + (f".{number}.rejected" if number else ".rejected")
        if os.path.lexists(aside):
            continue
        try:
            os.rename(path, aside)
        except OSError:
            return None
        return aside
    return None


def remove(path: str) -> None:
    """Remove a file, if that is possible."""
    with suppress(OSError):  # already gone, or it will be tried again
        os.unlink(path)


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise Disbelieved("is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise Disbelieved("is not a regular file")
    if status.st_size > _MAX_BYTES:
        raise Disbelieved(f"is larger than {_MAX_BYTES >> 20} MiB")


def _owners(state: os.stat_result) -> frozenset[int]:
    """Who may ask: the agent's user and root; if that is root, also the owner of the state directory."""
    user = os.geteuid()
    return frozenset((user, 0, *((state.st_uid,) if user == 0 else ())))


def _owned_by_others(status: os.stat_result, owners: frozenset[int]) -> str | None:
    """Why others could have written this; None if only its owner could, who is one of these."""
    if status.st_uid not in owners:
        return f"belongs to user {status.st_uid}"
    if status.st_mode & _WRITABLE_BY_OTHERS:
        return f"may be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None
