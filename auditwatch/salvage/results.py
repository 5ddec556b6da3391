"""What salvage gives: records with their sources, and the pieces that are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from auditwatch.salvage.dissect import Confidence, FragmentKind, Method
from auditwatch.trail.kinds import Kind


@dataclass(frozen=True, slots=True)
class Source:
    """Where bytes lie in the trail: number of the line, offset in the file, number of bytes."""

    line: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class RecoveredRecord:
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


class Sink(Protocol):
    """Takes what comes out, in the order of the trail."""

    def recovered(self, found: RecoveredRecord) -> None:
        """One record."""

    def leftover(self, left: Leftover) -> None:
        """One piece that is no record."""

    def replaced(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        """The damaged line from `start` to `end`, its newline included, is done: this is what it held, or began."""
