"""Sums over one trail's segments, computed once and shown by every front."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from auditwatch.ledger.damage import Tally
from auditwatch.ledger.state import Standing
from auditwatch.ledger.writes import Writes
from auditwatch.trail.kinds import HYGIENE, Kind, Violation
from auditwatch.trail.verdict import Basis, Trouble, Verdict
from auditwatch.web.snapshot import TrailSnapshot

UNVERIFIED_GRACE_SECONDS: Final = 30.0
"""How long growth may stay unread before the verdict is no longer "whole": a live trail is always a little ahead."""

HUNG: Final = Trouble("hung", "This trail's file system is not responding.")
MISSING: Final = Trouble("missing", "The file does not exist.")


@dataclass(frozen=True, slots=True)
class Facts:
    """One trail and its sums.

    Attributes:
        closed_segments: Number of closed segments; all sums are over the files that are there.
        closed_bytes: Their size.
        verified, unverified, pending: Bytes over all segments; their sum is the size of all segments.
        pending_since: When the pending bytes that wait longest last grew; None when there are none.
        unverified_since: When the oldest unverified byte was seen; None when there is none.
        violations: Open ones by kind, every kind named.
        violations_acknowledged: Acknowledged ones by kind, every kind named.
    """

    trail: TrailSnapshot
    active_bytes: int
    closed_segments: int
    closed_bytes: int
    verified: int
    unverified: int
    pending: int
    pending_since: float | None
    unverified_since: float | None
    tallies: Mapping[Kind, Tally]
    violations: Mapping[Violation, int]
    violations_acknowledged: Mapping[Violation, int]

    @classmethod
    def of(cls, trail: TrailSnapshot) -> Facts:
        """The sums of one trail."""
        state, sums, closed = trail.state, trail.state.sums, trail.state.past.sums
        return cls(
            trail=trail,
            active_bytes=state.active.size if state.active else 0,
            closed_segments=closed.segments,
            closed_bytes=closed.size,
            verified=sums.judged,
            unverified=sums.unverified,
            pending=sums.pending,
            pending_since=sums.pending_since,
            unverified_since=sums.unverified_since,
            tallies=state.tallies(),
            violations=_violations(trail, acknowledged=False),
            violations_acknowledged=_violations(trail, acknowledged=True),
        )

    @property
    def is_up(self) -> bool:
        """Readable, or rotated away while the next file is awaited."""
        return self.trail.state.is_up and self.trail.is_answering

    @property
    def total_bytes(self) -> int:
        """Size of the active file and all closed segments."""
        return self.active_bytes + self.closed_bytes

    @property
    def lines(self) -> int:
        """Judged lines of all segments."""
        return self.trail.state.sums.lines

    @property
    def damage(self) -> Tally:
        """Damaged lines of all kinds, hygiene included."""
        return sum(self.tallies.values(), Tally())

    @property
    def hygiene_open(self) -> int:
        """Open lines of the kinds that never page."""
        return sum(tally.open for kind, tally in self.tallies.items() if kind in HYGIENE)

    @property
    def violations_open(self) -> int:
        """Open violations of order and history."""
        return sum(self.violations.values())

    @property
    def writes(self) -> Writes:
        """What the trail's writers counted."""
        return self.trail.state.writes

    @property
    def failures_open(self) -> int:
        """Records whose write failed, not acknowledged."""
        return sum(self.writes.failures_open)

    @property
    def counters_up(self) -> bool:
        """Whether the writers' counters can be read."""
        return self.writes.is_up and self.trail.is_answering

    @property
    def last_damage(self) -> float:
        """When damage was last found since watching began; 0 = never."""
        return max(self.trail.state.last_corrupt.values(), default=0.0)

    @property
    def catching_up(self) -> float | None:
        """0 to 1 while history is being read, else None."""
        return self.trail.state.catching_up

    @property
    def basis(self) -> tuple[Basis, ...]:
        """What the verdict rests on; nothing before the first look."""
        return (Basis.FORMAT,) if self.trail.state.sums.segments else ()

    def trouble(self) -> Trouble | None:
        """Why the trail cannot be looked at."""
        state = self.trail.state
        if not self.trail.is_answering:
            return HUNG
        return state.trouble or (MISSING if state.standing is Standing.MISSING else None)

    def verdict(self, now: float) -> Verdict:
        """Damage first; whole only if everything that was seen is judged and the trail can be looked at."""
        if self.damage.open or self.violations_open:
            return Verdict.DAMAGED
        if not self.is_up or not self.trail.state.sums.segments or self.catching_up is not None or self._is_late(now):
            return Verdict.UNCHECKED
        return Verdict.WHOLE

    def _is_late(self, now: float) -> bool:
        return self.unverified_since is not None and now - self.unverified_since > UNVERIFIED_GRACE_SECONDS


def _violations(trail: TrailSnapshot, *, acknowledged: bool) -> dict[Violation, int]:
    counts = dict.fromkeys(Violation, 0)
    for row in trail.state.violations:
        if (row.acknowledgement is not None) is acknowledged:
            counts[row.kind] += 1
    return counts
