"""The state directory as a running agent has it open: lock, store and recorded blocks, kept in their place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from auditwatch.errors import StateFull, StateUnwritable
from auditwatch.state.blocks import BlockStore
from auditwatch.state.lock import AgentLock
from auditwatch.state.store import Store


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """What an agent has open.

    Attributes:
        path: Of the directory.
        lock: Held; it makes this agent the one writer.
    """

    path: str
    lock: AgentLock
    store: Store
    blocks: BlockStore

    @property
    def is_in_place(self) -> bool:
        """Whether all of it is still at its path; a file that was removed or replaced takes writes without a word."""
        return self.lock.is_in_place and self.store.is_in_place and self.blocks.is_in_place

    def begin_anew(self, now: float) -> bool:
        """Create again what is no longer in place, or not yet; what is found in the place of a store is set aside.

        Whether whoever knows the states has to store them again.

        Raises:
            StateLocked: Another agent has taken the directory meanwhile; nothing is touched.
            StateUnwritable: It cannot be created or written.
        """
        _make(self.path)
        if not self.lock.is_in_place:
            self.lock.renew()
        if not self.blocks.is_in_place:
            self.blocks.begin_anew()
        return not self.store.is_in_place and self.store.begin_anew(now)


@contextmanager
def state_directory_open(path: str, now: float, *, waits_for_room: bool = False) -> Iterator[StateDirectory]:
    """The state directory, created if it does not exist, for as long as the agent runs.

    Args:
        path: The directory.
        now: Seconds since 1970.
        waits_for_room: Whether to begin in memory if there is no room; it is not in place then, and `begin_anew` tries
            again.

    Raises:
        StateLocked: Another agent uses it.
        StateNewer: A later version wrote it.
        StateFull: There is no room, and waiting for it is not wanted.
        StateUnwritable: It cannot be created or written.
    """
    with ExitStack() as stack:
        lock = AgentLock(path)
        stack.callback(lock.release)
        try:
            state = _opened(path, now, lock)
        except StateFull:
            if not waits_for_room:
                raise
            state = StateDirectory(path, lock, Store.waiting(path, now), BlockStore.in_memory(path))
        stack.callback(state.store.close)
        stack.callback(state.blocks.close)
        state.store.guard = lambda: lock.is_in_place and state.store.is_in_place
        yield state


def _opened(path: str, now: float, lock: AgentLock) -> StateDirectory:
    _make(path)
    lock.acquire()
    store = Store.open(path, now)
    try:
        return StateDirectory(path, lock, store, BlockStore.open(path))
    except BaseException:
        store.close()
        raise


def _make(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        kind = StateFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StateUnwritable
        raise kind(f"{path}: cannot be created: {error.strerror}; choose another --state-dir") from error
