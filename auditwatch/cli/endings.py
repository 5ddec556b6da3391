"""The ways a command can end, and what unwinds it when a signal says so."""

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
    """SIGTERM came; no error handler may swallow it, and of such exceptions asyncio passes on none but this kind."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that workers, locks and temporary files are cleaned up.

    Not while a module is imported, where an exception may be lost, or be taken for an error: once that is done.
    """
    outermost = sys._getframe(2)  # of who entered this; what it was imported by goes on for as long as it runs

    def on_sigterm(_number: int, frame: FrameType | None) -> None:
        if not _is_importing(frame, outermost):
            raise Terminated
        signal.signal(signal.SIGALRM, _once_more)
        signal.setitimer(signal.ITIMER_REAL, _ONCE_MORE_SECONDS)

    try:
        before = signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:  # not the main thread: somebody else owns the signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _once_more(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)  # whoever handles it by now


def _is_importing(frame: FrameType | None, outermost: FrameType) -> bool:
    while frame is not None and frame is not outermost:
        if frame.f_code.co_filename == _IMPORTLIB:
            return True
        frame = frame.f_back
    return False
