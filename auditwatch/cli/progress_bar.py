"""The bar itself; imported only where a person watches one."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from auditwatch.trail.words import size_text


class _RateColumn(ProgressColumn):
    """Bytes per second; the library's own column counts in powers of 1000."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{size_text(speed)}/s", style="progress.data.speed")


def drawn() -> Progress:
    """A bar on standard error, with rate and time left; it disappears when it is stopped."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        _RateColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # results keep their own stream, and their width
        redirect_stderr=False,
    )
