"""The ways a command can end, and what unwinds it when a signal says so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

INTERNAL: Final = 3
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
TERMINATED: Final = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM came; no error handler may swallow it, and of such exceptions asyncio passes on none but this kind."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that workers, locks and temporary files are cleaned up."""
    try:
        before = signal.signal(signal.SIGTERM, _on_sigterm)
    except ValueError:  # not the main thread: somebody else owns the signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _on_sigterm(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
