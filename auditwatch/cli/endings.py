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

_IMPORT_SECONDS: Final = 0.01
"""How soon SIGTERM is handled again if it met an import."""

_SWALLOWED_SECONDS: Final = 0.25
"""How soon it is handled again in case its exception was lost; the stack has usually unwound long before."""

_IMPORTLIB: Final = "<frozen importlib._bootstrap>"
"""What CPython calls the file of the frames of an import."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; no error handler may swallow it, and asyncio passes on no other kind of exception like this."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that workers, locks and temporary files are cleaned up.

    An exception may be lost: while a module is being imported (it may also be mistaken for an error there), in a
    finalizer, and in C code that looks an attribute up and takes every exception for "it has none" (msgspec 0.22 does
    so when it meets an enumeration for the first time). So it waits for imports, and is raised again until it arrives.
    """
    # The caller's frame: an import around it lasts as long as the caller runs.
    outermost = sys._getframe(2)  # noqa: SLF001  there is no public way to it

    def on_sigterm(_number: int, frame: FrameType | None) -> None:
        is_importing = _is_importing(frame, outermost)
        signal.signal(signal.SIGALRM, _once_more)
        signal.setitimer(signal.ITIMER_REAL, _IMPORT_SECONDS if is_importing else _SWALLOWED_SECONDS)
        if not is_importing and not _is_unwinding():
            raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, on_sigterm)
    except ValueError:  # not the main thread: signals are handled elsewhere
        yield
        return
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGALRM) is _once_more:
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGTERM, before)


def _once_more(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)  # to its current handler


def _is_unwinding() -> bool:
    """Whether the interrupted code is there to clean up after an earlier `Terminated`."""
    error: BaseException | None = sys.exc_info()[1]
    while error is not None and not isinstance(error, Terminated):
        error = error.__context__
    return error is not None


def _is_importing(frame: FrameType | None, outermost: FrameType) -> bool:
    while frame is not None and frame is not outermost:
        if frame.f_code.co_filename == _IMPORTLIB:
            return True
        frame = frame.f_back
    return False
