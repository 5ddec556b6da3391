"""What the whole records of a trail have in common: salvage goes by that where bytes alone do not decide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ALMOST_ALL: Final = 0.95
"""Share of the whole records that must begin with the same key to make it the usual one."""

HEAD: Final = re.compile(rb'\{[ \t\r]*+("[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+")[ \t\r]*+:')
"""A record head; its group is the key, with quotes. No JSON string contains one: the quotes would be escaped."""

_MOST_KEYS: Final = 1000
"""Most first keys that are counted: a hostile trail has a different one on each line."""
_MOST_SHAPES: Final = 1000
"""Most shapes that are counted, for the same reason."""

_STUDIED_BYTES: Final = 1 << 13
"""How much of each batch is searched for shapes: they repeat, and searching everything takes ten times as long."""

_OFTEN_NESTED: Final = 0.01
"""Share of the whole lines above which the usual key inside a record is a habit. One such line may be an accident: the
beginning of one record, a second record and the end of a third can together make a line that parses."""

_REGULAR: Final = 0.05
"""A trail is regular if a new record has an unknown shape less often than this."""

_KEYS_AND_BRACKETS = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")([ \t\r]*+:)?+|([{\[])|[}\]]', re.DOTALL)

Shape = frozenset[tuple[int, bytes]]
"""The keys of a record, with their quotes, each with its level."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What is usual in a trail.

    Attributes:
        first_key: The first key of almost all whole records, with its quotes; None if there is no such key.
        is_nested: Whether objects inside whole records habitually begin with that key too.
        was_nested: Whether any object inside a whole record did.
        is_regular: Whether nearly all records have one of the known shapes.
        shapes: The shapes that whole records have.
    """

    first_key: bytes | None = None
    is_nested: bool = False
    was_nested: bool = False
    is_regular: bool = False
    shapes: frozenset[Shape] = frozenset()

    def is_usual(self, text: bytes, at: int = 0) -> bool:
        r"""Whether there is a record head with the usual key here.

        >>> Habits(b'"event"').is_usual(b'{ "event" :1}')
        True
        """
        head = HEAD.match(text, at)
        return head is not None and head[1] == self.first_key

    def has_inside(self, record: bytes) -> bool:
        """Whether an object inside the record begins with the usual key."""
        return self.first_key is not None and record.count(self.first_key) > 1 and _has_inside(record, self.first_key)

    def knows_shape(self, record: bytes) -> bool:
        """Whether there are whole records with the same keys at the same levels."""
        return shape_of(record) in self.shapes


class HabitCounter:
    r"""Learns the habits of a trail from its whole lines.

    >>> counter = HabitCounter()
    >>> counter.learn([b'{"event":"A","by":{"id":1}}', b'{"event":"B","by":{"id":2}}'])
    >>> counter.habits().first_key, counter.habits().is_nested
    (b'"event"', False)
    """

    def __init__(self) -> None:
        self._lines = self._records = 0
        self._first: Counter[bytes] = Counter()
        self._nested: Counter[bytes] = Counter()
        self._shapes: Counter[Shape] = Counter()

    def learn(self, lines: Sequence[bytes]) -> None:
        """Add whole lines, given without their newlines; all are looked at briefly, and in small trails all closely."""
        self._lines += len(lines)
        size = sum(map(len, lines))
        for line in lines[:: 1 + size // _STUDIED_BYTES]:
            self._study(line)
        key, _ = next(iter(self._first.most_common(1)), (b"", 0))
        self._nested[key] += sum(_has_inside(line, key) for line in lines if line.count(key) > 1)

    def _study(self, line: bytes) -> None:
        self._records += 1
        head = HEAD.match(line, len(line) - len(line.lstrip()))
        if head:
            self._first[head[1]] += 1
        if len(self._first) > 2 * _MOST_KEYS:
            self._first = Counter(dict(self._first.most_common(_MOST_KEYS)))
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[shape_of(line)] += 1

    def habits(self) -> Habits:
        """What is usual in the lines added so far."""
        key, times = next(iter(self._first.most_common(1)), (None, 0))
        if key is None or times < ALMOST_ALL * self._records:
            return Habits(is_regular=self._is_regular(), shapes=frozenset(self._shapes))
        nested = self._nested[key]
        is_nested = nested > max(1, _OFTEN_NESTED * self._lines)
        return Habits(key, is_nested, nested > 0, self._is_regular(), frozenset(self._shapes))

    def _is_regular(self) -> bool:
        """By Good and Turing: shapes that were seen once are about as frequent as shapes that were never seen."""
        once = sum(times == 1 for times in self._shapes.values())
        return once <= _REGULAR * self._shapes.total()


def shape_of(record: bytes) -> Shape:
    """The keys of one object, with their levels.

    >>> sorted(shape_of(b'{"event":"A","by":[{"id":1}]}'))
    [(1, b'"by"'), (1, b'"event"'), (3, b'"id"')]
    """
    level, keys = 0, set()
    for token in _KEYS_AND_BRACKETS.finditer(record):
        if token[2]:
            keys.add((level, token[1]))
        elif not token[1]:
            level += 1 if token[3] else -1
    return frozenset(keys)


def _has_inside(line: bytes, key: bytes) -> bool:
    """Whether an object inside the record begins with this key."""
    return any(head[1] == key for head in HEAD.finditer(line, line.index(b"{") + 1))
