"""A witness remembers the last stamped record that it saw: is that record still there, with the same bytes?

A hash chain cannot show that its own end was cut off. A number and a hash that were noted elsewhere can.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from auditwatch.errors import CutOff, Unreadable
from auditwatch.files.archives import is_archive, unpacked
from auditwatch.files.opening import opened
from auditwatch.files.reading import read_chunks
from auditwatch.trail.kinds import Violation
from auditwatch.trail.stamp import parse_stamp
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.once.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Expected:
    """The record that a witness remembers.

    Attributes:
        seq: Number of the record.
        sha256: 64 hex digits over its line, without the newline.
    """

    seq: int
    sha256: str


Witnessed = Literal["there", "changed", "removed", "cut"]

_VIOLATIONS: dict[str, Violation] = {
    "changed": Violation.REWRITTEN,
    "removed": Violation.SEQUENCE_GAP,
    "cut": Violation.TRUNCATED,
}


def witnessed(outcome: Outcome, segments: Sequence[str], expected: Expected, max_line_bytes: int) -> Outcome:
    """The outcome for a trail, completed with what became of the record.

    Args:
        outcome: The outcome for the same files.
        segments: Paths, oldest first; searched from the last one backwards.
        expected: The record that the witness remembers.
        max_line_bytes: Longer lines are not searched for a stamp.
    """
    if outcome.trouble is not None:
        return outcome
    search = _Search(expected, max_line_bytes)
    try:
        found = search.through(segments)
    except Unreadable as error:
        return replace(outcome, trouble=Trouble.of(error))
    violation = _VIOLATIONS.get(found)
    violations = {**outcome.violations, violation: 1} if violation else outcome.violations
    return replace(outcome, violations=violations, witnessed=(expected.seq, found))


@dataclass(slots=True)
class _Search:
    """Searches for the line with the expected number.

    Attributes:
        latest: The highest number seen so far; 0 before the first.
        other: Whether the number was seen with another hash.
        cut: Why a segment could not be searched to its end; None if all could.
    """

    expected: Expected
    max_line_bytes: int
    latest: int = 0
    other: bool = False
    cut: CutOff | None = None
    _needle: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._needle = b'"_seq":%d,' % self.expected.seq

    def through(self, segments: Sequence[str]) -> Witnessed:
        """What became of the record.

        Raises:
            Unreadable: A segment cannot be read; or the record was not found, and may be where one is cut off.
        """
        for path in reversed(segments):
            if self._is_in_file(path):
                return "there"
        if self.other:
            return "changed"
        if self.cut is not None:
            raise self.cut
        return "removed" if self.latest > self.expected.seq else "cut"

    def _is_in_file(self, path: str) -> bool:
        try:
            return self._is_in(_chunks(path))
        except CutOff as error:
            self.cut = error
            return False

    def _is_in(self, chunks: Iterable[bytes]) -> bool:
        for lines in _whole_lines(chunks, self.max_line_bytes):
            self.latest = max(self.latest, _last_number(lines))
            if self._needle in lines and self._is_among(lines.split(b"\n")):
                return True
        return False

    def _is_among(self, lines: list[bytes]) -> bool:
        for line in lines:
            stamp = parse_stamp(line) if self._needle in line else None
            if stamp is not None and stamp.seq == self.expected.seq:
                if hashlib.sha256(line).hexdigest() == self.expected.sha256:
                    return True
                self.other = True
        return False


def _last_number(lines: bytes) -> int:
    """The number of the last stamped line; 0 if none of these lines is stamped."""
    end = len(lines)
    while (place := lines.rfind(b'"_seq":', 0, end)) >= 0:
        start = lines.rfind(b"\n", 0, place) + 1
        stamp = parse_stamp(lines[start : lines.index(b"\n", place)])
        if stamp is not None:
            return stamp.seq
        end = start
    return 0


def _whole_lines(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The bytes in pieces that end with a newline; of lines that are too long, only the end."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        end = data.rfind(b"\n") + 1
        if end:
            yield data[:end]
        rest = data[max(end, len(data) - most - 1) :]


def _chunks(path: str) -> Iterator[bytes]:
    with opened(path) as descriptor:
        if is_archive(descriptor, path):
            yield from unpacked(descriptor)
        else:
            yield from read_chunks(descriptor, 0, os.fstat(descriptor).st_size)
