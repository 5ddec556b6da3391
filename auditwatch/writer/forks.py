"""What a forked child must not keep of its parent.

Locks belong to the open file, which parent and child share: the child's unlock would release the parent's lock, and
the child's mere copy would keep it alive after the parent's death. So a child closes what it inherited, at once
where Python forks, and before its first append where a C library did.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inheritable(Protocol):
    """Something with a descriptor that must not outlive a fork."""

    def abandon(self) -> None:
        """Close, unlock nothing, replace locks that a thread of the parent may hold."""


class _Process:
    """This process, and what it would pass on."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.heirlooms: weakref.WeakSet[Inheritable] = weakref.WeakSet()

    def begin_anew(self) -> None:
        self.pid = os.getpid()
        for heirloom in list(self.heirlooms):
            heirloom.abandon()


_process = _Process()
_getpid = os.getpid


def remember(heirloom: Inheritable) -> None:
    """Have it abandoned in forked children, as long as it lives."""
    _process.heirlooms.add(heirloom)


def notice() -> None:
    """Find out about a fork that Python did not make; costs one system call."""
    if _process.pid != _getpid():
        _process.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.begin_anew)
