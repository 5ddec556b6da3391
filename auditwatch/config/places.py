"""Where the agent keeps its state by default."""

from __future__ import annotations

import os
from collections.abc import Mapping


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
        return "/var/lib/auditwatch"
    base = environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):  # the XDG specification says to ignore relative ones
        base = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "auditwatch")
