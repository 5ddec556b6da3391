"""Where the agent keeps its state by default, and what commands look for there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

AGENT_SOCKET: Final = "agent.sock"
"""Name of the socket in the state directory on which the agent answers its own commands."""

STEP_NAME: Final = "state.step"
"""Name of the file in the state directory that says how far the store has come; written after each transaction."""


SYSTEM_STATE_DIRECTORY: Final = "/var/lib/auditwatch"
"""Where an agent keeps its state that root or the system's manager of services started."""


def default_state_directory(environ: Mapping[str, str], uid: int) -> str:
    """Systemd's choice, else the system's for root, else the user's own.

    >>> default_state_directory({}, 0)
    '/var/lib/auditwatch'
    >>> default_state_directory({"HOME": "/home/ann"}, 1000)
    '/home/ann/.local/state/auditwatch'
    """
    if given := environ.get("STATE_DIRECTORY"):
        return given.split(":")[0]  # systemd lists several, separated by colons
    if uid == 0:
        return SYSTEM_STATE_DIRECTORY
    base = environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):  # the XDG specification says to ignore relative ones
        base = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "auditwatch")
