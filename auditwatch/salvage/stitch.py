"""Records put together again from a beginning on one damaged line and an end on a nearby one.

None of this is proof: the two pieces fit, both are used up completely, and the record they make looks like the others
of its trail. If several pieces fit equally well, none is taken: a record must not be invented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from auditwatch.salvage.habits import Habits
from auditwatch.trail.judge.depth import too_deep
from auditwatch.trail.judge.explain import has_duplicate_key, is_utf8

_decode = msgspec.json.Decoder(msgspec.Raw).decode
_REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError)

UNUSUAL, USUAL = 1, 2


def fit(beginning: bytes, end: bytes, habits: Habits) -> int:
    """How well two pieces make one record: 0 for not at all, `UNUSUAL`, or `USUAL` if whole records have the same keys.

    >>> fit(b'{"event":"TRADE_A', b'PPROVED"}', Habits(b'"event"'))
    1
    >>> fit(b'{"event":"TRADE_A', b'PPROVED","event":1}', Habits(b'"event"'))
    0
    """
    record = beginning + end
    if not _parses(record) or (habits.first_key is not None and not habits.is_usual(record)):
        return 0
    is_known = habits.knows_shape(record)
    if not is_known and habits.is_regular:
        return 0
    if too_deep(record) or not is_utf8(record) or has_duplicate_key(record):
        return 0
    return USUAL if is_known else UNUSUAL


def partner(
    beginning: bytes, ends: Sequence[bytes], rivals: Callable[[int], Iterable[bytes]], habits: Habits
) -> int | None:
    """Which end belongs to a beginning: the index of the only one that fits best, or None.

    Args:
        beginning: The beginning of the record.
        ends: The pieces after it, nearest first.
        rivals: Returns the other beginnings before an end, given its index: if one of them fits as well, it is unclear
            which is the right one.
        habits: Habits of the trail.
    """
    fits = [fit(beginning, end, habits) for end in ends]
    best = max(fits, default=0)
    if best == 0 or fits.count(best) > 1:
        return None
    index = fits.index(best)
    return None if any(fit(other, ends[index], habits) >= best for other in rivals(index)) else index


def _parses(record: bytes) -> bool:
    try:
        _decode(record)
    except _REFUSALS:
        return False
    return True
