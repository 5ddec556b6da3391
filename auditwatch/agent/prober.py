"""A thread for each volume: only it makes system calls on that file system, so that a hang affects no other volume."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Final, TypeVar

from auditwatch.errors import Unreadable

_T = TypeVar("_T")
Job = Callable[[], None]

PATIENCE_SECONDS: Final = 5.0
"""How long a file system may take over one call before it counts as hung."""


class Prober:
    """Runs calls one after another in its own thread, for an event loop that must never wait for a disk.

    The thread is a daemon: if it is stuck in the kernel, the process can still end.
    """

    def __init__(self, name: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._name = name
        self._patience_seconds = patience_seconds
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stuck: Future[object] | None = None
        threading.Thread(target=self._work, name=f"prober {name}", daemon=True).start()

    @property
    def is_answering(self) -> bool:
        """Whether the last call came back in time, or has come back since."""
        return self._stuck is None or self._stuck.done()

    async def call(self, function: Callable[..., _T], *arguments: object) -> _T:
        """The result of a call made in the thread.

        Raises:
            Unreadable: hung, if the file system does not respond; further calls are not even tried until it does.
        """
        if not self.is_answering:
            raise self._hung()
        future: Future[_T] = Future()
        self._jobs.put(lambda: _settle(future, function, arguments))
        try:
            async with asyncio.timeout(self._patience_seconds):  # wait_for loses a cancellation now and then (3.11)
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError:
            self._stuck = future  # type: ignore[assignment]  # only asked whether it is done
            raise self._hung() from None

    def submit(self, job: Job) -> None:
        """Have something done after the calls that are waiting; it must not fail."""
        self._jobs.put(job)

    def close(self) -> None:
        """End the thread after the calls that are waiting."""
        self._jobs.put(None)

    def _hung(self) -> Unreadable:
        return Unreadable("hung", f"{self._name}: the file system is not responding")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(future: Future[_T], function: Callable[..., _T], arguments: tuple[object, ...]) -> None:
    try:
        result = function(*arguments)
    except Exception as error:  # noqa: BLE001  passed on to the awaiting task
        future.set_exception(error)
    else:
        future.set_result(result)
