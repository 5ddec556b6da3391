"""Whether this user may look at an agent's state, or ask it for something, and what would help who may not."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from typing import Final

from auditwatch.config.places import AGENT_SOCKET
from auditwatch.errors import StateDenied
from auditwatch.trail.names import printable

_NEEDED: Final = (
    ("", os.R_OK | os.X_OK),
    ("state.db", os.R_OK),
    (AGENT_SOCKET, os.W_OK),
)
_NEEDED_TO_ASK: Final = (
    ("", os.W_OK),
    ("inbox", os.R_OK | os.W_OK | os.X_OK),
    ("agent.lock", os.W_OK),
)


def check_permission(state_dir: str, *, to_ask: bool = False) -> None:
    """Nothing, if this user may look at the state in a directory, or if there is none.

    Args:
        state_dir: Absolute.
        to_ask: Whether a request is to be put to the agent.

    Raises:
        StateDenied: Which file or directory denies it, whose it is, and what would help.
    """
    inside = (*_NEEDED, *_NEEDED_TO_ASK) if to_ask else _NEEDED
    for path, mode in (*_above(state_dir), *((os.path.join(state_dir, name), mode) for name, mode in inside)):
        if os.path.lexists(path) and not os.access(path, mode, effective_ids=True):
            raise StateDenied(_denial(os.path.normpath(path)))


def _above(directory: str) -> Iterator[tuple[str, int]]:
    """The directories on the way, from the root down, which must let us pass."""
    for index, char in enumerate(directory):
        if char == "/":
            yield directory[:index] or "/", os.X_OK


def _denial(path: str) -> str:
    status, uid = os.lstat(path), os.geteuid()
    owner = _user(status.st_uid)
    if status.st_uid == uid:
        help_ = "give yourself the right to it (chmod u+rwX)"
    elif status.st_uid == 0:
        help_ = "run this as root (sudo auditwatch ...)"
    else:
        help_ = f"run this as its user (sudo -u {_login(status.st_uid)} auditwatch ...), or as root"
    mode = stat.S_IMODE(status.st_mode)
    return f"{printable(path)}: permission denied to {_user(uid)}: it belongs to {owner}, mode {mode:04o}; {help_}"


def _user(uid: int) -> str:
    name = _login(uid)
    return f"uid {uid}" if name.startswith("#") else f"uid {uid} ({name})"


def _login(uid: int) -> str:
    """As sudo takes it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
