"""What an agent recorded about a file, and how the file compares with that."""

from __future__ import annotations

from dataclasses import dataclass

from auditwatch.trail.kinds import Violation
from auditwatch.validation.full import Full, Recorded


@dataclass(frozen=True, slots=True)
class RecordedBlocks:
    """The sealed blocks of a file as an agent last judged them, by the same rules.

    Attributes:
        block: Returns one of them.
        count: How many there are.
        position: Up to where the agent had judged the file.
    """

    block: Recorded
    count: int
    position: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the blocks of a file compare with the recorded ones.

    Attributes:
        recorded: How many blocks were recorded.
        unchanged: How many of them still have the same bytes; these were hashed, not parsed.
        unchanged_bytes: Bytes in the unchanged blocks.
        changed: Numbers of the blocks that have other bytes now.
        is_shorter: Whether the file ends before the place up to which it had been judged.
    """

    recorded: int
    unchanged: int
    unchanged_bytes: int
    changed: tuple[int, ...]
    is_shorter: bool = False

    @property
    def is_as_recorded(self) -> bool:
        """Whether something was recorded, and all of it is still there."""
        return 0 < self.recorded == self.unchanged

    @property
    def violation(self) -> Violation | None:
        """What happened to the recorded history; None if nothing did, or nothing was recorded."""
        if self.recorded == self.unchanged:
            return None
        return Violation.TRUNCATED if self.is_shorter else Violation.REWRITTEN


def compared(recorded: RecordedBlocks, full: Full, size: int) -> Comparison:
    """How a full validation of a file of this size compares with what was recorded."""
    return Comparison(
        recorded.count, full.unchanged, full.unchanged_bytes, tuple(full.changed), size < recorded.position
    )
