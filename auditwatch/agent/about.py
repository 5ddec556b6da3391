"""This program on this host, as shown by a running agent or by a command that reads its state."""

from __future__ import annotations

import platform
import socket
from dataclasses import replace

from auditwatch import __version__
from auditwatch.web.snapshot import AgentStatus


def agent_status(**known: object) -> AgentStatus:
    """Versions and host, with whatever else is known."""
    status = AgentStatus(__version__, platform.python_version(), 0.0, host=socket.gethostname())
    return replace(status, **known)  # type: ignore[arg-type]  # names and types as in AgentStatus
