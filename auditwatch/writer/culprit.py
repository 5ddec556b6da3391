"""The first value in a record that cannot be written: what is wrong with it, and its place, but never the value."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Final

from auditwatch.trail.limits import MAX_DEPTH
from auditwatch.writer.failures import UnserialisableError

_SHOWN: Final = re.compile(r"[\w-]{1,40}")
"""Names of members that are shown; what else is a key may be data."""

_BITS_OF_A_DIGIT: Final = math.log2(10)

_Step = tuple[object, str, tuple[object, ...]]


def culprit(record: object, stand_in: Callable[[object], object]) -> str | None:
    """What is wrong with a record and where, like `details.legs[3].qty: a number is not finite`; None if nothing is.

    Args:
        record: A mapping.
        stand_in: What is written for a value that JSON does not know; the value itself if anything may be; raises
            UnserialisableError if nothing can be.
    """
    steps: list[_Step] = [(record, "", ())]
    while steps:
        value, place, above = steps.pop()
        try:
            steps += reversed(list(_steps_into(value, place, above, stand_in)))
        except UnserialisableError as error:
            return f"{place.removeprefix('.')}: {error}" if place else str(error)
    return None


def _steps_into(
    value: object, place: str, above: tuple[object, ...], stand_in: Callable[[object], object]
) -> Iterator[_Step]:
    """What is to be looked at in a value.

    Raises:
        UnserialisableError: If the value itself is wrong.
    """
    if isinstance(value, (dict, list, tuple)):
        yield from _children(value, place, above)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UnserialisableError("a number is not finite")
    elif isinstance(value, int):
        _check_digits(value)
    elif not isinstance(value, str) and value is not None:
        instead = stand_in(value)
        if instead is not value:
            yield instead, place, above


def _children(
    value: dict[object, object] | list[object] | tuple[object, ...], place: str, above: tuple[object, ...]
) -> Iterator[_Step]:
    if any(value is other for other in above):
        raise UnserialisableError("the record contains itself")
    if len(above) >= MAX_DEPTH:
        raise UnserialisableError(f"the record is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, str):
                raise UnserialisableError("a key is not a string")
            yield child, f"{place}.{key}" if _SHOWN.fullmatch(key) else f"{place}[?]", (*above, value)
    else:
        for number, child in enumerate(value):
            yield child, f"{place}[{number}]", (*above, value)


def _check_digits(value: int) -> None:
    most = sys.get_int_max_str_digits()
    if most and value.bit_length() > most * _BITS_OF_A_DIGIT:
        raise UnserialisableError(f"an integer has more than {most} digits (sys.set_int_max_str_digits)")
