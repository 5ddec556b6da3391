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
