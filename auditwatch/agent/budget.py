"""How much hashing again may take, over all trails: a share of one core, and of what a disk can read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SAVED_SECONDS: Final = 60.0
"""What is not used in this time is lost."""


class Budget:
    """Two allowances that grow with time; spending may overdraw them, and then they have to recover.

    Args:
        core_share: CPU seconds a second.
        bytes_per_second: Bytes read a second.
        clock: Monotonic seconds.
    """

    def __init__(self, core_share: float, bytes_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = (core_share, bytes_per_second)
        self._left = [rate * SAVED_SECONDS for rate in self._rates]
        self._clock = clock
        self._at = clock()

    def is_left(self) -> bool:
        """Whether anything may be spent now."""
        now = self._clock()
        passed, self._at = now - self._at, now
        self._left = [
            min(rate * SAVED_SECONDS, left + rate * passed) for rate, left in zip(self._rates, self._left, strict=True)
        ]
        return min(self._left) > 0

    def spend(self, cpu_seconds: float, size: int) -> None:
        """Take what a turn has used."""
        self._left = [left - used for left, used in zip(self._left, (cpu_seconds, size), strict=True)]
