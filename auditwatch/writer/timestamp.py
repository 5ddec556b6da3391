"""UTC timestamps as RFC 3339 with microseconds, cheap enough for every record."""

from __future__ import annotations

import time
from typing import Final

_SECOND: Final = 1_000_000_000
_NEVER: Final = 1 << 63


class _Clock:
    """Formats what changes with every record; the date and time of day, which cost more, only once a second."""

    def __init__(self) -> None:
        # When a second began, and its text: one pair, so that no thread sees halves of two.
        self._second = (_NEVER, "")

    def text(self, nanoseconds: int) -> str:
        """A point in time, counted from 1970, as text.

        >>> utc_text(1_759_795_200_000_001_999)
        '2025-10-07T00:00:00.000001+00:00'
        """
        began, calendar = self._second
        passed = nanoseconds - began
        if not 0 <= passed < _SECOND:
            passed = nanoseconds % _SECOND
            calendar = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(nanoseconds // _SECOND))
            self._second = (nanoseconds - passed, calendar)
        return calendar + "%06d+00:00" % (passed // 1000)  # noqa: UP031  cheaper


utc_text: Final = _Clock().text
