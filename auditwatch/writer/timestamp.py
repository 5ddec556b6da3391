"""UTC timestamps as RFC 3339 with microseconds, cheap enough for every record."""

from __future__ import annotations

import time
from functools import lru_cache


def utc_text(nanoseconds: int) -> str:
    """A point in time as text.

    >>> utc_text(1_759_795_200_000_001_999)
    '2025-10-07T00:00:00.000001+00:00'
    """
    microseconds = nanoseconds // 1000
    return "%s.%06d+00:00" % (_second(microseconds // 1_000_000), microseconds % 1_000_000)  # noqa: UP031  cheaper


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Formatting the calendar costs more than everything else, and it changes once a second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
