"""Recover records from the damaged lines of an open trail: read it once to learn its habits, once more to salvage.

The trail is never held as a whole: memory contains one batch of lines and a window of damaged ones, in which records
in two pieces are put together.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from auditwatch.errors import Unreadable
from auditwatch.files.reading import Progress, read_chunks
from auditwatch.salvage.habits import HabitCounter, Habits
from auditwatch.salvage.lines import Batch, LineReader
from auditwatch.salvage.results import Sink, Source
from auditwatch.salvage.window import DamagedLine, Window
from auditwatch.trail.grid import GridDigest
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first reading learned.

    Attributes:
        size: Bytes that were read; the file may have grown since.
        sha256: SHA-256 over all of them.
        digest: The digest of the file, pending bytes excluded.
        habits: Habits of the trail's whole records.
        lines: Number of newline-ended lines.
        records: Number of whole lines.
        by_kind: Number of damaged lines of each kind.
        pending_bytes: Bytes after the last newline that were left alone.
    """

    size: int
    sha256: str
    digest: str
    habits: Habits
    lines: int
    records: int
    by_kind: dict[Kind, int]
    pending_bytes: int


def survey(
    descriptor: int, size: int, rules: Rules, *, final: bool = False, on_progress: Progress | None = None
) -> Survey:
    """Read the first `size` bytes once.

    Raises:
        Unreadable: io_error, with the offset; changed, if the file is shorter by now.
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
    """Read the surveyed bytes again and pass everything that their damaged lines contain to the sink.

    Raises:
        Unreadable: io_error, with the offset; changed, if these are not the bytes that were surveyed.
    """
    reading = _Reading(descriptor, known.size, rules, final, on_progress, done=known.size)
    window = Window(known.habits, rules, sink)
    for batch in reading.batches():
        places = reading.places(batch) if (damaged := reading.damaged(batch)) else []
        for index, kind in damaged.items():
            body = batch.lines[index] if batch.lines else None
            window.add(DamagedLine(places[index], kind, body))
    window.close()
    if reading.sha256.hexdigest() != known.sha256:
        raise Unreadable("changed", "the file was changed while it was read; try again when it is not being rewritten")


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
        """All lines; finally the bytes after the last newline, if they are final."""
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
        """Where the lines of the batch are, newlines excluded."""
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
