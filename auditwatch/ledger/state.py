"""Everything that is known about one trail, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from auditwatch.ledger.writes import Writes
from auditwatch.trail.kinds import HYGIENE, Kind, Violation
from auditwatch.trail.verdict import Trouble

MAX_LISTED: Final = 10_000
"""Most living findings that a segment lists; further damaged lines are *unlisted*: counted by kind."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """BLAKE3-256 of a few bytes, together with their number: short files must be comparable too.

    Attributes:
        length: Number of bytes, 0 to 4096.
        digest: 64 hex digits.
    """

    length: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What we remember of a segment's bytes, no matter by which rules its lines are judged.

    Attributes:
        position: Offset just after the last line that was ever judged; it never falls while the file is the same.
        head: Fingerprint of the first min(4096, position) bytes.
        marker: Fingerprint of the last min(4096, position) bytes before that position.
    """

    position: int = 0
    head: Fingerprint = Fingerprint()
    marker: Fingerprint = Fingerprint()


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


@dataclass(frozen=True, slots=True)
class ViolationRow:
    """One violation of order or history; open until acknowledged.

    Attributes:
        id: See `auditwatch.trail.ids.violation_id`.
        kind: Which violation.
        segment: Name of the file in which it was seen.
        detail: One line for people: sizes and positions, never contents.
        seen: When it was confirmed.
    """

    id: str
    kind: Violation
    segment: str
    detail: str
    seen: float
    acknowledgement: Acknowledgement | None = None


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
class TornTail:
    """The last bytes of a closed segment, without a newline, after they were judged as final.

    Attributes:
        offset: Offset of the first of them; it becomes the judged position again if the segment grows after all.
        is_listed: Whether they are a finding; if not, they are part of the unlisted damage.
    """

    offset: int
    is_listed: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a trail and what is known about its bytes.

    `judged <= read <= size`: bytes before `judged` are verified, bytes from there to `read` contain no newline
    (pending), and the rest was not read yet (unverified).

    Attributes:
        number: Identity within the state; given once, never reused.
        name: File name as last seen.
        device: A hint only, like `inode`: both are reused.
        size: Size in bytes as last seen.
        modified: Modification time as last seen.
        judged: Every line that ends before this position has its verdict.
        read: How far the file was read.
        lines: Newline-ended lines before `judged`.
        inherited_until: Lines that end at or before this position were there at the first look.
        counted_until: Bytes before this position do not count as appended: they are history, or were counted already.
        anchor: What identifies this file by its content; it outlives the verdicts.
        grown: When a look last showed a new size.
        unverified_since: When the oldest unverified byte was seen; None if there is none.
        closed: Whether the segment was rotated away.
        vanished: Whether the file is gone; its findings stay until they are acknowledged.
        torn_tail: The last bytes without a newline, once they were judged as final.
        findings: In order of offset, at most `Policy.max_listed`; dead ones are kept while there is room for them.
        unlisted: Counts of damaged lines for which `findings` had no room.
        unlisted_ranges: Ranges of bytes with unlisted lines, in order; each damaged line in them is listed or counted.
        born_ns: Hint only: when its file was born; 0 if that is not known.
        packed: Bytes of its file if that is compressed, else 0; every other place and size is in its content then.
    """

    number: int
    name: str
    device: int
    inode: int
    size: int
    modified: float
    judged: int = 0
    read: int = 0
    lines: int = 0
    inherited_until: int = 0
    counted_until: int = 0
    anchor: Anchor = Anchor()
    grown: float = 0.0
    unverified_since: float | None = None
    closed: bool = False
    vanished: bool = False
    torn_tail: TornTail | None = None
    findings: tuple[Finding, ...] = ()
    unlisted: Mapping[Kind, Tally] = field(default_factory=dict)
    unlisted_ranges: tuple[tuple[int, int], ...] = ()
    packed: int = 0
    born_ns: int = 0

    def unjudged(self) -> Segment:
        """The segment, to be judged again from its start; its findings stay until the new verdicts are known."""
        return replace(
            self,
            judged=0,
            read=0,
            lines=0,
            torn_tail=None,
            unlisted={},
            unlisted_ranges=(),
        )

    @property
    def pending(self) -> int:
        """Bytes that were read and still lack their newline."""
        return self.read - self.judged

    @property
    def unverified(self) -> int:
        """Bytes that were seen but not read yet."""
        return self.size - self.read

    @property
    def is_catching_up(self) -> bool:
        """Whether history is still being read, for the first time or again."""
        return self.read < self.counted_until and self.read < self.size


class Standing(StrEnum):
    """What the last look said about a trail's active file."""

    UNSEEN = "unseen"
    PRESENT = "present"
    MISSING = "missing"
    ROTATED = "rotated"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A violation of history that was seen once; a second look with the same result confirms it."""

    kind: Violation
    detail: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration decides for the ledger; given anew at each start, never stored.

    Attributes:
        rules_id: `Rules.reports_id` of the rules that lines are judged by now.
        pending_grace_seconds: How long a closed segment must not have grown before its tail is judged torn.
        read_bytes: Most bytes that one read effect asks for.
        max_listed: Most living findings that a segment lists.
    """

    rules_id: str
    pending_grace_seconds: float = 30.0
    read_bytes: int = 16 << 20
    max_listed: int = MAX_LISTED


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
        appended_bytes: Judged growth since the first look; the same for `appended_lines`.
        last_append: When growth was last seen; 0 before.
        rotations: Number of rotations since the first look.
        detected: Damaged lines found since the first look, by kind, without inherited ones.
        last_corrupt: When a line of each kind was last found.
        violations: All violations, acknowledged ones too.
        writes: What the writers counted.
        writes_note: Who last acknowledged failed writes; None if that never happened or was undone.
        suspicion: A violation that was seen once.
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

    def segment(self, number: int) -> Segment | None:
        """The segment with this number, active or closed."""
        return next((segment for segment in self.segments if segment.number == number), None)

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
        return tuple(segment for segment in self.segments if not segment.vanished)

    @property
    def is_up(self) -> bool:
        """Whether the trail is readable, or was rotated away and the next file is awaited."""
        return self.standing in (Standing.PRESENT, Standing.ROTATED)

    @property
    def catching_up(self) -> float | None:
        """How much of the trail has been read, 0 to 1, while history is being read; None once all of it has."""
        if not any(segment.is_catching_up for segment in self.files):
            return None
        return sum(segment.read for segment in self.files) / sum(segment.size for segment in self.files)

    def tallies(self) -> dict[Kind, Tally]:
        """Damaged lines by kind over all segments; every kind is there."""
        totals = dict.fromkeys(Kind, Tally())
        for segment in self.segments:
            for kind, tally in tallied(segment).items():
                totals[kind] += tally
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
    state = replace(state, policy=policy, suspicion=None)
    if state.rules_id == policy.rules_id:
        return state
    closed = tuple(_judged_anew(segment) for segment in state.closed)
    active = _judged_anew(state.active) if state.active else None
    return replace(state, rules_id=policy.rules_id, closed=closed, active=active)


def _judged_anew(segment: Segment) -> Segment:
    """The segment, to be judged again by other rules; pending bytes do not become history.

    Once all history was read, what followed it was pending, and a writer may take that back.
    """
    edge = segment.counted_until if segment.is_catching_up else segment.judged
    return replace(
        segment.unjudged(),
        counted_until=min(segment.counted_until, edge),
        inherited_until=min(segment.inherited_until, edge),
    )


def tallied(segment: Segment) -> dict[Kind, Tally]:
    """Damaged lines of one segment by kind, with only the kinds that occur."""
    totals = dict(segment.unlisted)
    for finding in segment.findings:
        if finding.state in (FindingState.OPEN, FindingState.ACKNOWLEDGED):
            totals[finding.kind] = totals.get(finding.kind, Tally()) + _one(finding)
    return totals


def _one(finding: Finding) -> Tally:
    if finding.state is FindingState.ACKNOWLEDGED:
        return Tally(acknowledged=1)
    return Tally(open=1, inherited=int(finding.inherited))
