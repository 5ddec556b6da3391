"""What salvage finds: records with their sources, and pieces that are not records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from auditwatch.salvage.dissect import Confidence, FragmentKind, Method
from auditwatch.trail.kinds import Kind


@dataclass(frozen=True, slots=True)
class Source:
    """Where bytes are in the trail: number of the line, offset in the file, number of bytes."""

    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class RecoveredRecord:
    """One record, with its bytes as they are in the trail."""

    confidence: Confidence
    method: Method
    sources: tuple[Source, ...]
    record: bytes


@dataclass(frozen=True, slots=True)
class Leftover:
    """A piece of a damaged line that is not a record.

    Attributes:
        kind: What is known about the piece.
        line_kind: What is wrong with its line.
        source: Where it is.
        data: Its bytes; None for NUL bytes and for lines that are too long to be held.
    """

    kind: FragmentKind
    line_kind: Kind
    source: Source
    data: bytes | None


class Sink(Protocol):
    """Takes the results, in the order of the trail."""

    def recovered(self, found: RecoveredRecord) -> None:
        """Take one record."""

    def leftover(self, left: Leftover) -> None:
        """Take one piece that is not a record."""

    def replaced(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        """Take the records found in the damaged line from `start` to `end` (newline included), or begun in it."""
