"""Which lines are whole, in one pass of native code (`_native.c`), where that was built and is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from auditwatch.trail.rules import Rules

NATIVE_VERSION: Final = 1
"""The version of the native code that belongs to this file; another one, left over from an older build, is not used."""

PURE: Final = "AUDITWATCH_PURE"
"""The environment variable that, set to 1, lets Python judge in any case."""


def _built() -> ModuleType | None:
    if os.environ.get(PURE, "") not in ("", "0"):
        return None
    try:
        from auditwatch.trail.judge import _native  # noqa: PLC0415  not built where there was no compiler
    except ImportError:
        return None
    return _native if _native.VERSION == NATIVE_VERSION else None


_BUILT: Final = _built()


def judge_in_use() -> str:
    """Which judge this process uses: "native" or "pure"."""
    return "native" if _BUILT else "pure"


class NativeSieve:
    """Lets whole lines pass: a `Sieve`.

    Args:
        rules: What the lines are judged by.
        instructions: Which vector instructions to use, by name; the best of this processor if None.
    """

    def __init__(self, rules: Rules, instructions: str | None = None) -> None:
        if _BUILT is None:
            raise RuntimeError("there is no native judge here: see `sieve_for`")
        self._whole = _BUILT.whole
        self._most = rules.max_line_bytes
        self._instructions = instructions

    @staticmethod
    def knows(rules: Rules) -> bool:
        """Whether this can sift by such rules here."""
        return _BUILT is not None and not rules.require

    def passes(self, line: bytes) -> bool:
        """As in `Sieve`."""
        size = len(line) + 1
        passed: bool = self._whole(line + b"\n", 0, size, self._most, self._instructions) == (1, size)
        return passed

    def sift(self, text: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """As in `Sieve`; what comes after a line that is held back is looked at from there on."""
        while start < end:
            lines, at = self._whole(text, start, end, self._most, self._instructions)
            if lines:
                yield lines, at, True
            if at == end:
                return
            start = text.index(b"\n", at) + 1
            yield 1, start, False
