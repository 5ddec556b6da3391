"""The files beside a trail that are named like its segments."""

from __future__ import annotations

import os

from auditwatch.trail.names import segment_order


def neighbours(path: str) -> list[str]:
    """Names of the closed segments beside a trail, oldest first; none if the directory cannot be listed.

    Args:
        path: Path of the active file, which need not exist.
    """
    directory, active = os.path.split(path)
    try:
        names = os.listdir(directory or ".")
    except OSError:
        return []
    ordered = ((segment_order(active, name), name) for name in names if name != active)
    return [name for order, name in sorted((o, n) for o, n in ordered if o)]
