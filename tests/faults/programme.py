"""How long a suite runs, and how what it saw becomes a row of the table.

`AUDITWATCH_FAULTS=long` (`make faults`) asks for the long run; otherwise the short one is part of every check.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import pytest

LONG: Final = os.environ.get("AUDITWATCH_FAULTS") == "long"
PROPERTY: Final = "faults"

Note = Callable[[str, object], None]
"""pytest's `record_property`."""


def rounds(long: int, short: int) -> int:
    """How many rounds this run makes.

    `AUDITWATCH_FAULT_ROUNDS` overrides it, for who hunts something rarer, or has less time.
    """
    return int(os.environ.get("AUDITWATCH_FAULT_ROUNDS", long if LONG else short))


patient: Final = pytest.mark.timeout(4 * 3600 if LONG else 300)
"""The limit that finds hangs is that of the whole suite."""


def bound(count: int) -> str:
    """What so many rounds without a failure say: at 95 %, failures are rarer than this (the rule of three).

    >>> bound(2000)
    '< 0.15 %'
    """
    return f"< {300 / count:.2g} %" if count > 3 else "nothing"


def report(note: Note, suite: str, count: int, unit: str, seen: str) -> None:
    """A row of the table, for `tests/conftest.py` to print at the end.

    Args:
        note: pytest's `record_property`.
        suite: What broke.
        count: Independent trials, each without a failure.
        unit: What one trial is.
        seen: The other figures.
    """
    note(PROPERTY, f"| {suite} | {count:,} {unit} | {seen} | {bound(count)} |")
