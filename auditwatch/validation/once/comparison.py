"""What an agent recorded of a file, and how the file compares with it."""

from __future__ import annotations

from dataclasses import dataclass

from auditwatch.validation.full import Full, Recorded


@dataclass(frozen=True, slots=True)
class RecordedBlocks:
    """The sealed blocks of a file as an agent last judged them, by the same rules.

    Attributes:
        block: Gives one of them.
        count: How many there are.
    """

    block: Recorded
    count: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the blocks of a file compare with recorded ones.

    Attributes:
        recorded: How many were recorded.
        unchanged: How many of them hold the same bytes still; they were hashed and not parsed. Likewise their bytes.
        changed: Numbers of those that hold others.
    """

    recorded: int
    unchanged: int
    unchanged_bytes: int
    changed: tuple[int, ...]

    @property
    def is_as_recorded(self) -> bool:
        """Whether something was recorded, and all of it is there still."""
        return 0 < self.recorded == self.unchanged


def compared(recorded: RecordedBlocks, full: Full) -> Comparison:
    """How a full validation compares with what was recorded."""
    return Comparison(recorded.count, full.unchanged, full.unchanged_bytes, tuple(full.changed))
