"""A sieve lets whole lines pass, many at once. It may hold back whole lines, but must never let a damaged one pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from auditwatch.trail.judge.native import NativeSieve
from auditwatch.trail.judge.pure import PureSieve
from auditwatch.trail.rules import Rules


class Sieve(Protocol):
    """Knows lines that are whole by their grammar, their length and depth, and by the fields that the rules require."""

    def passes(self, line: bytes) -> bool:
        """Whether a line, given without its newline, passes."""

    def sift(self, text: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """The lines of a text from `start` to `end`, both at the beginning of a line.

        Yields:
            How many lines come next, the offset just after them, and whether they pass; one line if it does not.
        """


def sieve_for(rules: Rules) -> Sieve:
    """The fastest sieve that is here for these rules."""
    return NativeSieve(rules) if NativeSieve.knows(rules) else PureSieve(rules)
