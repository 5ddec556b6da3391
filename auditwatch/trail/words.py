"""Counts and sizes as people read them: thousands separators, the right plural, one system of units."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def count_text(number: int, one: str, many: str = "") -> str:
    """A number and what it counts; the plural ends in s unless it is given.

    >>> count_text(1, "segment"), count_text(2000, "segment"), count_text(0, "entry", "entries")
    ('1 segment', '2,000 segments', '0 entries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size_text(size: float) -> str:
    """Bytes in powers of 1024, in the largest unit that leaves at least one.

    >>> size_text(1), size_text(999), size_text(1536), size_text(3 << 30)
    ('1 byte', '999 bytes', '1.5 KiB', '3.0 GiB')
    >>> size_text((1 << 20) - 1)
    '1.0 MiB'
    """
    unit = 0
    while round(size, 1 if unit else 0) >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:,.1f} {_UNITS[unit]}" if unit else count_text(round(size), "byte")


def moment_text(seconds: float) -> str:
    """A moment as people read it, to a tenth of a second; `seconds` since 1970.

    >>> moment_text(0.0), moment_text(951_826_554.19), moment_text(1_795_711_389.0)
    ('1970-01-01 00:00:00.0 UTC', '2000-02-29 12:15:54.1 UTC', '2026-11-26 16:43:09.0 UTC')
    """
    tenths = int(seconds * 10)
    days, tenths = divmod(tenths, 864_000)
    hours, tenths = divmod(tenths, 36_000)
    minutes, tenths = divmod(tenths, 600)
    year, month, day = _date(days)
    return f"{year}-{month:02}-{day:02} {hours:02}:{minutes:02}:{tenths // 10:02}.{tenths % 10} UTC"


def _date(days: int) -> tuple[int, int, int]:
    """Year, month and day, so many days after 1970-01-01 (Howard Hinnant's civil_from_days)."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_month = (5 * day_of_year + 2) // 153
    month = march_month + 3 if march_month < 10 else march_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day_of_year - (153 * march_month + 2) // 5 + 1
