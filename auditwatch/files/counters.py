"""The counters file beside a trail, read as safely as the trail itself."""

from __future__ import annotations

import os
from typing import Final

from auditwatch.errors import Unreadable
from auditwatch.files.opening import opened
from auditwatch.files.reading import read_chunks
from auditwatch.trail.counters import FILE_BYTES, SLOT_BYTES, Counters, decode

_ATTEMPTS: Final = 3
_BASE_BYTES: Final = 2 * SLOT_BYTES
"""Header and slot 0, which changes when another slot is folded into it."""


def read_counters(path: str) -> Counters:
    """What the writers of a trail counted.

    Slot 0 is read before and after the others, so counts that are being folded into it are neither missed nor taken
    twice. If the file kept changing, `unsettled` says so; the counts may then be too low: read the file again.

    Raises:
        Unreadable: As `open_trail`, or not_counters.
    """
    with opened(path) as descriptor:
        for _ in range(_ATTEMPTS):
            found, is_still = _read(descriptor)
            if is_still and not found.unsettled:
                return found
    return found._replace(unsettled=max(1, found.unsettled))


def _read(descriptor: int) -> tuple[Counters, bool]:
    """The counters, and whether slot 0 stayed the same."""
    before, data, after = (_bytes(descriptor, number) for number in (_BASE_BYTES, FILE_BYTES, _BASE_BYTES))
    found = decode(data) if os.fstat(descriptor).st_size == FILE_BYTES == len(data) else None
    if found is None:
        raise Unreadable("not_counters", "not a counters file of this version")
    return found, before == after


def _bytes(descriptor: int, number: int) -> bytes:
    return b"".join(read_chunks(descriptor, 0, number))
