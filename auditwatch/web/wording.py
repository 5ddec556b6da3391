"""Numbers, ages and names the way people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from auditwatch.trail.names import printable

visible: Final = printable
"""Escapes everything that is not printable: names may come from hostile hands."""

_AGES = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def count(number: float) -> str:
    """A number with thousands separators.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{int(number):,}"


def reasons(numbers: Mapping[str, int]) -> str:
    """The numbers that are not 0, each after its name.

    >>> reasons({"disk_full": 2, "quota": 0, "other": 1000})
    'disk_full 2, other 1,000'
    """
    return ", ".join(f"{name} {count(number)}" for name, number in numbers.items() if number)


def duration(seconds: float) -> str:
    """Seconds in the largest unit that fits, with the next smaller one where it adds something.

    >>> duration(0.4), duration(61), duration(7 * 86400)
    ('0 s', '1 min 1 s', '7 d')
    """
    whole = max(0, int(seconds))
    for place, (unit, name) in enumerate(_AGES):
        if whole >= unit:
            rest = whole % unit // _AGES[place + 1][0] if place + 1 < len(_AGES) else 0
            return f"{whole // unit} {name}" + (f" {rest} {_AGES[place + 1][1]}" if rest and whole < 10 * unit else "")
    return "0 s"


def ago(then: float, now: float) -> str:
    """How long ago, or that it never happened; 0 stands for never.

    >>> ago(0, 1000), ago(940, 1000), ago(1000, 1000)
    ('never', '1 min ago', 'just now')
    """
    if not then:
        return "never"
    return "just now" if now - then < 1 else f"{duration(now - then)} ago"


def moment(then: float) -> str:
    """A time as RFC 3339 in UTC; empty for times outside the calendar.

    >>> moment(0.0)
    '1970-01-01T00:00:00Z'
    """
    try:
        return datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return ""
