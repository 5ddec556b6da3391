"""The progress of a long command, shown when somebody is watching."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from auditwatch.trail.names import printable

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressBar:
    """A bar with rate and time left on standard error, for one file after another; drawn only on a terminal."""

    def __init__(self) -> None:
        self._drawn: Progress | None = None

    def progress_of(self, path: str) -> Callable[[int, int], None] | None:
        """What moves the bar of this file, given the bytes done and the total; None if nobody is watching."""
        if not sys.stderr.isatty():
            return None
        from auditwatch.cli.progress_bar import drawn  # importing rich takes as long as judging 50 MB

        self._drawn = bar = drawn()
        task = bar.add_task(printable(os.path.basename(path)), total=None)
        bar.start()
        return lambda done, total: bar.update(task, completed=done, total=total)

    def close(self) -> None:
        """Take the bar off the terminal, so that results can be printed."""
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = None
