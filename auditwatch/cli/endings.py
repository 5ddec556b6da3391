"""The ways a command can end, and what unwinds it when a signal arrives."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

INTERNAL: Final = 3
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
TERMINATED: Final = 143

_ONCE_MORE_SECONDS: Final = 0.01
_IMPORTLIB: Final = "<frozen importlib._bootstrap>"
"""What CPython calls the file of the frames of an import."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; no error handler may swallow it, and asyncio passes on no other kind of exception like this."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that workers, locks and temporary files are cleaned up.

    While a module is being imported an exception may be lost or mistaken for an error: then it waits for the import.
    """
    # The caller's frame: an import around it lasts as long as the caller runs.
    outermost = sys._getframe(2)  # noqa: SLF001  there is no public way to it

    def on_sigterm(_number: int, frame: FrameType | None) -> None:
        if not _is_importing(frame, outermost):
            raise Terminated
        signal.signal(signal.SIGALRM, _once_more)
        signal.setitimer(signal.ITIMER_REAL, _ONCE_MORE_SECONDS)

    try:
        before = signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:  # not the main thread: signals are handled elsewhere
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _once_more(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)  # to its current handler


def _is_importing(frame: FrameType | None, outermost: FrameType) -> bool:
    while frame is not None and frame is not outermost:
        if frame.f_code.co_filename == _IMPORTLIB:
            return True
        frame = frame.f_back
    return False
