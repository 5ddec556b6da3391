"""The window over the damaged lines of a trail: pieces are put together in it, and neighbours raise doubt."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from auditwatch.trail.habits import Habits
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules
from auditwatch.trail.salvage import Confidence, Fragment, FragmentKind, Inside, Method, Part, awaits_value, dissect
from auditwatch.trail.stitch import partner
from auditwatch.validate.salvaged import Leftover, Recovered, Sink, Source

WINDOW_LINES: Final = 256
"""Lines, whole ones too, over which the two pieces of a record are looked for."""

_WINDOW_MAX_LINES: Final = 4
"""Most that the damaged lines of a window may take, in times `max_line_bytes`."""

_PART_BYTES: Final = 128
"""Memory that a part of a line takes beside its bytes, roughly."""

_CUT: Final = frozenset({FragmentKind.BEGINNING, FragmentKind.END, FragmentKind.MIDDLE, FragmentKind.OBJECT})
"""Fragments that are pieces of a record."""


class Sign(Enum):
    """What says that records are cut here, so that a whole one may be the halves of two others.

    A hole says so only beside a piece that it did not make itself.
    """

    PIECE = auto()
    HOLE = auto()


@dataclass(slots=True)
class DamagedLine:
    """A damaged line in the window.

    Attributes:
        place: The line, newline excluded.
        kind: What is wrong with it.
        body: Its bytes; None if they are too many.
        parts: What it consists of.
        used: Indexes of ends that were stitched to a beginning.
        awaits_value: Whether it leaves a record cut where an object may follow.
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
        """Find its parts, if its bytes are held."""
        if self.body is None:
            return
        self.parts = dissect(self.body, habits, awaited=awaited)
        for index, part in enumerate(self.parts):
            if isinstance(part, Fragment):
                self.awaits_value = self.awaits_value or awaits_value(self.piece(index))
                sign = self._sign(index, part.kind)
                if sign is not None:
                    self.signs[sign] = (self.signs.get(sign, (index,))[0], index)

    def _sign(self, index: int, kind: FragmentKind) -> Sign | None:
        if kind is FragmentKind.NUL_BYTES or (kind in _CUT and self._touches_nuls(index, kind)):
            return Sign.HOLE
        return Sign.PIECE if kind in _CUT else None

    @property
    def weight(self) -> int:
        """Memory it takes, roughly."""
        return len(self.body or b"") + _PART_BYTES * len(self.parts)

    def piece(self, index: int) -> bytes:
        """The bytes of a part."""
        part = self.parts[index]
        return (self.body or b"")[part.start : part.end]

    def source(self, index: int) -> Source:
        """Where a part lies."""
        part = self.parts[index]
        return Source(self.place.line, self.place.offset + part.start, part.end - part.start)

    def indexes(self, kind: FragmentKind, start: int = 0) -> list[int]:
        """Fragments of a kind that nobody took, from a part on."""
        return [i for i in range(start, len(self.parts)) if i not in self.used and self.may_be(i, kind)]

    def may_be(self, index: int, kind: FragmentKind) -> bool:
        """Whether a part is such a fragment, and what it lacks may stand elsewhere."""
        part = self.parts[index]
        return isinstance(part, Fragment) and part.kind is kind and not self._touches_nuls(index, kind)

    def _touches_nuls(self, index: int, kind: FragmentKind) -> bool:
        """Whether NUL bytes stand where a piece was cut: what is missing there is lost, and stands nowhere else."""
        beside = index + 1 if kind is FragmentKind.BEGINNING else index - 1
        part = self.parts[beside] if 0 <= beside < len(self.parts) else None
        return isinstance(part, Fragment) and part.kind is FragmentKind.NUL_BYTES


_Piece = tuple[DamagedLine, int]


class Window:
    """The damaged lines that may still have to do with each other; decides about a line as it leaves."""

    def __init__(self, habits: Habits, rules: Rules, sink: Sink) -> None:
        self._habits = habits
        self._most = _WINDOW_MAX_LINES * rules.max_line_bytes
        self._sink = sink
        self._held: deque[DamagedLine] = deque()
        self._weight = self._awaiting = 0
        self._last = dict.fromkeys(Sign, -WINDOW_LINES)
        self._lines_with = Counter[Sign]()

    def add(self, held: DamagedLine) -> None:
        """Take in the next damaged line, and let go of those that are too far away from it."""
        while self._held and self._held[0].place.line < held.place.line - WINDOW_LINES:
            self._let_go()
        held.take_apart(self._habits, awaited=self._awaiting > 0)
        self._held.append(held)
        self._count(held, 1)
        while self._weight > self._most and len(self._held) > 1:
            self._let_go()

    def close(self) -> None:
        """Nothing follows."""
        while self._held:
            self._let_go()

    def _let_go(self) -> None:
        held = self._held[0]
        found: list[Recovered] = []
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

    def _recovered(self, held: DamagedLine, index: int, part: Part) -> Recovered | None:
        if isinstance(part, Fragment):
            return self._stitched(held, index) if held.may_be(index, FragmentKind.BEGINNING) else None
        confidence, record = part.confidence, held.piece(index)
        if confidence is Confidence.CERTAIN and self._may_be_halves(held, index):
            self._last[Sign.PIECE] = held.place.line  # what it may be half of stands near, too
            if not self._habits.is_usual(record):
                return None
            confidence = Confidence.LIKELY
        return Recovered(confidence, part.method, (held.source(index),), record)

    def _may_be_halves(self, held: DamagedLine, index: int) -> bool:
        """Whether a record may be the beginning of one and the end of another, which parse together by accident.

        The first of them was cut: its end, or the hole that took it, stands behind. Of the second the beginning stands
        before, or a hole. A record whose keys no whole record has needs one of them only.
        """
        before = {sign for sign in Sign if self._stands_before(sign, held, index)}
        behind = {sign for sign in Sign if self._stands_behind(sign, held, index)}
        if Sign.PIECE not in before | behind:
            return False
        if before and behind:
            return True
        record = held.piece(index)
        return self._habits.is_regular and self._habits.is_usual(record) and not self._habits.knows_shape(record)

    def _stands_before(self, sign: Sign, held: DamagedLine, index: int) -> bool:
        is_near = self._last[sign] >= held.place.line - WINDOW_LINES
        return is_near or (sign in held.signs and held.signs[sign][0] < index)

    def _stands_behind(self, sign: Sign, held: DamagedLine, index: int) -> bool:
        is_near = self._lines_with[sign] > (sign in held.signs)
        return is_near or (sign in held.signs and held.signs[sign][1] > index)

    def _stitched(self, held: DamagedLine, index: int) -> Recovered | None:
        """The record that begins with this part, if one end in the window is surely likelier than others."""
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
        return Recovered(Confidence.INFERRED, Method.STITCHED, sources, held.piece(index) + end.piece(at))

    def _ends(self, held: DamagedLine, index: int) -> Iterator[_Piece]:
        """Pieces behind a part that may be its end, from the nearest on."""
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
