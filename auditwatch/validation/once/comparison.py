"""What an agent recorded about a file, and how the file compares with that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditwatch.files.reading import fingerprint
from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.kinds import Violation
from auditwatch.validation.full import Full, Recorded


@dataclass(frozen=True, slots=True)
class RecordedBlocks:
    """The sealed blocks of a file as an agent last judged them, by the same rules.

    Attributes:
        block: Returns one of them.
        count: How many there are.
        position: Up to where the agent had judged the file.
        history: Digests of what it had judged, no matter by which rules.
    """

    block: Recorded
    count: int
    position: int = 0
    history: tuple[BlockDigest, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the blocks of a file compare with the recorded ones.

    Attributes:
        recorded: How many blocks were recorded.
        unchanged: How many of them still have the same bytes; these were hashed, not parsed.
        unchanged_bytes: Bytes in the unchanged blocks.
        changed: Numbers of the blocks that have other bytes now.
        is_shorter: Whether the file ends before the place up to which it had been judged.
        history: How many bytes of recorded history were compared.
        rewritten: What of it is not there any more.
    """

    recorded: int
    unchanged: int
    unchanged_bytes: int
    changed: tuple[int, ...]
    is_shorter: bool = False
    history: int = 0
    rewritten: tuple[BlockDigest, ...] = ()

    @property
    def is_as_recorded(self) -> bool:
        """Whether something was recorded, and all of it is still there."""
        return self.history > 0 and self.violation is None

    @property
    def violation(self) -> Violation | None:
        """What happened to the recorded history; None if nothing did, or nothing was recorded."""
        if self.is_shorter:
            return Violation.TRUNCATED
        return Violation.REWRITTEN if self.rewritten else None


def compared(recorded: RecordedBlocks, full: Full, size: int, rewritten: tuple[BlockDigest, ...]) -> Comparison:
    """How a full validation of a file of this size compares with what was recorded."""
    return Comparison(
        recorded=recorded.count,
        unchanged=full.unchanged,
        unchanged_bytes=full.unchanged_bytes,
        changed=tuple(full.changed),
        is_shorter=size < recorded.position,
        history=sum(block.end - block.start for block in recorded.history),
        rewritten=rewritten,
    )


def rewritten_in(
    descriptor: int, history: Iterable[BlockDigest], seen: Mapping[tuple[int, int], bytes]
) -> tuple[BlockDigest, ...]:
    """What of a recorded history is not in a file any more.

    Args:
        descriptor: Of the file.
        history: Digests of what was judged.
        seen: Digests that are known already, by start and end; the others are read.

    Raises:
        Unreadable: The file cannot be read.
    """
    return tuple(block for block in history if block.digest and _digest(descriptor, block, seen).hex() != block.digest)


def _digest(descriptor: int, block: BlockDigest, seen: Mapping[tuple[int, int], bytes]) -> bytes:
    known = seen.get((block.start, block.end))
    return known if known is not None else fingerprint(descriptor, block.start, block.end - block.start)
