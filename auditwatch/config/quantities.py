"""Durations as Prometheus writes them, sizes in powers of 1024."""

from __future__ import annotations

import re
from typing import Final

DURATION_PATTERN: Final = (
    r"^(?!$)([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"  # largest unit first, each once
)
SIZE_PATTERN: Final = r"^[0-9]+(KiB|MiB|GiB)$"

_SECONDS: Final = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES: Final = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_LONGEST: Final = 100 * _SECONDS["y"]
_LONGEST_TEXT: Final = 40  # no sensible duration or size is longer; keeps the arithmetic small


def duration_seconds(text: object) -> float:
    """Seconds of a duration like `1h30m`, `7d` or `250ms`.

    Raises:
        ValueError: It is not a duration, or longer than 100 years.

    >>> duration_seconds("1h30m")
    5400.0
    """
    if text in ("0", 0) and not isinstance(text, bool):
        return 0.0
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT or not re.match(DURATION_PATTERN, text):
        raise ValueError("is not a duration such as 30s, 1h30m or 7d")
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)(ms|[ywdhms])", text))
    if seconds > _LONGEST:
        raise ValueError("is longer than 100 years")
    return seconds


def size_bytes(text: object) -> int:
    """Bytes of a size like `512KiB`; a plain number is bytes already.

    Raises:
        ValueError: It is not a size.

    >>> size_bytes("1MiB"), size_bytes(4096)
    (1048576, 4096)
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT or not re.match(SIZE_PATTERN, text):
        raise ValueError("is not a size such as 512KiB, 1MiB or 1GiB")
    return int(text[:-3]) * _BYTES[text[-3:]]
