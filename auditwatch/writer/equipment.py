"""What only some writers ask for: imported for them alone, when they are made and not in the middle of an append."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditwatch.errors import AuditWriteError
from auditwatch.writer.settings import Settings

if TYPE_CHECKING:
    from auditwatch.writer.ballast import Ballast
    from auditwatch.writer.group import GroupCommit
    from auditwatch.writer.rotation import Rotation


def rotation_of(settings: Settings) -> Rotation | None:
    """What renames the file when it is too large or too old."""
    if settings.rotate_bytes is None and settings.rotate_every is None:
        return None
    from auditwatch.writer.rotation import Rotation  # noqa: PLC0415  as the module says

    return Rotation(settings)


def group_of(
    settings: Settings, commit: Callable[[list[bytes], float], bool], interrupted: Callable[[], AuditWriteError]
) -> GroupCommit | None:
    """What stores the lines of threads together that wait for the disk."""
    if settings.durability != "power":
        return None
    from auditwatch.writer.group import GroupCommit  # noqa: PLC0415  as the module says

    return GroupCommit(commit, interrupted)


def ballast_of(settings: Settings) -> Ballast | None:
    """The file that is thrown away when the disk is full."""
    if settings.ballast_bytes is None:
        return None
    from auditwatch.writer.ballast import Ballast  # noqa: PLC0415  as the module says

    return Ballast(settings.path, settings.ballast_bytes)


def stamp_bytes_of(settings: Settings) -> int:
    """How much longer a stamp makes a line at most."""
    if not settings.stamp:
        return 0
    from auditwatch.writer.chain import LONGEST_STAMP_BYTES  # noqa: PLC0415  as the module says

    return LONGEST_STAMP_BYTES
