"""What the ledger wants to be done, as values."""

from __future__ import annotations

from dataclasses import dataclass

from auditwatch.ledger.damage import Finding
from auditwatch.ledger.state import TrailState


@dataclass(frozen=True, slots=True)
class Read:
    """Judge the bytes of a segment from `start` to `end` and answer with `Judged`.

    Attributes:
        segment: Number of the segment.
        start: The judged position.
        resume: Last time, there was no newline between `start` and this offset.
        end: Where to stop.
        final: Whether bytes after the last newline can no longer be completed.
    """

    segment: int
    start: int
    resume: int
    end: int
    final: bool = False


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Look at the trail and its neighbours again soon and answer with `Observed`: one look is not proof."""


@dataclass(frozen=True, slots=True)
class HashAgain:
    """Hash these blocks once more, as they are remembered then, and answer with `Rehashed`.

    Attributes:
        segment: Number of the segment.
        starts: Where the blocks begin.
        is_content: Whether they are blocks of the content of a compressed segment.
    """

    segment: int
    starts: frozenset[int]
    is_content: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """Judge these bytes once more, which were judged before, and answer with `Reviewed`.

    Attributes:
        segment: Number of the segment.
        start: Where to begin; it may be in the middle of a line by now, and so may `end`.
    """

    segment: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Store the new state together with these findings, in one transaction.

    Attributes:
        findings: Pairs of segment number and finding, new or changed.
        dropped: The same pairs for dead findings, which are forgotten because living ones need their room.
    """

    findings: tuple[tuple[int, Finding], ...] = ()
    dropped: tuple[tuple[int, Finding], ...] = ()


Need = Read | LookAgain | HashAgain | Review
"""What the ledger needs to see next."""

Effect = Need | Commit

Step = tuple[TrailState, tuple[Effect, ...]]
"""The state after an event, and what to do about it, in order."""
