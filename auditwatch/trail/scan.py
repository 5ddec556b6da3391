"""A scan is a fold: chunks of bytes go in, one report comes out.

The report is the same no matter how the bytes were cut into chunks. Memory is bounded by `max_line_bytes` and one
chunk.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from auditwatch.trail.judge.explain import records_inside
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.kinds import Kind
from auditwatch.trail.report import MAX_DEFECTS, Defect, Report
from auditwatch.trail.rules import Rules


class Scan:
    r"""Judges the lines of a range of bytes as they arrive.

    >>> scan = Scan(Rules())
    >>> scan.feed(b'{"a":1}\n{"a"')
    >>> scan.feed(b':2}\n{"a":')
    >>> report = scan.finish()
    >>> report.records, report.bytes, report.pending_bytes
    (2, 16, 5)
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._judge = Judge(rules)
        self._carry = _Carry(rules.max_line_bytes)
        self._begin()

    @property
    def pending_bytes(self) -> int:
        """Bytes after the last newline that was fed."""
        return self._carry.length

    @property
    def lines(self) -> int:
        """Newline-ended lines since the last `take`."""
        return self._lines

    def feed(self, chunk: bytes) -> None:
        """Judge the lines that this chunk ends; the rest of it waits for its newline."""
        start, end, view = 0, chunk.rfind(b"\n") + 1, memoryview(chunk)
        if end and self._carry.length:
            start = chunk.index(b"\n") + 1
            self._end_carried(view[: start - 1])
        self._judge_text(chunk, start, end)
        self._carry.add(view[end:])

    def take(self) -> Report:
        """The report on the lines that ended since the last call, with places counted from there; pending bytes stay.

        Reports taken one after the other add up. Their `pending_bytes` is 0: see `Scan.pending_bytes`.
        """
        report = self._report()
        self._begin()
        return report

    def finish(self, final: bool = False) -> Report:
        """The report on everything since the last `take`; nothing may be fed after it.

        Args:
            final: No one can complete the bytes after the last newline any more: they are one torn line.
        """
        if final and self._carry.length:
            body, length, sha256 = self._carry.taken()
            self._torn_tail = 1
            self._add_defect(Kind.TORN, bytes(body), length, sha256)
            self._pass(0, length)
        return self._report(self._carry.length)

    def _begin(self) -> None:
        self._bytes = self._lines = self._records = self._torn_tail = 0
        self._by_kind: Counter[Kind] = Counter()
        self._defects: list[Defect] = []

    def _end_carried(self, piece: memoryview) -> None:
        """Judge the line that begins with the carried bytes and ends with this piece."""
        self._carry.add(piece)
        body, length, sha256 = self._carry.taken()
        if length <= self._rules.max_line_bytes:
            body += b"\n"
            self._judge_text(body, 0, len(body))
            return
        self._add_kind(Kind.OVERSIZE, b"", length, sha256)
        self._pass(1, length + 1)

    def _judge_text(self, text: bytes | bytearray, start: int, end: int) -> None:
        at = start
        for lines, stop, kind in self._judge.stretches(text, start, end):
            if kind is None:
                self._records += lines
            else:
                self._add_kind(kind, bytes(text[at : stop - 1]))
            self._pass(lines, stop - at)
            at = stop

    def _pass(self, lines: int, size: int) -> None:
        self._lines += lines
        self._bytes += size

    def _add_kind(self, kind: Kind, body: bytes, length: int | None = None, sha256: str | None = None) -> None:
        if kind in self._rules.tolerate:
            self._records += 1
        else:
            self._add_defect(kind, body, length, sha256)

    def _add_defect(self, kind: Kind, body: bytes, length: int | None = None, sha256: str | None = None) -> None:
        """Count the next line as damaged, and describe it while there is room."""
        self._by_kind[kind] += 1
        if len(self._defects) < MAX_DEFECTS:
            size = len(body) if length is None else length
            digest = sha256 or hashlib.sha256(body).hexdigest()
            inside = 0 if kind == Kind.OVERSIZE else records_inside(body)  # an oversize line is not always held
            self._defects.append(Defect(self._lines + 1, self._bytes, size, kind, digest, inside))

    def _report(self, pending: int = 0) -> Report:
        by_kind = {kind: self._by_kind[kind] for kind in Kind if kind in self._by_kind}
        return Report(
            bytes=self._bytes,
            lines=self._lines,
            records=self._records,
            by_kind=by_kind,
            defects=tuple(self._defects),
            torn_tail=self._torn_tail,
            pending_bytes=pending,
        )


def scan_all(chunks: Iterable[bytes], rules: Rules, *, final: bool = False) -> Report:
    r"""The report on bytes that come in chunks.

    Args:
        chunks: The bytes, cut anywhere.
        rules: What the lines are judged by.
        final: Whether bytes after the last newline are a torn line.

    >>> scan_all([b'{"a":', b'1}\n{"b"'], Rules()).pending_bytes
    4
    """
    scan = Scan(rules)
    for chunk in chunks:
        scan.feed(chunk)
    return scan.finish(final)


class _Carry:
    """The beginning of a line whose newline has not arrived yet; once it is too long, it is hashed instead of held."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.length = 0
        self._held = bytearray()
        self._hash: hashlib._Hash | None = None

    def add(self, piece: memoryview) -> None:
        """Append bytes that contain no newline."""
        self.length += len(piece)
        if self.length <= self._most:
            self._held += piece
            return
        if self._hash is None:
            self._hash = hashlib.sha256(self._held)
            self._held = bytearray()
        self._hash.update(piece)

    def taken(self) -> tuple[bytearray, int, str | None]:
        """The bytes (none if there are too many to hold), their number, and their hash if they are not held."""
        body = self._held
        length, sha256 = self.length, self._hash.hexdigest() if self._hash else None
        self._clear()
        return body, length, sha256

    def _clear(self) -> None:
        self.length = 0
        self._held = bytearray()
        self._hash = None
