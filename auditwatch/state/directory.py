"""The state directory as a running agent has it open: lock, store and recorded blocks, kept in their place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auditwatch.errors import StateUnwritable
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
        """Create again what is no longer in place; what is found there instead is set aside.

        Whether the store is empty now: whoever knows the states has to store them again.

        Raises:
            StateLocked: Another agent has taken the directory meanwhile; nothing is touched.
            StateUnwritable: It cannot be created or written.
        """
        _make(self.path)
        if not self.lock.is_in_place:
            self.lock.renew()
        is_emptied = not self.store.is_in_place and self.store.begin_anew(now)
        if not self.blocks.is_in_place:
            self.blocks.begin_anew()
        return is_emptied


@contextmanager
def state_directory_open(path: str, now: float) -> Iterator[StateDirectory]:
    """The state directory, created if it does not exist, for as long as the agent runs.

    Raises:
        StateLocked: Another agent uses it.
        StateNewer: A later version wrote it.
        StateUnwritable: It cannot be created or written.
    """
    _make(path)
    lock = AgentLock(path)
    with lock:
        store = Store.open(path, now)
        store.guard = lambda: lock.is_in_place and store.is_in_place
        try:
            blocks = BlockStore.open(path)
            try:
                yield StateDirectory(path, lock, store, blocks)
            finally:
                blocks.close()
        finally:
            store.close()


def _make(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateUnwritable(f"{path}: cannot be created: {error.strerror}; choose another --state-dir") from error
