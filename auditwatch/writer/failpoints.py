"""Named points in append, sync and rotation at which a test makes this process die, fail or wait.

The deterministic complement to random kills. Nothing happens unless the environment asks for it when the writer is
first imported:

    AUDITWATCH_FAILPOINTS="append.written=kill@3,rotate.renamed=raise:ENOSPC,sync.begin=sleep:0.2"

An action takes place every time its point is reached; with `@N`, only the Nth time.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "AUDITWATCH_FAILPOINTS"

POINTS: Final = (
    "append.locked",  # both locks are held, nothing is written
    "append.written",  # the line is in the file, the locks are still held
    "append.unlocked",  # stored, not yet acknowledged
    "sync.begin",  # before an fdatasync
    "sync.end",  # after it, before its result is known to any caller
    "rotate.begin",  # a rotation is due, under both locks
    "rotate.renamed",  # the segment has its name, the directory is not yet on disk
    "rotate.synced",  # the directory is on disk, the new active file does not exist yet
    "open.created",  # the new file exists, its name is not yet on disk
)


class _Armed:
    """What happens at one point, and at which of its turns; 0 means at every one."""

    def __init__(self, action: Callable[[], None], turn: int) -> None:
        self.action = action
        self.turn = turn
        self.reached = 0

    def reach(self) -> None:
        self.reached += 1
        if self.turn in (0, self.reached):
            self.action()


def parse(text: str) -> dict[str, _Armed]:
    """The points that a value of the variable arms.

    Raises:
        ValueError: If it names a point or an action that does not exist.

    >>> sorted(parse("append.written=kill@3,sync.begin=sleep:0.2"))
    ['append.written', 'sync.begin']
    """
    return dict(_parsed(part) for part in text.split(",") if part.strip())


def _parsed(part: str) -> tuple[str, _Armed]:
    point, _, what = part.strip().partition("=")
    if point not in POINTS:
        raise ValueError(f"{VARIABLE}: there is no failpoint {point!r}, only {', '.join(POINTS)}")
    action, _, turn = what.partition("@")
    return point, _Armed(_action(action), int(turn or 0))


def _action(text: str) -> Callable[[], None]:
    name, _, value = text.partition(":")
    if name == "kill":
        import signal  # noqa: PLC0415  only tests come here

        return lambda: os.kill(os.getpid(), signal.SIGKILL)
    if name == "raise":
        number = int(getattr(errno, value))
        return lambda: _fail(number)
    if name == "sleep":
        return lambda: time.sleep(float(value))
    raise ValueError(f"{VARIABLE}: {name!r} is not one of kill, raise:ERRNO, sleep:SECONDS")


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


armed: Final = parse(os.environ.get(VARIABLE, ""))
"""Empty in every real process. It is asked first at every point, which costs next to nothing."""


def reach(point: str) -> None:
    """Do what this point is armed with, if anything."""
    if point in armed:
        armed[point].reach()
