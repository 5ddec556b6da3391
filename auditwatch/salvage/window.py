"""The window over the damaged lines of a trail: pieces are joined in it, and nearby damage raises doubt."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from auditwatch.salvage.dissect import Confidence, Fragment, FragmentKind, Inside, Method, Part, awaits_value, dissect
from auditwatch.salvage.habits import Habits
from auditwatch.salvage.results import Leftover, RecoveredRecord, Sink, Source
from auditwatch.salvage.stitch import partner
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules

WINDOW_LINES: Final = 256
"""Number of lines, whole ones included, within which the two pieces of a record are searched for."""

_WINDOW_MAX_LINES: Final = 4
"""Most memory that the damaged lines of a window may take, as a multiple of `max_line_bytes`."""

_PART_BYTES: Final = 128
"""Rough amount of memory that a part of a line takes in addition to its bytes."""

_SWALLOWS_BYTES: Final = 16
"""A hole of this many NUL bytes or more may have swallowed a piece of a record."""

_PIECES: Final = frozenset({FragmentKind.BEGINNING, FragmentKind.END, FragmentKind.MIDDLE, FragmentKind.OBJECT})
"""Fragments of records."""


class Sign(Enum):
    """What a part shows: records are cut near it, so that a whole record may really be the halves of two others."""

    PIECE = auto()
    """A piece of a record, no matter what it lacks."""
    LACKS_END = auto()
    LACKS_BEGINNING = auto()
    HOLE = auto()


@dataclass(slots=True)
class DamagedLine:
    """A damaged line in the window.

    Attributes:
        place: Where the line is, without its newline.
        kind: What is wrong with it.
        body: Its bytes; None if there are too many.
        parts: The parts that it consists of.
        used: Indexes of the parts that were stitched together.
        awaits_value: Whether a record on it was cut at a place where an object may follow.
        signs: Index of the first and of the last part with each sign.
    """

    place: Source
    kind: Kind
    body: bytes | None
    parts: tuple[Part, ...] = ()
    used: set[int] = field(default_factory=set)
    awaits_value: bool = False
    signs: dict[Sign, tuple[int, int]] = field(default_factory=dict)

    def take_apart(self, habits: Habits, *, awaited: bool) -> None:
        """Find the parts of the line, if its bytes are held."""
        if self.body is None:
            return
        self.parts = dissect(self.body, habits, awaited=awaited)
        for index, part in enumerate(self.parts):
            if isinstance(part, Fragment):
                self.awaits_value = self.awaits_value or awaits_value(self.piece(index))
                for sign in self._signs(index, part):
                    self.signs[sign] = (self.signs.get(sign, (index,))[0], index)

    def _signs(self, index: int, part: Fragment) -> Iterator[Sign]:
        if part.kind is FragmentKind.NUL_BYTES and part.end - part.start >= _SWALLOWS_BYTES:
            yield Sign.HOLE
        if part.kind not in _PIECES:
            return
        yield Sign.PIECE
        is_start, is_middle = self.piece(index).startswith(b"{"), part.kind is FragmentKind.MIDDLE
        if (is_start or is_middle) and not self._is_nuls(index + 1):
            yield Sign.LACKS_END
        if (part.kind is FragmentKind.END or (is_middle and not is_start)) and not self._is_nuls(index - 1):
            yield Sign.LACKS_BEGINNING

    @property
    def weight(self) -> int:
        """Rough amount of memory that the line takes."""
        return len(self.body or b"") + _PART_BYTES * len(self.parts)

    def piece(self, index: int) -> bytes:
        """The bytes of a part."""
        part = self.parts[index]
        return (self.body or b"")[part.start : part.end]

    def source(self, index: int) -> Source:
        """Where a part is."""
        part = self.parts[index]
        return Source(self.place.line, self.place.offset + part.start, part.end - part.start)

    def indexes(self, kind: FragmentKind, start: int = 0) -> list[int]:
        """The fragments of a kind that are not used yet, from the part `start` on."""
        return [i for i in range(start, len(self.parts)) if i not in self.used and self.may_be(i, kind)]

    def may_be(self, index: int, kind: FragmentKind) -> bool:
        """Whether a part is such a fragment, and what it lacks may be elsewhere: next to NUL bytes it is lost."""
        part = self.parts[index]
        beside = index + 1 if kind is FragmentKind.BEGINNING else index - 1
        return isinstance(part, Fragment) and part.kind is kind and not self._is_nuls(beside)

    def _is_nuls(self, index: int) -> bool:
        part = self.parts[index] if 0 <= index < len(self.parts) else None
        return isinstance(part, Fragment) and part.kind is FragmentKind.NUL_BYTES


_Piece = tuple[DamagedLine, int]


class Window:
    """The damaged lines that may still be related to each other; decides about each line as it leaves."""

    def __init__(self, habits: Habits, rules: Rules, sink: Sink) -> None:
        self._habits = habits
        self._most = _WINDOW_MAX_LINES * rules.max_line_bytes
        self._sink = sink
        self._held: deque[DamagedLine] = deque()
        self._weight = self._awaiting = 0
        self._last = dict.fromkeys(Sign, -WINDOW_LINES)
        self._lines_with = Counter[Sign]()

    def add(self, held: DamagedLine) -> None:
        """Add the next damaged line, and let go of those that are too far away from it."""
        while self._held and self._held[0].place.line < held.place.line - WINDOW_LINES:
            self._let_go()
        held.take_apart(self._habits, awaited=self._awaiting > 0)
        self._held.append(held)
        self._count(held, 1)
        while self._weight > self._most and len(self._held) > 1:
            self._let_go()

    def close(self) -> None:
        """Let go of all lines: no more follow."""
        while self._held:
            self._let_go()

    def _let_go(self) -> None:
        held = self._held[0]
        found: list[RecoveredRecord] = []
        for index, part in enumerate(held.parts):
            recovered = self._recovered(held, index, part)
            if recovered is not None:
                found.append(recovered)
                self._sink.recovered(recovered)
            elif index not in held.used:
                self._leave(held, index)
        if held.body is None:
            self._sink.leftover(Leftover(FragmentKind.OVERSIZE, held.kind, held.place, None))
        self._sink.replaced(held.place.offset, held.place.offset + held.place.length + 1, found)
        self._last.update(dict.fromkeys(held.signs, held.place.line))
        self._count(self._held.popleft(), -1)

    def _leave(self, held: DamagedLine, index: int) -> None:
        part, piece = held.parts[index], held.piece(index)
        kind = FragmentKind.OBJECT if isinstance(part, Inside) else part.kind
        data = None if kind is FragmentKind.NUL_BYTES else piece
        self._sink.leftover(Leftover(kind, held.kind, held.source(index), data))

    def _count(self, held: DamagedLine, lines: int) -> None:
        self._weight += lines * held.weight
        self._awaiting += lines * held.awaits_value
        for sign in held.signs:
            self._lines_with[sign] += lines

    def _recovered(self, held: DamagedLine, index: int, part: Part) -> RecoveredRecord | None:
        if isinstance(part, Fragment):
            return self._stitched(held, index) if held.may_be(index, FragmentKind.BEGINNING) else None
        confidence, record = part.confidence, held.piece(index)
        if confidence is Confidence.CERTAIN and self._may_be_halves(held, index):
            self._last[Sign.LACKS_END] = held.place.line  # the record that it may be half of lacks its end too
            if not self._habits.is_usual(record):
                return None
            confidence = Confidence.LIKELY
        elif confidence is Confidence.CERTAIN and self._may_be_patched(held, index, record):
            confidence = Confidence.LIKELY
        return RecoveredRecord(confidence, part.method, (held.source(index),), record)

    def _may_be_halves(self, held: DamagedLine, index: int) -> bool:
        """Whether a record may be the beginning of one and the end of another, which parse together by accident.

        Then the second of the two was cut before it, and the first continues after it. A hole may have swallowed either
        of these pieces, but holes alone do not show that records are written in pieces.
        """
        is_cut = self._stands_before(Sign.LACKS_END, held, index)
        is_rest = self._stands_after(Sign.LACKS_BEGINNING, held, index)
        if is_cut and is_rest:
            return True
        was_swallowed = is_rest and self._stands_before(Sign.HOLE, held, index)
        return was_swallowed or (is_cut and self._stands_after(Sign.HOLE, held, index))

    def _may_be_patched(self, held: DamagedLine, index: int, record: bytes) -> bool:
        """Whether a record has keys that no whole record has, and something was cut before it on its line."""
        is_after_piece = Sign.PIECE in held.signs and held.signs[Sign.PIECE][0] < index
        habits = self._habits
        return is_after_piece and habits.is_regular and habits.is_usual(record) and not habits.knows_shape(record)

    def _stands_before(self, sign: Sign, held: DamagedLine, index: int) -> bool:
        is_near = self._last[sign] >= held.place.line - WINDOW_LINES
        return is_near or (sign in held.signs and held.signs[sign][0] < index)

    def _stands_after(self, sign: Sign, held: DamagedLine, index: int) -> bool:
        is_near = self._lines_with[sign] > (sign in held.signs)
        return is_near or (sign in held.signs and held.signs[sign][1] > index)

    def _stitched(self, held: DamagedLine, index: int) -> RecoveredRecord | None:
        """The record that begins with this part, if one end in the window clearly fits better than all others."""
        ends = list(self._ends(held, index))

        def rivals(chosen: int) -> Iterator[bytes]:
            own = (id(held), index)
            yield from (other.piece(at) for other, at in self._beginnings(ends[chosen]) if (id(other), at) != own)

        chosen = partner(held.piece(index), [end.piece(at) for end, at in ends], rivals, self._habits)
        if chosen is None:
            return None
        end, at = ends[chosen]
        end.used.add(at)
        held.used.add(index)
        sources = (held.source(index), end.source(at))
        return RecoveredRecord(Confidence.INFERRED, Method.STITCHED, sources, held.piece(index) + end.piece(at))

    def _ends(self, held: DamagedLine, index: int) -> Iterator[_Piece]:
        """Pieces after a part that may be its end, nearest first."""
        for other in self._held:
            start = index + 1 if other is held else 0
            yield from ((other, at) for at in other.indexes(FragmentKind.END, start))

    def _beginnings(self, end: _Piece) -> Iterator[_Piece]:
        """Pieces before an end that may be its beginning."""
        for other in self._held:
            stop = end[1] if other is end[0] else len(other.parts)
            yield from ((other, at) for at in other.indexes(FragmentKind.BEGINNING) if at < stop)
            if other is end[0]:
                return
