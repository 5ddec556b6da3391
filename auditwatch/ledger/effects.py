"""What the ledger wants done, as values."""

from __future__ import annotations

from dataclasses import dataclass

from auditwatch.ledger.state import Finding, TrailState


@dataclass(frozen=True, slots=True)
class Read:
    """Judge the bytes of a segment from `start` to `end` and answer with `Judged`.

    Attributes:
        segment: Number of the segment.
        start: The judged position.
        resume: Between `start` and this no newline was seen last time.
        end: Where to stop.
        final: Whether bytes behind the last newline can no longer be ended.
    """

    segment: int
    start: int
    resume: int
    end: int
    final: bool = False


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Look at the trail again soon, its neighbours too, and answer with `Observed`: one look does not prove it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Store the new state together with these findings, in one transaction.

    Attributes:
        findings: Pairs of segment number and finding: new ones and changed ones.
        dropped: Likewise: dead ones that are forgotten because living ones need their room.
    """

    findings: tuple[tuple[int, Finding], ...] = ()
    dropped: tuple[tuple[int, Finding], ...] = ()


Need = Read | LookAgain
"""What the ledger needs to see next."""

Effect = Need | Commit

Step = tuple[TrailState, tuple[Effect, ...]]
"""The state after an event, and what is to be done about it, in order."""
