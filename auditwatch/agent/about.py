"""This program on this host, as shown by a running agent or by a command that reads its state; and what it says."""

from __future__ import annotations

import platform
import socket
from dataclasses import replace
from typing import Final

from auditwatch import __version__
from auditwatch.trail.names import printable
from auditwatch.web.snapshot import AgentStatus

_OF_PATTERNS: Final = frozenset("*?[{")


def agent_status(**known: object) -> AgentStatus:
    """Versions and host, with whatever else is known."""
    status = AgentStatus(__version__, platform.python_version(), 0.0, host=socket.gethostname())
    return replace(status, **known)  # type: ignore[arg-type]  # names and types as in AgentStatus


def absence_text(path: str) -> str:
    """What to say at the start of a trail whose file is not there.

    >>> absence_text("/logs/a.jsonl")
    'no file is at /logs/a.jsonl yet: it is judged from its first line on as soon as there is one'
    """
    said = f"no file is at {printable(path)} yet: it is judged from its first line on as soon as there is one"
    return f"{said}; this looks like a pattern, but is the name of one file" if set(path) & _OF_PATTERNS else said
