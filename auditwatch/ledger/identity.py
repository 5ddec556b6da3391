"""Is this still the file we judged? Decided by the bytes; device and inode are hints, because both are reused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.state import Segment, Suspicion
from auditwatch.trail.kinds import Violation

FINGERPRINT_BYTES: Final = 4096
"""Most bytes that the head covers, and the marker too."""

DECISIVE_BYTES: Final = 64
"""A head shorter than this says too little, because many trails begin with the same few bytes: the inode decides."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Where a look at the active file should take its fingerprints, so that they can be compared.

    Attributes:
        head_length: How many first bytes to cover.
        marker_offset: Where the marker begins; it is `marker_length` bytes long.
    """

    head_length: int = 0
    marker_offset: int = 0
    marker_length: int = 0


def expectation(segment: Segment | None) -> Expectation:
    """What a look should compare; nothing if nothing was judged yet."""
    if segment is None:
        return Expectation()
    anchor = segment.anchor
    return Expectation(anchor.head.length, anchor.position - anchor.marker.length, anchor.marker.length)


def is_same_inode(segment: Segment, sight: FileSight) -> bool:
    """Whether device and inode are the ones last seen."""
    return (segment.device, segment.inode) == (sight.device, sight.inode)


def fault(segment: Segment, sight: FileSight) -> Suspicion | None:
    """The first violation of history that shows this is not the file we judged; None if it is.

    A segment of which nothing was judged has no history that could be violated.
    """
    if segment.anchor.position == 0:
        return None
    kind = _violation(segment, sight)
    if kind is None:
        return None
    return Suspicion(kind, f"{sight.size} bytes found where {segment.anchor.position} had been judged")


def _violation(segment: Segment, sight: FileSight) -> Violation | None:
    if sight.size == 0:
        return Violation.EMPTIED
    if not _is_same_head(segment, sight):
        return Violation.REPLACED
    if sight.size < segment.anchor.position:
        return Violation.TRUNCATED if is_same_inode(segment, sight) else Violation.ROLLED_BACK
    if sight.marker != segment.anchor.marker:
        return Violation.REWRITTEN
    return None


def _is_same_head(segment: Segment, sight: FileSight) -> bool:
    if segment.anchor.head.length < DECISIVE_BYTES or sight.head is None:
        return is_same_inode(segment, sight)
    return sight.head == segment.anchor.head


def rotated_to(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    """The neighbour that is this segment under a new name; if several have its bytes, the one with its inode."""
    found = [sight for sight in others if _continues(segment, sight)]
    return next((sight for sight in found if is_same_inode(segment, sight)), found[0] if found else None)


def _continues(segment: Segment, sight: FileSight) -> bool:
    if segment.anchor.position == 0:
        return is_same_inode(segment, sight)
    return _violation(segment, sight) is None


def known_as(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    """The neighbour that is this closed segment, perhaps under a later name; a vanished one must return unchanged."""
    return next((sight for sight in others if is_same_inode(segment, sight) and _fits(segment, sight)), None)


def _fits(segment: Segment, sight: FileSight) -> bool:
    return sight.size == segment.size if segment.vanished else sight.size >= segment.anchor.position
