"""When the blocks of one segment were last hashed, what stirred its file since, and how urgent it is to hash again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Final

from auditwatch.agent.probes import Glance
from auditwatch.ledger.blocks import blocks_of, hashed_until
from auditwatch.ledger.events import Rehash
from auditwatch.ledger.segment import Segment
from auditwatch.trail.grid import BlockDigest

TURN_BYTES: Final = 100_000_000
"""A segment up to this size is hashed whole; a larger one in turns of as much."""

REHASH_AGAIN_SECONDS: Final = 9.0
"""How soon a segment is hashed again while its file stirs: an edit is to be named within ten seconds."""

STIRRING_SECONDS: Final = 60.0
"""How long after its last change a file stirs. The kernel writes a changed page back within 35 s, and until then a
program that has mapped it can change it again without a trace in its times."""

EARLY: Final = 0.75
"""A block is hashed again after this share of the time that its owner wants, so that there is time to do it in."""

_AT_ONCE: Final = 1e6
_SOON: Final = 1.5
_IF_IDLE: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Hashed:
    """When a block was last hashed, and when it was last as remembered.

    Attributes:
        moment: When it was hashed, by the monotonic clock; minus infinity before the start.
    """

    at: float
    same: float
    moment: float = float("-inf")


@dataclass(slots=True)
class ProofTimes:
    """What is known about hashing one segment again.

    Attributes:
        oldest: When the block was hashed that was not for the longest time; seconds since 1970.
        known_until: Blocks that begin before this were judged before the agent started, or nobody knows when.
        asked: Blocks that were hashed before this are to be hashed as soon as possible, by the monotonic clock.
        turned: When the last turn began, by the monotonic clock; None before the first.
        unpacked: Inode of the compressed file whose content was compared with what was judged; 0 = none.
    """

    oldest: float
    known_until: int = 0
    asked: float = float("-inf")
    turned: float | None = None
    unpacked: int = 0
    _moment: float = float("-inf")
    _settled_at: float = float("-inf")
    _stirred: float = float("-inf")
    _is_moved: bool = False
    _seen: Glance | None = None
    _name: str = ""
    _hashed: dict[int, _Hashed] = field(default_factory=dict)

    def note(self, seen: Glance, name: str, monotonic: float) -> None:
        """Take what `stat` said of the file."""
        before, self._seen = self._seen, seen
        if seen != before:
            self._stirred = monotonic
            self._is_moved |= before is not None and is_moved(before, seen, is_renamed=name != self._name)
        self._name = name

    def settle(self, monotonic: float) -> None:
        """Ask for what the file's times make necessary, at most once in a while."""
        if self._is_moved and monotonic - self._settled_at >= REHASH_AGAIN_SECONDS:
            self._is_moved, self._settled_at = False, monotonic
            self.ask(monotonic)

    def ask(self, monotonic: float) -> None:
        """Have every block hashed as soon as possible."""
        self.asked = monotonic

    def give_up(self, monotonic: float) -> None:
        """Something could not be hashed now: try again after a while."""
        self.asked, self._stirred = float("-inf"), monotonic

    @property
    def is_asked(self) -> bool:
        """Whether blocks are to be hashed as soon as possible."""
        return self._moment < self.asked

    def may_turn(self, monotonic: float) -> bool:
        """Whether the last turn is long enough ago for another one."""
        return self.turned is None or monotonic - self.turned >= REHASH_AGAIN_SECONDS

    def urgency(self, segment: Segment, now: float, monotonic: float, goal_seconds: float) -> float:
        """How urgent the next turn is: 0 not at all, below 1 if there is nothing else to do."""
        is_small = segment_bytes(segment) <= TURN_BYTES
        if self.is_asked:
            return _AT_ONCE if is_small else _SOON
        waited = monotonic - (self.turned if self.turned is not None else float("-inf"))
        stirs = monotonic - self._stirred < STIRRING_SECONDS and self.may_turn(monotonic)
        late = max(0.0, now - self.oldest) / (EARLY * goal_seconds)
        if stirs and is_small:
            return max(waited / REHASH_AGAIN_SECONDS, late)
        return late if late >= 1 else _IF_IDLE * stirs

    def due(self, segment: Segment) -> list[BlockDigest]:
        """The blocks of the next turn: those that were not hashed for the longest time, of these the newest first."""
        blocks = blocks_of(segment)
        asked = [block for block in blocks if self._known(block, 0.0, float("inf")).moment < self.asked]
        oldest_first = sorted(asked or blocks, key=lambda block: (self._at(block, float("inf")), -block.start))
        sizes = accumulate(block.end - block.start for block in oldest_first)
        due = [block for block, size in zip(oldest_first, sizes, strict=True) if size <= TURN_BYTES]
        return sorted(due or oldest_first[:1], key=lambda block: block.start)

    def since(self, block: BlockDigest, now: float) -> float:
        """When the bytes of a block were last as remembered; those judged since the last turn are so now."""
        found = self._hashed.get(block.start)
        return found.same if found else self._at(block, now)

    def hashed(self, segment: Segment, found: Sequence[Rehash], at: float, monotonic: float) -> None:
        """These blocks were hashed; blocks of which nothing is known were judged since the last turn."""
        fresh = {one.block.start: _Hashed(at, one.since if _is_changed(one) else at, monotonic) for one in found}
        self._hashed = {b.start: fresh.get(b.start) or self._known(b, at, monotonic) for b in blocks_of(segment)}
        self.oldest = min((hashed.at for hashed in self._hashed.values()), default=at)
        self._moment = min((hashed.moment for hashed in self._hashed.values()), default=monotonic)

    def _known(self, block: BlockDigest, at: float, monotonic: float) -> _Hashed:
        if found := self._hashed.get(block.start):
            return found
        is_old = block.start < self.known_until
        return _Hashed(self.oldest, self.oldest) if is_old else _Hashed(at, at, monotonic)

    def _at(self, block: BlockDigest, else_at: float) -> float:
        """When a block was hashed; `else_at` if it was judged since the last turn."""
        found = self._hashed.get(block.start)
        return found.at if found else self.oldest if block.start < self.known_until else else_at


def _is_changed(one: Rehash) -> bool:
    return bool(one.block.digest) and one.found != one.block.digest


def segment_bytes(segment: Segment) -> int:
    """Bytes to hash in all."""
    return segment.packed or segment.anchor.position


def is_unknown(segment: Segment) -> bool:
    """Whether digests are missing: of a compressed file that is new, or of lines that an earlier version judged."""
    return not segment.archive if segment.packed else hashed_until(segment) < segment.anchor.position


def is_moved(before: Glance, now: Glance, *, is_renamed: bool) -> bool:
    """Whether the times of a file moved without growth, and without a rename, link, mode or owner to explain it."""
    if (before.size, before.inode, before.device) != (now.size, now.inode, now.device):
        return False
    if now.modified_ns != before.modified_ns:
        return True
    explained = replace(before, changed_ns=now.changed_ns) != now
    return now.changed_ns != before.changed_ns and not explained and not is_renamed
