"""What the writers of a trail counted, as far as we saw it: sums that never fall, and failures to be acknowledged.

The counters file is no more trustworthy than the trail itself. It may be read while it changes, vanish, begin anew or
run backwards; what was seen once stays counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from auditwatch.trail.counters import FAILURES, WAIT_BUCKETS

MOST: Final = 1 << 53
"""No writer counts this far. Metrics are floats, and a float cannot represent every number beyond this."""

MOST_OPEN: Final = 16
"""Most moments at which failures were seen that are kept apart; beyond that the earliest are added together."""

NO_FAILURES: Final = (0,) * len(FAILURES)
NO_WAITS: Final = (0,) * WAIT_BUCKETS

Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """What all writers of a trail together counted.

    Attributes:
        stored: Records that were acknowledged.
        failed: Records that were not, by reason, in the order of `FAILURES`.
        lock_waits: Stored appends by how long they waited for the locks: as in `WAIT_BOUNDS_SECONDS`, more; and last,
            those that gave up.
    """

    stored: int = 0
    failed: Numbers = NO_FAILURES
    lock_waits: Numbers = NO_WAITS

    def with_each(self, other: Counts, join: Callable[[int, int], int]) -> Counts:
        """Both joined number by number; no result is above `MOST`.

        >>> Counts(3).with_each(Counts(5), max).stored
        5
        """
        return Counts(
            min(MOST, join(self.stored, other.stored)),
            _joined(self.failed, other.failed, join),
            _joined(self.lock_waits, other.lock_waits, join),
        )

    def beyond(self, seen: Counts) -> Counts:
        """What was counted since `seen`; zero where the counters ran backwards."""
        return self.with_each(seen, lambda now, then: max(0, now - then))


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed writes that were seen at one moment.

    Attributes:
        seen: When they were seen; if several moments were put together, the last.
        failed: How many failed, by reason, in the order of `FAILURES`.
        step: The step of the trail that opened them; if several were put together, the last.
    """

    seen: float
    failed: Numbers
    step: int = 0


@dataclass(frozen=True, slots=True)
class Writes:
    """What is known of a trail's writers over time.

    Attributes:
        id: Id of the counters file that was read last, in hex; empty before the first.
        trouble: Why no counters file could be read at the last look; empty if one was read.
        seen: The highest counts that this file ever showed.
        total: The sum over all counters files, including what the first one held at the first look.
        open: Failures that are not acknowledged, oldest first.
        acknowledged: Acknowledged failures, by reason.
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
        """Failures that are not acknowledged, by reason."""
        return _summed(self.open).failed


def is_success_alone(before: Writes, after: Writes) -> bool:
    """Whether writers of one counters file stored more, or waited, and nothing else: their file will say so again."""
    return before is after or (
        (before.id, before.trouble, before.open, before.acknowledged, before.last_failure, before.total.failed)
        == (after.id, after.trouble, after.open, after.acknowledged, after.last_failure, after.total.failed)
    )


def with_counts(
    writes: Writes, counters_id: str, counts: Counts, last_failure: float, at: float, *, step: int, is_history: bool
) -> Writes:
    """What is known after a counters file was read.

    Args:
        writes: What was known before.
        counters_id: Id of the file. If it differs from before, the counters began anew, and all of them are added.
        counts: What the file says now. If it is less than before, nothing is taken back: it was read while it changed.
        last_failure: When a write last failed, according to the file; not believed if that is in the future.
        at: When the file was read.
        step: The step of the trail that this is.
        is_history: Whether failures that are new here date from before the first look and need no acknowledgement.
    """
    known = writes.seen if counters_id == writes.id else Counts()
    new = counts.beyond(known)
    return replace(
        writes,
        id=counters_id,
        trouble="",
        seen=counts.with_each(known, max),
        total=writes.total.with_each(new, int.__add__),
        open=writes.open if is_history else _with(writes.open, Failures(at, new.failed, step)),
        last_failure=max(writes.last_failure, min(last_failure, at)),
    )


def noted(writes: Writes, step: int) -> Writes:
    """The failures that were open at the step that the operator saw are acknowledged; later ones stay open."""
    taken = tuple(failures for failures in writes.open if failures.step <= step)
    left = tuple(failures for failures in writes.open if failures.step > step)
    numbers = _joined(writes.acknowledged, _summed(taken).failed, int.__add__)
    return replace(writes, open=left, acknowledged=numbers)


def unnoted(writes: Writes, at: float, step: int) -> Writes:
    """No failure is acknowledged any more: this step opens all of them again."""
    return replace(writes, open=_with(writes.open, Failures(at, writes.acknowledged, step)), acknowledged=NO_FAILURES)


def by_reason(failed: Numbers) -> dict[str, int]:
    """Numbers given in the order of `FAILURES`, by name of the reason; every reason is there."""
    return dict(zip(FAILURES, failed, strict=True))


def _with(known: tuple[Failures, ...], more: Failures) -> tuple[Failures, ...]:
    if not any(more.failed):
        return known
    found = (*known, more)
    return found if len(found) <= MOST_OPEN else (_summed(found[:2]), *found[2:])


def _summed(found: tuple[Failures, ...]) -> Failures:
    return reduce(_together, found, Failures(0.0, NO_FAILURES))


def _together(one: Failures, other: Failures) -> Failures:
    return Failures(
        max(one.seen, other.seen), _joined(one.failed, other.failed, int.__add__), max(one.step, other.step)
    )


def _joined(left: Numbers, right: Numbers, join: Callable[[int, int], int]) -> Numbers:
    return tuple(min(MOST, join(a, b)) for a, b in zip(left, right, strict=True))
