"""Damage as it is remembered: findings, violations, their acknowledgements and their counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from auditwatch.trail.kinds import Kind, Violation


class FindingState(StrEnum):
    """Where a finding is in its lifecycle."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SUPERSEDED = "superseded"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who acknowledged a finding or violation, when and why."""

    at: float
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One damaged line of a segment, from its discovery on.

    Attributes:
        id: See `auditwatch.trail.ids.finding_id`.
        line: Number of the line in its segment, from 1; a torn tail is lines + 1.
        offset: Offset of its first byte in the segment.
        length: Bytes before the newline.
        inherited: Whether it was there when the agent first looked at the trail.
        step: The step of its trail that opened it, for the first time or again.
    """

    id: str
    line: int
    offset: int
    length: int
    kind: Kind
    sha256: str
    records_inside: int
    inherited: bool
    first_seen: float
    last_seen: float
    state: FindingState = FindingState.OPEN
    acknowledgement: Acknowledgement | None = None
    step: int = 0


@dataclass(frozen=True, slots=True)
class NamedBlock:
    """A block that a violation names: what was remembered of it, and what was found instead.

    Attributes:
        segment: Number of its segment.
        recorded: Digest of the bytes that were judged.
        found: Digest of what is there; acknowledging the violation accepts this, and nothing else.
    """

    segment: int
    start: int
    end: int
    recorded: str
    found: str


@dataclass(frozen=True, slots=True)
class ViolationRow:
    """One violation of order or history; open until acknowledged.

    Attributes:
        id: See `auditwatch.trail.ids.violation_id`.
        kind: Which violation.
        segment: Name of the file in which it was seen.
        detail: One line for people: sizes and positions, never contents.
        seen: When it was confirmed.
        count: How often it was confirmed: what the same cause does while it is open, opens no other one.
        latest: The detail of its newest occurrence; empty as long as there was only one.
        latest_segment: Where that was; empty in the same case.
        latest_seen: When that was confirmed; 0 in the same case.
        step: The step of its trail that opened it or last changed it while it was open; `advance` sets it.
        named: Blocks whose bytes are not those that were judged.
    """

    id: str
    kind: Violation
    segment: str
    detail: str
    seen: float
    acknowledgement: Acknowledgement | None = None
    count: int = 1
    latest: str = ""
    latest_segment: str = ""
    latest_seen: float = 0.0
    step: int = 0
    named: tuple[NamedBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """How many damaged lines of one kind there are.

    Attributes:
        open: Open ones, inherited ones included.
        inherited: The part of `open` that was there at the first look.
        acknowledged: Acknowledged ones; they are not part of `open`.
    """

    open: int = 0
    inherited: int = 0
    acknowledged: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.open + other.open,
            self.inherited + other.inherited,
            self.acknowledged + other.acknowledged,
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """Unlisted damaged lines that one step opened; if several steps were put together, the last of them.

    Attributes:
        step: Number of the step of their trail.
        counts: How many of each kind, and how many of these are inherited; none of them is acknowledged.
    """

    step: int
    counts: Mapping[Kind, Tally]


@dataclass(frozen=True, slots=True)
class Rebaseline:
    """What lay at a trail's path was taken as its new history.

    Attributes:
        at: When.
        by: Who asked for it.
        reason: Why.
        proof: One line for people: what of the former history is still there, as far as that could be proved.
        violations: How many violations of history were acknowledged with it.
    """

    at: float
    by: str
    reason: str
    proof: str
    violations: int
