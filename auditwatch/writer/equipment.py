"""What is imported when a writer is created: not together with its class, and not in the middle of an append.

Every writer needs the serialiser, which loads orjson, a third of the whole load; but many programs import the class and
never write. The rest is imported only for the writers that ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditwatch.errors import AuditWriteError
from auditwatch.writer.failures import UnserialisableError, is_from_handler
from auditwatch.writer.forks import held_back
from auditwatch.writer.settings import Settings

if TYPE_CHECKING:
    from auditwatch.writer.ballast import Ballast
    from auditwatch.writer.group import GroupCommit
    from auditwatch.writer.rotation import Rotation
    from auditwatch.writer.serialise import Serialiser


def serialiser_of(settings: Settings) -> Serialiser:
    """What turns records into lines.

    Raises:
        UnserialisableError: If it cannot be loaded now, for example because the process has no descriptors left.
    """
    try:
        with held_back:
            from auditwatch.writer.serialise import Serialiser  # noqa: PLC0415  as the module says
    except ImportError as error:
        raise UnserialisableError(f"orjson cannot be loaded: {error}") from error
    except OSError as error:
        if is_from_handler(error):
            raise
        raise UnserialisableError(f"orjson cannot be loaded: {error}") from error
    return Serialiser(settings.timestamp_field, settings.default, settings.dumps)


def rotation_of(settings: Settings) -> Rotation | None:
    """What renames the file when it is too large or too old; None if that is not asked for."""
    if settings.rotate_bytes is None and settings.rotate_every is None:
        return None
    with held_back:
        from auditwatch.writer.rotation import Rotation  # noqa: PLC0415  as the module says

    return Rotation(settings)


def group_of(
    settings: Settings, commit: Callable[[list[bytes], float], bool], interrupted: Callable[[], AuditWriteError]
) -> GroupCommit | None:
    """What stores lines together for threads that wait for the disk; None if appends do not wait for it."""
    if settings.durability != "power":
        return None
    with held_back:
        from auditwatch.writer.group import GroupCommit  # noqa: PLC0415  as the module says

    return GroupCommit(commit, interrupted)


def ballast_of(settings: Settings) -> Ballast | None:
    """The file that is deleted when the disk is full; None if there is to be none."""
    if settings.ballast_bytes is None:
        return None
    with held_back:
        from auditwatch.writer.ballast import Ballast  # noqa: PLC0415  as the module says

    return Ballast(settings.path, settings.ballast_bytes)


def stamp_bytes_of(settings: Settings) -> int:
    """How many bytes a stamp adds to a line at most."""
    if not settings.stamp:
        return 0
    with held_back:
        from auditwatch.writer.chain import STAMP_ROOM_BYTES  # noqa: PLC0415  as the module says

    return STAMP_ROOM_BYTES
