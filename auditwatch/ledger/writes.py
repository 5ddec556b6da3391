"""What the writers of a trail counted, as far as it was seen: sums that never fall, and failures nobody took note of.

The counters file is hostile ground like the trail itself. It may be read while it changes, vanish, begin anew or run
backwards; what was seen once stays counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from auditwatch.trail.counters import FAILURES, WAIT_BUCKETS

MOST: Final = 1 << 53
"""No writer counts so far; beyond it a float, which is what metrics are, no longer holds every number."""

MOST_OPEN: Final = 16
"""Failures seen at more moments than these lose the earliest ones; none of them is lost."""

NO_FAILURES: Final = (0,) * len(FAILURES)
NO_WAITS: Final = (0,) * WAIT_BUCKETS

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """What all writers of a trail counted together.

    Attributes:
        stored: Records that were acknowledged.
        failed: Records that were not, by reason in the order of `FAILURES`.
        lock_waits: Stored appends by how long they waited for the locks, as `WAIT_BOUNDS_SECONDS`, more; and those that
            gave up.
    """

    stored: int = 0
    failed: Numbers = NO_FAILURES
    lock_waits: Numbers = NO_WAITS

    def with_each(self, other: Counts, join: Callable[[int, int], int]) -> Counts:
        """Number by number, none above `MOST`.

        >>> Counts(3).with_each(Counts(5), max).stored
        5
        """
        return Counts(
            min(MOST, join(self.stored, other.stored)),
            _joined(self.failed, other.failed, join),
            _joined(self.lock_waits, other.lock_waits, join),
        )

    def beyond(self, seen: Counts) -> Counts:
        """What was counted since; nothing where it ran backwards."""
        return self.with_each(seen, lambda now, then: max(0, now - then))


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed writes that were seen at one moment.

    Attributes:
        seen: When; of several moments put together, the last.
        failed: How many, by reason in the order of `FAILURES`.
    """

    seen: float
    failed: Numbers


@dataclass(frozen=True, slots=True)
class Writes:
    """What is known of a trail's writers over time.

    Attributes:
        id: Of the counters file that was read last, in hex; empty before the first.
        trouble: Why none could be read at the last look; empty where one could.
        seen: The most that this file ever said.
        total: Over all counters files; what the first one held at first sight is in it.
        open: Failures that nobody has taken note of, oldest first.
        acknowledged: Failures that somebody has, by reason.
        last_failure: When a write last failed; 0 = never.
    """

    id: str = ""
    trouble: str = ""
    seen: Counts = Counts()
    total: Counts = Counts()
    open: tuple[Failures, ...] = ()
    acknowledged: Numbers = NO_FAILURES
    last_failure: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether the counters could be read at the last look."""
        return bool(self.id) and not self.trouble

    @property
    def failures_open(self) -> Numbers:
        """Failures that nobody has taken note of, by reason."""
        return _summed(self.open).failed


def with_counts(
    writes: Writes, counters_id: str, counts: Counts, last_failure: float, at: float, *, is_history: bool
) -> Writes:
    """What is known after a counters file was read.

    Args:
        writes: What was known before.
        counters_id: Another one than before means that the counters began anew: all of it is to be added.
        counts: What the file says now. Less than it said before takes nothing back: it was read while it changed.
        last_failure: When a write last failed, as the file says; not believed where that is still to come.
        at: When it was read.
        is_history: Failures that are new here were there at first sight: they are nothing to take note of.
    """
    known = writes.seen if counters_id == writes.id else Counts()
    new = counts.beyond(known)
    return replace(
        writes,
        id=counters_id,
        trouble="",
        seen=counts.with_each(known, max),
        total=writes.total.with_each(new, int.__add__),
        open=writes.open if is_history else _with(writes.open, Failures(at, new.failed)),
        last_failure=max(writes.last_failure, min(last_failure, at)),
    )


def noted(writes: Writes, asked: float) -> Writes:
    """Somebody took note of the failures that had been seen when it was asked; later ones are not meant."""
    taken = tuple(failures for failures in writes.open if failures.seen <= asked)
    left = tuple(failures for failures in writes.open if failures.seen > asked)
    numbers = _joined(writes.acknowledged, _summed(taken).failed, int.__add__)
    return replace(writes, open=left, acknowledged=numbers)


def unnoted(writes: Writes, at: float) -> Writes:
    """Nobody has taken note of anything after all."""
    return replace(writes, open=_with(writes.open, Failures(at, writes.acknowledged)), acknowledged=NO_FAILURES)


def by_reason(failed: Numbers) -> dict[str, int]:
    """Numbers in the order of `FAILURES` under their names, every reason named."""
    return dict(zip(FAILURES, failed, strict=True))


def _with(known: tuple[Failures, ...], more: Failures) -> tuple[Failures, ...]:
    if not any(more.failed):
        return known
    found = (*known, more)
    return found if len(found) <= MOST_OPEN else (_summed(found[:2]), *found[2:])


def _summed(found: tuple[Failures, ...]) -> Failures:
    return reduce(_together, found, Failures(0.0, NO_FAILURES))


def _together(one: Failures, other: Failures) -> Failures:
    return Failures(max(one.seen, other.seen), _joined(one.failed, other.failed, int.__add__))


def _joined(left: Numbers, right: Numbers, join: Callable[[int, int], int]) -> Numbers:
    return tuple(min(MOST, join(a, b)) for a, b in zip(left, right, strict=True))
