"""What a forked child must not keep from its parent.

Locks belong to the open file, which parent and child share: an unlock in the child would release the parent's lock, and
the child's mere copy would keep it held after the parent's death. So a child closes what it inherited: at once if
Python forked, and before its first append if a C library did.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from contextlib import suppress
from typing import Final, Protocol

# Linux since 4.14 (madvise(2)); the standard library has no name for it.
_MADV_WIPEONFORK: Final = 18
_NO_ADVICE: Final = -1


class Inheritable(Protocol):
    """Something with a descriptor that must not outlive a fork."""

    def abandon(self) -> None:
        """Close, unlock nothing, replace locks that a thread of the parent may hold."""


def _page() -> mmap.mmap | None:
    """A page of memory that is empty in every child, however it was forked; None if the system has no such thing."""
    if not hasattr(mmap.mmap, "madvise"):
        return None
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        page.madvise(_MADV_WIPEONFORK)
    except OSError:
        return None
    with suppress(OSError):
        page.madvise(_NO_ADVICE)
        return None  # an emulator that accepts any advice follows none
    return page


class _Process:
    """This process, and what its children would inherit."""

    def __init__(self) -> None:
        self.page = _page()
        self.heirlooms: weakref.WeakSet[Inheritable] = weakref.WeakSet()
        self.mark = self._marked()

    def begin_anew(self) -> None:
        self.mark = self._marked()
        for heirloom in list(self.heirlooms):
            heirloom.abandon()

    def _marked(self) -> int:
        """What `notice` expects to find."""
        if self.page is None:
            return os.getpid()
        self.page[0] = 1
        return 1


_process: Final = _Process()


def remember(heirloom: Inheritable) -> None:
    """Have it abandoned in forked children for as long as it lives."""
    _process.heirlooms.add(heirloom)


def notice() -> None:
    """Detect a fork that Python did not make: by a look into memory on Linux, elsewhere by a system call."""
    page = _process.page
    if (os.getpid() if page is None else page[0]) != _process.mark:
        _process.begin_anew()


held_back: Final = threading.RLock()
"""While a thread holds it, other threads cannot fork: a child would never finish an import that was half done."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.begin_anew)
    os.register_at_fork(before=held_back.acquire, after_in_parent=held_back.release, after_in_child=held_back.release)
