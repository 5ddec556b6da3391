"""Hours of the day in which something may run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from auditwatch.config.cron import timezone_name

HOURS_PATTERN: Final = r"^([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])( \S+)?$"

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """The same hours every day, by the wall clock of a time zone; they may pass midnight.

    Attributes:
        opens: Minutes after midnight.
        closes: The same; the next day if that is not after `opens`.
    """

    opens: int
    closes: int
    timezone: str = "UTC"

    @property
    def closed_seconds(self) -> float:
        """How long it is closed in a day."""
        return ((self.opens - self.closes) % (24 * 60)) * 60.0

    def opening(self, at: datetime) -> datetime:
        """The moment itself if the window is open then, else when it opens next."""
        if self.closing(at) is not None:
            return at
        today = self._at(at, self.opens, 0)
        return today if today > at else self._at(at, self.opens, 1)

    def closing(self, at: datetime) -> datetime | None:
        """When the window that is open at a moment closes; None if it is closed then."""
        for day in (-1, 0):
            opens = self._at(at, self.opens, day)
            closes = self._at(at, self.closes, day + (self.closes <= self.opens))
            if opens <= at < closes:
                return closes
        return None

    def _at(self, day: datetime, minutes: int, days_later: int) -> datetime:
        """That many minutes after a midnight, by the clock on the wall: a day of a time zone may have 23 hours."""
        local = day.astimezone(ZoneInfo(self.timezone)) + days_later * _DAY
        return local.replace(hour=minutes // 60, minute=minutes % 60, second=0, microsecond=0).astimezone(day.tzinfo)


def hours_of(text: str) -> Hours:
    """The window that is written like this.

    Raises:
        ValueError: It is not one.

    >>> hours_of("22:00-06:00 Europe/London")
    Hours(opens=1320, closes=360, timezone='Europe/London')
    """
    found = re.fullmatch(HOURS_PATTERN, text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('is not a time of day such as "22:00-06:00" or "22:00-06:00 Europe/London"; put it in quotes')
    hours = [int(part) for part in found.groups()[:4]]
    opens, closes = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if opens == closes:
        raise ValueError("opens and closes at the same time; leave it out if it is always open")
    return Hours(opens, closes, timezone_name((found[5] or " UTC")[1:]))
