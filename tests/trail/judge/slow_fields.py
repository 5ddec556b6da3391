"""What `require` asks of a record once more, from the specification and RFC 3339 alone: slow and plain.

Shares no code with `auditwatch.trail`.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Mapping

OWN = "_auditwatch"
DIGITS = set("0123456789")


class Integer(str):
    """The text of a number without fraction and exponent."""

    __slots__ = ()


class Fraction(str):
    """The text of any other number."""

    __slots__ = ()


def slow_lacks(line: bytes, require: Mapping[str, str]) -> bool:
    """Whether a line known to be one object lacks a field of the type asked for; the writer's own are exempt."""
    record = json.loads(line, parse_int=Integer, parse_float=Fraction)
    if isinstance(record.get(OWN), dict) and b'"_auditwatch"' in line:
        return False
    return any(name not in record or not is_of(record[name], kind) for name, kind in require.items())


def is_of(value: object, kind: str) -> bool:
    """Whether a parsed value is of a type."""
    is_number = isinstance(value, Integer | Fraction)
    is_string = isinstance(value, str) and not is_number
    answers = {
        "any": True,
        "string": is_string,
        "integer": isinstance(value, Integer),
        "number": is_number,
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "datetime": is_string and is_date(str(value), aware=True),
        "datetime_naive": is_string and is_date(str(value), aware=False),
    }
    return answers[kind]


def is_date(text: str, *, aware: bool) -> bool:
    """RFC 3339, section 5.6: `date-time`, or without its offset."""
    day, separator, rest = text[:10], text[10:11], text[11:]
    if separator not in ("T", "t", " ") or not is_day(day):
        return False
    if aware:
        for length in (1, 6):
            if len(rest) > length and is_offset(rest[-length:]):
                return is_time(rest[:-length])
        return False
    return is_time(rest)


def is_day(text: str) -> bool:
    """`full-date`: a day that its month has in that year."""
    numbers = numbers_of(text, "dddd-dd-dd")
    if numbers is None:
        return False
    year, month, day = numbers
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 400, month)[1]


def is_time(text: str) -> bool:
    """`partial-time`; a minute may have a leap second."""
    whole, dot, fraction = text.partition(".")
    if dot and not (fraction and set(fraction) <= DIGITS):
        return False
    numbers = numbers_of(whole, "dd:dd:dd")
    return numbers is not None and numbers[0] <= 23 and numbers[1] <= 59 and numbers[2] <= 60


def is_offset(text: str) -> bool:
    """`time-offset`."""
    if text in ("Z", "z"):
        return True
    numbers = numbers_of(text[1:], "dd:dd") if text[:1] in ("+", "-") else None
    return numbers is not None and numbers[0] <= 23 and numbers[1] <= 59


def numbers_of(text: str, pattern: str) -> list[int] | None:
    """The numbers of a text in which digits and marks stand as in the pattern; None if they do not."""
    if len(text) != len(pattern):
        return None
    if any(given not in DIGITS if asked == "d" else given != asked for given, asked in zip(text, pattern, strict=True)):
        return None
    return [int(part) for part in text.replace(":", "-").split("-")]
