"""The bar that shows how far a validation is; imported only where a person watches one."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def drawn(name: str) -> tuple[Progress, TaskID]:
    """A bar of this name on standard error, with rate and time left; it goes when it is stopped."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # results keep their own stream, and their width
        redirect_stderr=False,
    )
    return bar, bar.add_task(escape(name), total=None)
