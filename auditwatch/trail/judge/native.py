"""Which lines are whole, in one pass of native code (`_native.c`), where that was built and is wanted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Final, Protocol

from auditwatch.trail.rules import FieldType, Rules

NATIVE_VERSION: Final = 4
"""The version of the native code that belongs to this file; another one, left over from an older build, is not used."""

PURE: Final = "AUDITWATCH_PURE"
"""The environment variable that, set to 1, lets Python judge in any case."""


_TYPES: Final = {
    FieldType.STRING: b"s",
    FieldType.INTEGER: b"i",
    FieldType.NUMBER: b"n",
    FieldType.BOOLEAN: b"b",
    FieldType.OBJECT: b"o",
    FieldType.ARRAY: b"l",
    FieldType.ANY: b"a",
    FieldType.DATETIME: b"d",
    FieldType.DATETIME_NAIVE: b"w",
}
"""The letters that the native code has for them."""

_MOST_FIELDS: Final = 64
_MOST_NAME_BYTES: Final = 255


class Native(Protocol):
    """What the native code offers; offsets that are not in the buffer raise ValueError.

    Attributes:
        VERSION: Of the code.
        INSTRUCTIONS: Sets of vector instructions that this processor has, the best first.
    """

    VERSION: int
    INSTRUCTIONS: list[str]

    def whole(
        self,
        buffer: bytes | bytearray,
        start: int,
        stop: int,
        max_line_bytes: int,
        fields: bytes = b"",
        instructions: str | None = None,
        /,
    ) -> tuple[int, int]:
        """How many lines from `start` are whole and have all fields, and the offset just after the last of them."""

    def value(self, buffer: bytes, at: int, /) -> tuple[int, int, bool] | None:
        """Where the value at `at` begins, where it ends or goes wrong, and whether it ends; None if it is too deep."""

    def head(self, buffer: bytes, start: int, error: int, /) -> int | None:
        """Where a record begins that cannot begin there: at the error, or in a string before it."""

    def levels(self, buffer: bytes, /) -> tuple[int, bool, bool]:
        """Most levels open at once; whether what is opened is closed and nothing else; whether a string is open."""


def _built() -> Native | None:
    if os.environ.get(PURE, "") not in ("", "0"):
        return None
    try:
        built: Native = import_module("auditwatch.trail.judge._native")
    except ImportError:
        return None
    return built if built.VERSION == NATIVE_VERSION else None


NATIVE: Final = _built()
"""The native code; None where Python judges."""


def judge_in_use() -> str:
    """Which judge this process uses: "native" or "pure"."""
    return "native" if NATIVE else "pure"


class NativeSieve:
    """Lets whole lines pass: a `Sieve`.

    Args:
        rules: What the lines are judged by.
        instructions: Which vector instructions to use, by name; the best of this processor if None.
    """

    def __init__(self, rules: Rules, instructions: str | None = None) -> None:
        fields = _packed(rules.require)
        if NATIVE is None or fields is None:
            raise RuntimeError("there is no native judge for these rules here: see `sieve_for`")
        self._whole = NATIVE.whole
        self._rest = (rules.max_line_bytes, fields, instructions)

    @staticmethod
    def knows(rules: Rules) -> bool:
        """Whether this can sift by such rules here."""
        return NATIVE is not None and _packed(rules.require) is not None

    def passes(self, line: bytes) -> bool:
        """As in `Sieve`."""
        size = len(line) + 1
        return self._whole(line + b"\n", 0, size, *self._rest) == (1, size)

    def sift(self, text: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """As in `Sieve`; what comes after a line that is held back is looked at from there on."""
        while start < end:
            lines, at = self._whole(text, start, end, *self._rest)
            if lines:
                yield lines, at, True
            if at == end:
                return
            start = text.index(b"\n", at) + 1
            yield 1, start, False


@lru_cache
def _packed(require: tuple[tuple[str, FieldType], ...]) -> bytes | None:
    r"""The fields as the native code reads them; None if it cannot.

    >>> _packed((("event", FieldType.STRING),)), _packed((("a\nb", FieldType.STRING),))
    (b's\x07"event"', None)
    """
    packed = [_packed_field(name, kind) for name, kind in require]
    return None if None in packed or len(packed) > _MOST_FIELDS else b"".join(filter(None, packed))


def _packed_field(name: str, kind: FieldType) -> bytes | None:
    raw = f'"{name}"'.encode(errors="replace")
    stands_for_itself = json.dumps(name, ensure_ascii=False).encode(errors="replace") == raw and name.isprintable()
    if not stands_for_itself or len(raw) > _MOST_NAME_BYTES or kind not in _TYPES:
        return None
    return _TYPES[kind] + bytes([len(raw)]) + raw
