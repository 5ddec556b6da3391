"""A thread for each volume: only it makes system calls on that file system, so that a hang affects no other volume."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from auditwatch.agent.handover import Handover
from auditwatch.errors import Unreadable

_T = TypeVar("_T")
Job = Callable[[], None]

PATIENCE_SECONDS: Final = 5.0
"""How long a file system may take over one call before it counts as hung."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What a call came to, for who waits for it in the loop."""

    future: asyncio.Future[Any]
    result: object = None
    error: Exception | None = None


class Prober:
    """Runs calls one after another in its own thread, for an event loop that must never wait for a disk.

    It serves the loop that calls it first. The thread is a daemon: if it is stuck in the kernel, the process can still
    end.
    """

    def __init__(self, name: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._name = name
        self._patience_seconds = patience_seconds
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stuck: asyncio.Future[Any] | None = None
        self._answers: Handover[_Answer] | None = None
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
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._answers = self._answers or Handover(_settle)
        self._jobs.put(partial(_answer, self._answers, future, function, arguments))
        try:
            async with asyncio.timeout(self._patience_seconds):  # wait_for loses a cancellation now and then (3.11)
                return await asyncio.shield(future)
        except TimeoutError:
            self._stuck = future
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


def _answer(
    answers: Handover[_Answer],
    future: asyncio.Future[Any],
    function: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    try:
        answer = _Answer(future, function(*arguments))
    except Exception as error:  # noqa: BLE001  passed on to the awaiting task
        answer = _Answer(future, error=error)
    answers.give(answer)


def _settle(answer: _Answer) -> None:
    if answer.error is None:
        answer.future.set_result(answer.result)
    else:
        answer.future.set_exception(answer.error)
