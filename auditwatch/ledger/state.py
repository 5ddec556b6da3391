"""Everything that is known about one trail, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, cast

from auditwatch.ledger.damage import Acknowledgement, Rebaseline, Tally, ViolationRow
from auditwatch.ledger.segment import Former, Segment
from auditwatch.ledger.sums import Closed, Sums, add_tallies, sums_of
from auditwatch.ledger.writes import Writes
from auditwatch.trail.kinds import HYGIENE, Kind, Violation
from auditwatch.trail.verdict import Trouble

MAX_LISTED: Final = 10_000
"""Most living findings that a segment lists; further damaged lines are *unlisted*: counted by kind."""


class Standing(StrEnum):
    """What the last look said about a trail's active file."""

    UNSEEN = "unseen"
    PRESENT = "present"
    MISSING = "missing"
    ROTATED = "rotated"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A violation of history that was seen once; a second look with the same result confirms it.

    Attributes:
        since: When it was first seen.
        patience_seconds: How long it must have been seen.
        is_accepted: Whether the owner of the trail says that this is how it is rotated.
    """

    kind: Violation
    detail: str
    since: float = 0.0
    patience_seconds: float = 0.0
    is_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """A block that did not have the remembered digest once; a second look with the same result confirms it.

    Attributes:
        segment: Number of the segment.
        start: Where the block begins.
        at: When that was seen.
        since: When its bytes were last known to be as remembered.
    """

    segment: int
    start: int
    at: float
    since: float


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration decides for the ledger; given anew at each start, never stored.

    Attributes:
        rules_id: `Rules.reports_id` of the rules that lines are judged by now.
        pending_grace_seconds: How long a closed segment must not have grown before its tail is judged torn.
        read_bytes: Most bytes that one read effect asks for.
        max_listed: Most living findings that a segment lists.
        absence_seconds: How long a file must be missing before it counts as gone.
        keep_seconds: How long the trail's owner keeps closed segments; None if nobody said.
        rotation: How else than by renaming the owner says that the trail is rotated: `copytruncate` or `discard`.
        file_name: Name of the file at the trail's path, without its directory.
    """

    rules_id: str
    pending_grace_seconds: float = 30.0
    read_bytes: int = 16 << 20
    max_listed: int = MAX_LISTED
    absence_seconds: float = 2.0
    keep_seconds: float | None = None
    rotation: str = ""
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class TrailState:
    """Everything that is known about one trail.

    Attributes:
        name: Configured name.
        policy: Given anew at each start.
        rules_id: Id of the rules by which the stored verdicts were made.
        standing: What the last look said about the active file.
        trouble: Why the file could not be looked at, as long as `standing` says so.
        first_seen: When the trail was first looked at, present or not.
        active: The file that producers append to, once seen.
        closed: Segments that were rotated away, oldest first.
        next_number: Number of the next segment.
        copies: Names of compressed files that only repeat a segment that is there: they are in no sum.
        appended_bytes: Judged growth since the first look; the same for `appended_lines`.
        last_append: When growth was last seen; 0 before.
        rotations: Number of rotations since the first look.
        detected: Damaged lines found since the first look, by kind, without inherited ones.
        last_corrupt: When a line of each kind was last found.
        violations: All violations, acknowledged ones too.
        writes: What the writers counted.
        writes_note: Who last acknowledged failed writes; None if that never happened or was undone.
        suspicion: A violation that was seen once.
        directory: Device of the trail's directory as last seen with a file in it; 0 = never.
        expired: Closed segments that retention removed since the first look.
        expired_unread: Those of them that had not been read to their end: their last lines have no verdict.
        rotations_settled: How many there had been when every closed segment was last found.
        are_counts_rising: Whether rotation gives a younger file the higher count; None until that was seen.
        is_resumed: Whether nothing was looked at since the agent started: much may have happened meanwhile.
        step: How many steps were to be stored so far; `advance` counts them. What is opened knows the step that did it.
        unlisted_note: Who last acknowledged unlisted damaged lines; None if that never happened or was undone.
        was_lost: Whether what had been known was lost once: nothing that is found after that is inherited.
        doubts: Blocks that were found changed once.
        former: What was recorded before history was violated, by the violation that opened first; None before one.
        rebaselines: When what lay there was taken as new history, oldest first; the latest `MOST_REBASELINES`.
    """

    name: str
    policy: Policy
    rules_id: str = ""
    standing: Standing = Standing.UNSEEN
    trouble: Trouble | None = None
    first_seen: float = 0.0
    active: Segment | None = None
    closed: tuple[Segment, ...] = ()
    next_number: int = 1
    copies: tuple[str, ...] = ()
    appended_bytes: int = 0
    appended_lines: int = 0
    last_append: float = 0.0
    rotations: int = 0
    detected: Mapping[Kind, int] = field(default_factory=dict)
    last_corrupt: Mapping[Kind, float] = field(default_factory=dict)
    violations: tuple[ViolationRow, ...] = ()
    writes: Writes = field(default_factory=Writes)
    writes_note: Acknowledgement | None = None
    suspicion: Suspicion | None = None
    directory: int = 0
    expired: int = 0
    expired_unread: int = 0
    rotations_settled: int = 0
    are_counts_rising: bool | None = None
    is_resumed: bool = False
    step: int = 0
    unlisted_note: Acknowledgement | None = None
    was_lost: bool = False
    doubts: tuple[Doubt, ...] = ()
    former: Former | None = None
    rebaselines: tuple[Rebaseline, ...] = ()

    def __post_init__(self) -> None:
        """Whatever the closed segments come in, what is summed up over them is kept with them."""
        if not isinstance(self.closed, Closed):
            object.__setattr__(self, "closed", Closed(self.closed))

    @property
    def past(self) -> Closed:
        """The closed segments, with what is summed up over them."""
        return cast("Closed", self.closed)

    def segment(self, number: int) -> Segment | None:
        """The segment with this number, active or closed."""
        if self.active and self.active.number == number:
            return self.active
        return next((segment for segment in self.closed if segment.number == number), None)

    def with_segment(self, segment: Segment) -> TrailState:
        """The state with this segment in place of the one with the same number."""
        if self.active and self.active.number == segment.number:
            return replace(self, active=segment)
        closed = tuple(segment if known.number == segment.number else known for known in self.closed)
        return replace(self, closed=closed)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments that may have findings, vanished ones too; oldest first, the active file last."""
        return (*self.closed, self.active) if self.active else self.closed

    @property
    def files(self) -> tuple[Segment, ...]:
        """The segments whose files exist; oldest first, the active file last."""
        return (*self.past.files, self.active) if self.active else self.past.files

    @property
    def sums(self) -> Sums:
        """Over all segments whose files exist."""
        return self.past.sums + sums_of(self.active) if self.active else self.past.sums

    @property
    def is_settled(self) -> bool:
        """Whether nothing is suspected that a later look has to confirm."""
        return self.suspicion is None and not self.past.missing

    @property
    def is_up(self) -> bool:
        """Whether the trail is readable, or was rotated away and the next file is awaited."""
        return self.standing in (Standing.PRESENT, Standing.ROTATED)

    @property
    def catching_up(self) -> float | None:
        """How much of the trail has been read, 0 to 1, while history is being read; None once all of it has."""
        sums = self.sums
        return sums.read / sums.size if sums.is_catching_up else None

    def tallies(self) -> dict[Kind, Tally]:
        """Damaged lines by kind over all segments; every kind is there."""
        totals = {**dict.fromkeys(Kind, Tally()), **self.past.tallies}
        add_tallies(totals, (self.active,) if self.active else ())
        return totals

    @property
    def damaged_lines(self) -> int:
        """Lines with open damage, hygiene and inherited damage included."""
        return sum(tally.open for tally in self.tallies().values())

    @property
    def paging_lines(self) -> int:
        """Lines with open damage that is neither inherited nor hygiene: the damage that pages."""
        return sum(t.open - t.inherited for kind, t in self.tallies().items() if kind not in HYGIENE)

    @property
    def open_violations(self) -> tuple[ViolationRow, ...]:
        """Violations that are not acknowledged."""
        return tuple(row for row in self.violations if row.acknowledgement is None)


def begin(name: str, policy: Policy) -> TrailState:
    """A trail about which nothing is known yet."""
    return TrailState(name=name, policy=policy, rules_id=policy.rules_id)


def resume(state: TrailState, policy: Policy) -> TrailState:
    """A stored state under today's policy. If the rules changed, everything is judged again; nothing counts twice."""
    state = replace(state, policy=policy, suspicion=None, doubts=(), is_resumed=True)
    if state.rules_id == policy.rules_id:
        return state
    closed = tuple(segment if segment.vanished else _judged_anew(segment) for segment in state.closed)
    active = _judged_anew(state.active) if state.active else None
    return replace(state, rules_id=policy.rules_id, closed=closed, active=active)


def _judged_anew(segment: Segment) -> Segment:
    """The segment, to be judged again by other rules; pending bytes do not become history.

    Once all history was read, what followed it was pending, and a writer may take that back. Of a file that is gone,
    what was counted stays: nobody can count it again.
    """
    edge = segment.counted_until if segment.is_catching_up else segment.judged
    anew = segment.unjudged()
    if segment.vanished:
        anew = replace(
            anew,
            unlisted=segment.unlisted,
            unlisted_ranges=segment.unlisted_ranges,
            unlisted_opened=segment.unlisted_opened,
            unlisted_noted=segment.unlisted_noted,
        )
    return replace(
        anew,
        counted_until=min(segment.counted_until, edge),
        inherited_until=min(segment.inherited_until, edge),
    )
