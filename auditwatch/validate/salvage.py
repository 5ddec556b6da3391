"""Recover records from the damaged lines of an open trail: read it once to learn its habits, once more to salvage.

The trail is only read, never held: in memory are one batch of lines and a window of damaged ones, among which records
in two pieces are put together.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Protocol

from auditwatch.errors import Unreadable
from auditwatch.files.reading import read_chunks
from auditwatch.trail.grid import GridDigest
from auditwatch.trail.habits import HabitCounter, Habits
from auditwatch.trail.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules
from auditwatch.trail.salvage import (
    Confidence,
    Fragment,
    FragmentKind,
    Inside,
    Method,
    Part,
    awaits_value,
    dissect,
)
from auditwatch.trail.stitch import partner
from auditwatch.validate.lines import Batch, LineReader

WINDOW_LINES: Final = 256
"""Lines, whole ones too, over which the two pieces of a record are looked for."""

_WINDOW_MAX_LINES: Final = 4
"""Most that the damaged lines of a window may take, in times `max_line_bytes`."""

_PART_BYTES: Final = 128
"""Memory that a part of a line takes beside its bytes, roughly."""

Progress = Callable[[int, int], None]
"""Is told how many bytes were read, and of how many; each is read twice."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where bytes lie in the trail: number of the line, offset in the file, number of bytes."""

    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """One record, with its bytes as they stand in the trail."""

    confidence: Confidence
    method: Method
    sources: tuple[Source, ...]
    record: bytes


@dataclass(frozen=True, slots=True)
class Leftover:
    """A piece of a damaged line that is no record.

    Attributes:
        kind: What is known of the piece.
        line_kind: What is wrong with its line.
        source: Where it lies.
        data: Its bytes; None for NUL bytes, and for lines too long to be held.
    """

    kind: FragmentKind
    line_kind: Kind
    source: Source
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first reading learned.

    Attributes:
        size: Bytes that were read: the file may have grown since.
        sha256: Over all of them.
        digest: The digest of the file, pending bytes excluded.
        habits: Of the trail's whole records.
        lines: Newline-ended ones.
        records: Whole lines.
        by_kind: Damaged lines.
        pending_bytes: Bytes behind the last newline that were left alone.
    """

    size: int
    sha256: str
    digest: str
    habits: Habits
    lines: int
    records: int
    by_kind: dict[Kind, int]
    pending_bytes: int


class Sink(Protocol):
    """Takes what comes out, in the order of the trail."""

    def recovered(self, found: Recovered) -> None:
        """One record."""

    def leftover(self, left: Leftover) -> None:
        """One piece that is no record."""

    def replaced(self, start: int, end: int, found: list[Recovered]) -> None:
        """The damaged line from `start` to `end`, its newline included, is done: this is what it held, or began."""


def survey(
    descriptor: int, size: int, rules: Rules, *, final: bool = False, on_progress: Progress | None = None
) -> Survey:
    """Read the first `size` bytes once.

    Raises:
        Unreadable: io_error, with the offset; changed, if the file is shorter than that by now.
    """
    reading = _Reading(descriptor, size, rules, final, on_progress, done=0)
    habits, by_kind, records = HabitCounter(), Counter[Kind](), 0
    for batch in reading.batches():
        damaged = reading.damaged(batch)
        by_kind.update(damaged.values())
        whole = [line for index, line in enumerate(batch.lines) if index not in damaged] if damaged else batch.lines
        records += len(whole)
        habits.learn(whole)
    kinds = {kind: by_kind[kind] for kind in Kind if kind in by_kind}
    return Survey(
        *(size, reading.sha256.hexdigest(), reading.digest.digest(), habits.habits()),
        *(reading.lines, records, kinds, reading.pending_bytes),
    )


def salvage(
    descriptor: int,
    known: Survey,
    rules: Rules,
    sink: Sink,
    *,
    final: bool = False,
    on_progress: Progress | None = None,
) -> None:
    """Read the surveyed bytes again and give everything that their damaged lines hold to the sink.

    Raises:
        Unreadable: io_error, with the offset; changed, if these are not the bytes that were surveyed.
    """
    reading = _Reading(descriptor, known.size, rules, final, on_progress, done=known.size)
    window = _Window(known.habits, rules, sink)
    for batch in reading.batches():
        places = reading.places(batch) if (damaged := reading.damaged(batch)) else []
        for index, kind in damaged.items():
            body = batch.lines[index] if batch.lines else None
            window.add(_Held(places[index], kind, body))
    window.close()
    if reading.sha256.hexdigest() != known.sha256:
        raise Unreadable("changed", "the file was changed while it was read; try again when nobody rewrites it")


class _Reading:
    """One reading of a trail, from its start, with its digests."""

    def __init__(
        self, descriptor: int, size: int, rules: Rules, final: bool, on_progress: Progress | None, done: int
    ) -> None:
        self.sha256 = hashlib.sha256()
        self.digest = GridDigest()
        self.lines = self.pending_bytes = 0
        self._descriptor = descriptor
        self._size = size
        self._reader = LineReader(rules.max_line_bytes)
        self._judge = Judge(rules)
        self._final = final
        self._is_tail = False
        self._on_progress = on_progress
        self._done = done

    def batches(self) -> Iterator[Batch]:
        """All lines; at last the bytes behind the last newline, if nobody can end them any more."""
        read = 0
        for chunk in read_chunks(self._descriptor, 0, self._size):
            self.sha256.update(chunk)
            self.digest.feed(chunk)
            for batch in self._reader.feed(chunk):
                self.lines += len(batch.lines) or 1
                yield batch
            read += len(chunk)
            self._tell(read)
        if read < self._size:
            raise Unreadable("changed", f"the file shrank while it was read: it ends at offset {read}")
        yield from self._tail()

    def damaged(self, batch: Batch) -> dict[int, Kind]:
        """Index and kind of each line of the batch that is not whole."""
        if self._is_tail:
            return {0: Kind.TORN}
        return dict(self._judge.damaged(batch.lines)) if batch.lines else {0: Kind.OVERSIZE}

    def places(self, batch: Batch) -> list[Source]:
        """Where the lines of the batch lie, newlines excluded."""
        if not batch.lines:
            return [Source(batch.number, batch.offset, batch.size - (not self._is_tail))]
        starts = accumulate((len(line) + 1 for line in batch.lines), initial=batch.offset)
        numbers = range(batch.number, batch.number + len(batch.lines))
        return [Source(*place) for place in zip(numbers, starts, map(len, batch.lines), strict=False)]

    def _tail(self) -> Iterator[Batch]:
        rest = self._reader.rest()
        if self._final and rest.size:
            self._is_tail = True
            yield rest
        else:
            self.pending_bytes = rest.size

    def _tell(self, read: int) -> None:
        if self._on_progress is not None:
            self._on_progress(self._done + read, 2 * self._size)


@dataclass(slots=True)
class _Held:
    """A damaged line in the window.

    Attributes:
        place: The line, newline excluded.
        kind: What is wrong with it.
        body: Its bytes; None if they are too many.
        parts: What it consists of.
        used: Indexes of ends that were stitched to a beginning.
        awaits_value: Whether it leaves a record cut where an object may follow.
    """

    place: Source
    kind: Kind
    body: bytes | None
    parts: tuple[Part, ...] = ()
    used: set[int] = field(default_factory=set)
    awaits_value: bool = False

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

    def fragments(self) -> list[int]:
        """Those that are left."""
        return [i for i, part in enumerate(self.parts) if isinstance(part, Fragment) and i not in self.used]

    def may_be(self, index: int, kind: FragmentKind) -> bool:
        """Whether a part is such a fragment, and what it lacks may stand elsewhere."""
        part = self.parts[index]
        return isinstance(part, Fragment) and part.kind is kind and not self._touches_nuls(index, kind)

    def _touches_nuls(self, index: int, kind: FragmentKind) -> bool:
        """Whether NUL bytes stand where a piece was cut: what is missing there is lost, and stands nowhere else."""
        beside = index + 1 if kind is FragmentKind.BEGINNING else index - 1
        part = self.parts[beside] if 0 <= beside < len(self.parts) else None
        return isinstance(part, Fragment) and part.kind is FragmentKind.NUL_BYTES


_Piece = tuple[_Held, int]


class _Window:
    """The damaged lines that may still have to do with each other; decides about a line as it leaves."""

    def __init__(self, habits: Habits, rules: Rules, sink: Sink) -> None:
        self._habits = habits
        self._most = _WINDOW_MAX_LINES * rules.max_line_bytes
        self._sink = sink
        self._held: deque[_Held] = deque()
        self._weight = self._awaiting = 0
        self._last_cut = -WINDOW_LINES

    def add(self, held: _Held) -> None:
        """Take in the next damaged line, and let go of those that are too far away from it."""
        while self._held and self._held[0].place.line < held.place.line - WINDOW_LINES:
            self._let_go()
        if held.body is not None:
            held.parts = dissect(held.body, self._habits, awaited=self._awaiting > 0)
            held.awaits_value = any(awaits_value(held.piece(i)) for i in held.fragments())
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
        self._count(self._held.popleft(), -1)

    def _leave(self, held: _Held, index: int) -> None:
        part, piece = held.parts[index], held.piece(index)
        kind = FragmentKind.OBJECT if isinstance(part, Inside) else part.kind
        if kind is not FragmentKind.BLANK and piece.lstrip(b" \t\r").startswith(b"{"):
            self._last_cut = held.place.line
        data = None if kind is FragmentKind.NUL_BYTES else piece
        self._sink.leftover(Leftover(kind, held.kind, held.source(index), data))

    def _count(self, held: _Held, sign: int) -> None:
        self._weight += sign * held.weight
        self._awaiting += sign * held.awaits_value

    def _recovered(self, held: _Held, index: int, part: Part) -> Recovered | None:
        if isinstance(part, Fragment):
            return self._stitched(held, index) if held.may_be(index, FragmentKind.BEGINNING) else None
        confidence, record = part.confidence, held.piece(index)
        if confidence is Confidence.CERTAIN and self._may_be_crossed(held, index):
            if not self._habits.is_usual(record):
                return None
            confidence = Confidence.LIKELY
        return Recovered(confidence, part.method, (held.source(index),), record)

    def _may_be_crossed(self, held: _Held, index: int) -> bool:
        """Whether its halves may be those of two records: before it one lacks its end, behind it one its beginning."""
        return self._last_cut >= held.place.line - WINDOW_LINES and any(self._ends(held, index))

    def _stitched(self, held: _Held, index: int) -> Recovered | None:
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

    def _ends(self, held: _Held, index: int) -> Iterator[_Piece]:
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
