"""Which lines are whole, without native code: one call of the decoder for a whole text, or one for each of its lines.

The decoder is made from the rules: it checks the grammar, "is an object" and required fields at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from operator import length_hint
from typing import Annotated, Any, Final

import msgspec

from auditwatch.trail.judge.bulk import Bulk
from auditwatch.trail.judge.dates import Aware, may_lack_colon
from auditwatch.trail.judge.depth import SHORTEST_TOO_DEEP, may_be_too_deep, shortest_too_deep
from auditwatch.trail.judge.explain import is_utf8
from auditwatch.trail.rules import FieldType, Rules

_REFUSALS: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class _Object(msgspec.Struct, gc=False):
    """Any object; nothing of it is kept."""


class _Array(msgspec.Struct, array_like=True, gc=False):
    """Any array; nothing of it is kept."""


_SHAPES: Final[dict[FieldType, Any]] = {
    FieldType.STRING: str,
    FieldType.INTEGER: int,
    FieldType.NUMBER: float,
    FieldType.BOOLEAN: bool,
    FieldType.OBJECT: _Object,
    FieldType.ARRAY: _Array,
    FieldType.ANY: msgspec.Raw,
    FieldType.DATETIME: Aware,
    FieldType.DATETIME_NAIVE: Annotated[datetime, msgspec.Meta(tz=False)],
}

_TEXT_BYTES: Final = 1 << 16
"""Bytes judged at once: larger texts are not faster, and one damaged line has its whole text judged line by line."""

_MOST_LINES: Final = 8192
"""Lines judged at a time, so that the notes on damaged lines stay small even if every line is damaged."""

_TEXTS_AFTER_DAMAGE: Final = 4
"""How many texts are judged line by line right away after a damaged one: damage seldom comes alone."""


class PureSieve:
    """Lets whole lines pass: a `Sieve`.

    The structure that it decodes may refuse too much (unpaired surrogates, huge numbers, a deep stack of the caller).
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        shape = _shape(rules.require)
        self._decode = msgspec.json.Decoder(shape).decode
        self._bulk = _bulk(rules.require)
        self._not_at_once = 0
        self._asks_for_offset = any(kind is FieldType.DATETIME for _, kind in rules.require)

    def passes(self, line: bytes) -> bool:
        """Whether a line, given without its newline, is surely whole."""
        return not self.suspects([line])

    def sift(self, text: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """As in `Sieve`."""
        while start < end:
            cut = text.rfind(b"\n", start, min(end, start + _TEXT_BYTES)) + 1 or text.index(b"\n", start) + 1
            piece = bytes(text[start:cut])
            whole = self.whole_lines(piece)
            if whole is None:
                yield from self._line_by_line(piece, start)
            else:
                yield whole, cut, True
            start = cut

    def _line_by_line(self, text: bytes, at: int) -> Iterator[tuple[int, int, bool]]:
        lines = text.split(b"\n")
        lines.pop()
        utf8 = text.isascii() or is_utf8(text)
        for start in range(0, len(lines), _MOST_LINES):
            batch = lines[start : start + _MOST_LINES]
            done = 0
            for index in self.suspects(batch, utf8):
                if index > done:
                    at += _size(batch[done:index])
                    yield index - done, at, True
                at += len(batch[index]) + 1
                yield 1, at, False
                done = index + 1
            if done < len(batch):
                at += _size(batch[done:])
                yield len(batch) - done, at, True

    def whole_lines(self, text: bytes) -> int | None:
        """How many lines a text has, if all are whole; None if they must be judged one by one.

        Args:
            text: Lines with their newlines.
        """
        if self._not_at_once:
            self._not_at_once -= 1
            return None
        lines = self._at_once(text)
        if lines is None:
            self._not_at_once = _TEXTS_AFTER_DAMAGE
        return lines

    def _at_once(self, text: bytes) -> int | None:
        if not (text.isascii() or is_utf8(text)):
            return None
        if _has_line_of(text, self._rules.max_line_bytes + 1):
            return None
        try:
            lines = self._bulk.lines(text)
        except _REFUSALS:
            return None
        if _has_line_of(text, shortest_too_deep(text)) and next(may_be_too_deep(text.split(b"\n")), None) is not None:
            return None
        return lines

    def suspects(self, lines: list[bytes], utf8: bool = False) -> list[int]:
        """Indexes of the lines that may not be whole, in order.

        Args:
            lines: Lines without their newlines.
            utf8: Whether the caller knows that all of them are UTF-8.
        """
        found = set(self._refused(lines))
        found.update(self._long(lines))
        if not utf8:
            found.update(_not_utf8(lines))
        if self._asks_for_offset:
            found.update(_without_colon(lines))
        return sorted(found)

    def _refused(self, lines: list[bytes]) -> Iterator[int]:
        """Indexes of the lines that the decoder refuses; no Python code runs for the lines in between."""
        left, size = iter(lines), len(lines)
        while True:
            try:
                deque(map(self._decode, left), maxlen=0)
            except _REFUSALS:
                yield size - length_hint(left) - 1
            else:
                return

    def _long(self, lines: list[bytes]) -> Iterator[int]:
        """Indexes of lines that are too long or may be too deep."""
        longest = max(map(len, lines), default=0)
        if longest > self._rules.max_line_bytes:
            yield from (index for index, line in enumerate(lines) if len(line) > self._rules.max_line_bytes)
        if longest >= SHORTEST_TOO_DEEP:
            yield from may_be_too_deep(lines)


def _size(lines: list[bytes]) -> int:
    """Bytes of these lines with their newlines."""
    return sum(map(len, lines)) + len(lines)


def _has_line_of(text: bytes, size: int) -> bool:
    """Whether a text has a line of at least this size."""
    at, last = 0, len(text) - size
    while at < last and (at := text.rfind(b"\n", at, at + size) + 1):
        pass
    return last > 0 and at == 0


def _not_utf8(lines: list[bytes]) -> Iterator[int]:
    if is_utf8(b"\n".join(lines)):
        return
    yield from (index for index, line in enumerate(lines) if not is_utf8(line))


def _without_colon(lines: list[bytes]) -> Iterator[int]:
    """Indexes of lines in which an offset from UTC may lack its colon: the decoder accepts that."""
    if may_lack_colon(b"\n".join(lines)):
        yield from (index for index, line in enumerate(lines) if may_lack_colon(line))


@lru_cache
def _shape(require: tuple[tuple[str, FieldType], ...]) -> type[msgspec.Struct]:
    if not require:
        return _Object
    names = {f"field_{index}": name for index, (name, _) in enumerate(require)}
    fields = [(own, _SHAPES[kind]) for own, (_, kind) in zip(names, require, strict=True)]
    return msgspec.defstruct("Record", fields, rename=names, gc=False)


@lru_cache
def _bulk(require: tuple[tuple[str, FieldType], ...]) -> Bulk:
    """The bulk decoder for these fields; it reads dates as strings, so that only they are searched for colons."""
    strings = tuple((name, FieldType.STRING if kind is FieldType.DATETIME else kind) for name, kind in require)
    dates = (f"field_{index}" for index, (_, kind) in enumerate(require) if kind is FieldType.DATETIME)
    return Bulk(_shape(strings), tuple(dates))
