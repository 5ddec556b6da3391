"""How many files this process may have open."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

UNLIMITED: Final = 1 << 20
"""What "no limit" is taken for."""


def raise_limit() -> None:
    """Raise the soft limit on open files as far as the system lets us.

    The usual soft limit, 1024, is kept low for programs that use select(2), which this one does not
    (systemd.exec(5), LimitNOFILE).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a system that says "no limit" and means something less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit() -> int:
    """How many files may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft
