"""Cron expressions and time zones, checked before they are used."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger


def cron_expression(text: str) -> str:
    """The expression, if it has five fields, gives weekdays by name and will come due.

    Raises:
        ValueError: It has not, or will not.

    >>> cron_expression("15 3 * * sun")
    '15 3 * * sun'
    """
    fields = text.split()
    if len(fields) != 5:
        raise ValueError('must have five fields: minute hour day month weekday, for example "15 3 * * sun"')
    _check_weekdays(fields[4])
    try:
        trigger = CronTrigger.from_crontab(text, timezone=UTC)
    except ValueError as error:
        raise ValueError(f"is not a cron expression: {error}") from None
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ValueError("never comes due: there is no such day")
    return text


def timezone_name(name: str) -> str:
    """The name, if the system knows this time zone.

    Raises:
        ValueError: It does not.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a missing one is a KeyError, a directory of zones an OSError
        raise ValueError("is not a time zone known to this system, such as UTC or Europe/London") from None
    return name


def _check_weekdays(field: str) -> None:
    if any(character.isdigit() for character in field):
        raise ValueError(
            "gives weekdays as numbers, and 0 is Sunday in some crons but Monday in others; use names: sun or mon-fri"
        )
