"""The judge: the kind of a line is a function of its bytes and the rules alone.

One C call decides a whole line, or a text of whole lines: a decoder for a structure made from the rules checks the
grammar, "is an object" and required fields at once. Whatever it refuses goes to `explain`, which has the last word. So
the structure may refuse too much (unpaired surrogates, huge numbers, a deep stack of the caller), but must never accept
a line that is not whole.
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
from auditwatch.trail.judge.explain import explain, is_utf8, may_repeat_key
from auditwatch.trail.judge.json_schema import violates
from auditwatch.trail.kinds import Kind
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

_TEXTS_AFTER_DAMAGE: Final = 4
"""How many texts are judged line by line right away after a damaged one: damage seldom comes alone."""


class Judge:
    """Judges lines by one set of rules.

    >>> judge = Judge(Rules())
    >>> judge.kind_of(b'{"event":"START"}') is None, judge.kind_of(b'{"event":"STA')
    (True, <Kind.TORN: 'torn'>)
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        shape = _shape(rules.require)
        self._decode = msgspec.json.Decoder(shape).decode
        self._bulk = None if rules.strict or rules.schema else _bulk(rules.require)
        self._not_at_once = 0
        self._asks_for_offset = any(kind is FieldType.DATETIME for _, kind in rules.require)

    def kind_of(self, line: bytes) -> Kind | None:
        """What is wrong with one line, given without its newline; None if it is whole."""
        return next((kind for _, kind in self.damaged([line])), None)

    def whole_lines(self, text: bytes) -> int | None:
        """How many lines a text has, if all are whole; None if they must be judged one by one.

        Args:
            text: Lines with their newlines.
        """
        if self._bulk is None:
            return None
        if self._not_at_once:
            self._not_at_once -= 1
            return None
        lines = self._at_once(self._bulk, text)
        if lines is None:
            self._not_at_once = _TEXTS_AFTER_DAMAGE
        return lines

    def _at_once(self, bulk: Bulk, text: bytes) -> int | None:
        if not (text.isascii() or is_utf8(text)):
            return None
        if _has_line_of(text, self.rules.max_line_bytes + 1):
            return None
        try:
            lines = bulk.lines(text)
        except _REFUSALS:
            return None
        if _has_line_of(text, shortest_too_deep(text)) and next(may_be_too_deep(text.split(b"\n")), None) is not None:
            return None
        return lines

    def damaged(self, lines: list[bytes], utf8: bool = False) -> Iterator[tuple[int, Kind]]:
        """The index and the kind of each line that is not whole, in order.

        Args:
            lines: Lines without their newlines.
            utf8: Whether the caller knows that all of them are UTF-8.
        """
        suspects = set(self._refused(lines))
        suspects.update(self._long(lines))
        if not utf8:
            suspects.update(_not_utf8(lines))
        if self._asks_for_offset:
            suspects.update(_without_colon(lines))
        if self.rules.strict:
            suspects.update(index for index, line in enumerate(lines) if may_repeat_key(line))
        if self.rules.schema:
            rest = (index for index in range(len(lines)) if index not in suspects)
            suspects.update([index for index in rest if violates(lines[index], self.rules.schema)])
        for index in sorted(suspects):
            kind = explain(lines[index], self.rules)
            if kind is not None:
                yield index, kind

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
        if longest > self.rules.max_line_bytes:
            yield from (index for index, line in enumerate(lines) if len(line) > self.rules.max_line_bytes)
        if longest >= SHORTEST_TOO_DEEP:
            yield from may_be_too_deep(lines)


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
