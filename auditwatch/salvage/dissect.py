"""What a damaged line still contains: whole records, and the pieces between them.

Bytes alone do not show whether an object was a nested part of a record that was cut, or a whole record glued into it.
So each record has a confidence, and whatever deserves none stays a fragment:

certain   it is where only a record can begin: at the start of the line, or directly after a whole record or NUL bytes,
          and nothing on its line shows that it was part of something larger; nearby lines may still raise doubt
likely    it is elsewhere, and its first key is the one with which almost all whole records of the trail begin
inferred  it was put together from two pieces (`stitch`)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from auditwatch.salvage.habits import HEAD, Habits
from auditwatch.trail.judge.depth import too_deep
from auditwatch.trail.judge.explain import is_utf8
from auditwatch.trail.judge.grammar import skip_blank, walk_text, walk_value

MAX_PARTS: Final = 1 << 16
"""Most parts into which a line is cut; the rest stays one fragment."""

_WALKED_LINES: Final = 8
"""Bytes walked through in vain in one line at most, as a multiple of its length, so that the work stays linear."""

_MARK: Final = b"\xef\xbb\xbf"
_MARKS = re.compile(rb"(?:\xef\xbb\xbf)*+")
_NULS = re.compile(rb"\x00++")
_BEFORE_HEAD = re.compile(rb"(?:.*[:,\[])?[ \t\r]*+\Z", re.DOTALL)
_LOOK_BACK_BYTES: Final = 16
_OBJECT: Final = ord("{")
_BEFORE_VALUE: Final = frozenset(b":,[")
"""After these bytes the grammar may allow an object: an object there may be part of a record."""
_AFTER_VALUE: Final = frozenset(b",]}:")
"""An object that one of these bytes follows was a value in something larger."""
_EMPTY_MEMBER: Final = b'{"":'


class Confidence(StrEnum):
    """How certain it is that a recovered record was written like this; highest first."""

    CERTAIN = "certain"
    LIKELY = "likely"
    INFERRED = "inferred"


class Method(StrEnum):
    """Where a record was found."""

    LINE_START = "line_start"
    BEHIND_RECORD = "behind_record"
    BEHIND_NULS = "behind_nuls"
    RECORD_HEAD = "record_head"
    STITCHED = "stitched"


class FragmentKind(StrEnum):
    """What a piece of a damaged line is, if it is not a record."""

    BEGINNING = "beginning"
    END = "end"
    MIDDLE = "middle"
    OBJECT = "object"
    NO_RECORD = "no_record"
    NUL_BYTES = "nul_bytes"
    BYTE_ORDER_MARK = "byte_order_mark"
    BLANK = "blank"
    OVERSIZE = "oversize"


@dataclass(frozen=True, slots=True)
class Inside:
    """A whole record in a damaged line, from byte `start` to just before `end`."""

    start: int
    end: int
    confidence: Confidence
    method: Method


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a damaged line that is not a record, from byte `start` to just before `end`."""

    start: int
    end: int
    kind: FragmentKind


Part = Inside | Fragment


def dissect(line: bytes, habits: Habits, *, awaited: bool = False) -> tuple[Part, ...]:
    r"""The parts of a damaged line from left to right, with nothing but white space between them.

    White space before a piece that may continue a string is part of the piece.

    Args:
        line: The line without its newline.
        habits: Habits of the trail.
        awaited: Whether a record was cut shortly before this line, at a place where an object may follow, so that this
            object may be at the start of the line.

    >>> [part.confidence for part in dissect(b'{"a":1}{"b":2}', Habits())]
    [<Confidence.CERTAIN: 'certain'>, <Confidence.CERTAIN: 'certain'>]
    >>> parts = dissect(b'{"event":"TRADE_A{"event":"KILL_SWITCH"}', Habits(b'"event"'))
    >>> parts[0].kind, parts[1].confidence
    (<FragmentKind.BEGINNING: 'beginning'>, <Confidence.LIKELY: 'likely'>)
    """
    if skip_blank(line, 0) == len(line):
        return (Fragment(0, len(line), FragmentKind.BLANK),)
    return tuple(_Dissection(line, habits, awaited).parts())


def awaits_value(piece: bytes) -> bool:
    """Whether an object may follow: exact for the beginning of a record; for other pieces, yes in case of doubt.

    >>> awaits_value(b'{"a":'), awaits_value(b'{"a":"b,'), awaits_value(b'b":1,')
    (True, False, True)
    """
    text = piece.rstrip(b" \t\r")
    if not text or text[-1] not in _BEFORE_VALUE:
        return False
    if text[0] != _OBJECT:
        return True
    return walk_value(text + _EMPTY_MEMBER).error == len(text) + len(_EMPTY_MEMBER)


class _Dissection:
    """Cuts one line into parts, from left to right; each step starts where a record may begin."""

    def __init__(self, line: bytes, habits: Habits, awaited: bool) -> None:
        self._line = line
        self._habits = habits
        self._awaited = awaited
        self._left = _WALKED_LINES * len(line)
        self._next_nul = -1

    def parts(self) -> Iterator[Part]:
        """All parts of the line."""
        at, method = self._after_marks(), Method.LINE_START
        if at:
            yield Fragment(0, at, FragmentKind.BYTE_ORDER_MARK)
        if self._is_other_text(at):
            yield Fragment(at, len(self._line), FragmentKind.NO_RECORD)
            return
        for _ in range(MAX_PARTS):
            first = skip_blank(self._line, at)
            if first == len(self._line):
                return
            part, method = self._part_at(at, first, method)
            yield part
            at = part.end
        yield Fragment(at, len(self._line), FragmentKind.MIDDLE)

    def _after_marks(self) -> int:
        marks = _MARKS.match(self._line)
        return marks.end() if marks else 0

    def _is_other_text(self, at: int) -> bool:
        """Whether the line is one JSON text that is not a record: nothing in it was ever a record either."""
        line = self._line[at:] if at else self._line
        if walk_text(line).error is not None:
            return False
        return line[skip_blank(line, 0)] != _OBJECT or not self._is_record(line)

    def _part_at(self, blank: int, at: int, method: Method) -> tuple[Part, Method]:
        """The part that begins here, and the method by which a record directly after it would be found.

        Args:
            blank: Where white space before the part begins; it belongs to a fragment, which may continue a string.
            at: First byte of the part after that white space.
            method: The method by which a record that begins here would be found.
        """
        nuls = _NULS.match(self._line, at)
        if nuls:
            return Fragment(at, nuls.end(), FragmentKind.NUL_BYTES), Method.BEHIND_NULS
        end = self._object_end(at)
        confidence = None if end is None else self._confidence(at, end, method)
        if end is not None and confidence is not None:
            self._left += end - at  # this walk was not in vain
            return Inside(at, end, confidence, method), Method.BEHIND_RECORD
        return self._fragment(blank, at, self._next_start(at)), Method.RECORD_HEAD

    def _object_end(self, at: int) -> int | None:
        """The offset just after the whole object that begins here, if there is one."""
        if self._line[at] != _OBJECT or self._left < 0:
            return None
        walk = walk_value(self._line, at)
        self._left -= (walk.end or walk.error or at) - at
        if walk.end is None:
            return None
        text = self._line[at : walk.end]
        return walk.end if self._is_record(text) and not self._is_pair(text) else None

    def _is_record(self, text: bytes) -> bool:
        return is_utf8(text) and not too_deep(text)

    def _is_pair(self, text: bytes) -> bool:
        """Whether this is a record inside another that was cut, and what closes both makes it look like one object."""
        return not self._habits.was_nested and self._habits.has_inside(text)

    def _confidence(self, at: int, end: int, method: Method) -> Confidence | None:
        is_usual = self._habits.is_usual(self._line, at)
        if method is Method.RECORD_HEAD:
            return Confidence.LIKELY if is_usual else None
        may_be_nested = not is_usual or self._habits.was_nested
        if not self._is_doubtful(at, end, may_be_nested=may_be_nested):
            return Confidence.CERTAIN
        return Confidence.LIKELY if is_usual and not self._habits.is_nested else None

    def _is_doubtful(self, at: int, end: int, *, may_be_nested: bool) -> bool:
        """Whether the object may have been part of a record that was cut right before it.

        Args:
            at: Where the object begins.
            end: Just after its last byte.
            may_be_nested: Whether objects like this may be inside records.
        """
        after = skip_blank(self._line, end)
        follows = self._line[after] if after < len(self._line) else None
        if follows in _AFTER_VALUE or (may_be_nested and self._awaited):
            return True
        is_empty = skip_blank(self._line, at + 1) == end - 1
        return is_empty and follows not in {None, 0, _OBJECT}  # a string may contain braces

    def _next_start(self, at: int) -> int:
        """Where the fragment that begins here ends: before NUL bytes, or before a head with the usual key."""
        if self._next_nul < at:
            nul = self._line.find(b"\x00", at)
            self._next_nul = nul if nul >= 0 else len(self._line)
        for head in HEAD.finditer(self._line, at + 1, self._next_nul):
            if self._is_start(head):
                return head.start()
        return self._next_nul

    def _is_start(self, head: re.Match[bytes]) -> bool:
        """Whether this may be the head of a record: it has the usual key, and is not more likely to be nested."""
        if head[1] != self._habits.first_key or self._left < 0:
            return False
        back = max(0, head.start() - _LOOK_BACK_BYTES)
        return not (self._habits.is_nested and _BEFORE_HEAD.match(self._line, back, head.start()))

    def _fragment(self, blank: int, start: int, end: int) -> Fragment:
        piece = self._line[start:end]
        self._awaited = self._awaited or awaits_value(piece)
        kind = _kind_of(piece)
        return Fragment(start if kind is FragmentKind.BEGINNING else blank, end, kind)


def _kind_of(piece: bytes) -> FragmentKind:
    if piece[0] == _OBJECT:
        walk = walk_value(piece)
        if walk.error == len(piece):
            return FragmentKind.BEGINNING
        if walk.end is not None and skip_blank(piece, walk.end) == len(piece):
            return FragmentKind.OBJECT
    return FragmentKind.END if piece.rstrip(b" \t\r").endswith(b"}") else FragmentKind.MIDDLE
