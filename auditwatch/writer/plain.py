"""Values that JSON cannot hold, made into ones that are as like them as can be; and too long ones, made shorter.

For lines that must be stored whatever is in them. What can be kept is kept: only the value that is wrong becomes text.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from enum import Enum
from itertools import count, islice
from typing import Any, Final

from auditwatch.trail.limits import MAX_DEPTH

_DEEPEST: Final = MAX_DEPTH // 8
"""Levels that are kept of a record that is nested too deep; each takes some of Python's stack."""

_LONGEST_NUMBER: Final = 20
"""Digits and sign of a 64-bit integer. A longer one is shortened as text is."""

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

_NAME: Final = type.__dict__["__qualname__"]

_Known = Callable[[object], object]


def plain(value: object, known: _Known, above: tuple[int, ...] = ()) -> Any:
    """A value that every JSON serialiser writes as it is.

    Args:
        value: Anything, even what raises when it is looked at.
        known: What stands for a value that JSON does not know; the value itself if nothing does; may raise.
        above: Identities of the values that this one is in.

    >>> plain({1: float("nan"), "1": (2**70, {3})}, lambda value: value)
    {'1': 'NaN', '1 (2)': [1180591620717411303424, '{3}']}
    """
    if value is None or type(value) is str or type(value) is bool:
        return value
    if id(value) in above:
        return "..."  # as Python shows what contains itself
    try:
        return _converted(value, known, (*above, id(value))) if len(above) <= _DEEPEST else text_of(value)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  any code of the value's class, or of the caller's default=
        return text_of(value)


def text_of(value: object) -> str:
    """The text of a value; if it cannot be printed, that and its type.

    >>> text_of(5)
    '5'
    """
    for printed in (str, repr):
        try:
            return str.__str__(printed(value))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112  whatever its class raises
            continue
    return f"<unprintable {name_of(value)} object>"


def name_of(value: object) -> str:
    """The name of a value's type, even if that has a `__name__` of its own.

    >>> name_of(5)
    'int'
    """
    return str(_NAME.__get__(type(value)))


def shortened(value: Any, most: int) -> Any:
    """A plain value without the ends of texts of more than `most` characters and of lists of more than `most` members.

    >>> shortened({"a": "long", "b": [1, 2, 3], "c": 1}, 2)
    {'a': 'lo', 'b': [1, 2]}
    """
    if isinstance(value, str):
        return value[:most]
    if isinstance(value, dict):
        return {key[:most]: shortened(child, most) for key, child in islice(value.items(), most)}
    if isinstance(value, list):
        return [shortened(child, most) for child in islice(value, most)]
    if type(value) is int and len(text := str(value)) > max(most, _LONGEST_NUMBER):
        return text[:most]
    return value


def _converted(value: object, known: _Known, above: tuple[int, ...]) -> object:
    if isinstance(value, Enum):
        return plain(value.value, known, above)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else _NOT_FINITE[repr(number)]
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, date):  # a datetime without a time zone, too: its text claims none
        return value.isoformat()
    return _composed(value, known, above)


def _composed(value: object, known: _Known, above: tuple[int, ...]) -> object:
    if isinstance(value, Mapping):
        return dict(_members(value, known, above))
    if isinstance(value, (list, tuple)):
        return [plain(child, known, above) for child in value]
    instead = known(value)
    return text_of(value) if instead is value else plain(instead, known, above)


def _members(value: Mapping[Any, object], known: _Known, above: tuple[int, ...]) -> Iterator[tuple[str, object]]:
    names: set[str] = set()
    for key, child in value.items():
        name = _free(key if type(key) is str else text_of(key), names)
        names.add(name)
        yield name, plain(child, known, above)


def _free(name: str, taken: set[str]) -> str:
    """The name, or the name with a number if another key has the same text: no member is lost."""
    if name not in taken:
        return name
    return next(numbered for number in count(2) if (numbered := f"{name} ({number})") not in taken)


def _integer(value: int) -> int | str:
    most = sys.get_int_max_str_digits()
    # 3 bits make less than a digit, so this many digits are never refused.
    return hex(value) if most and value.bit_length() > 3 * most else value
