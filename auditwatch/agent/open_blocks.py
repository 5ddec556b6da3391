"""What hashes the last block of each segment, from one read to the next: no judged byte is read again for it."""

from __future__ import annotations

from typing import Final

from auditwatch.ledger.blocks import hashed_until
from auditwatch.ledger.segment import Segment
from auditwatch.trail.grid import BlockHasher

MOST_HASHERS: Final = 8
"""For so many segments; late appends to others have their last block read again, which takes 2 ms."""


class OpenBlocks:
    """The hashers of one trail's segments. Belongs to the agent's loop."""

    def __init__(self) -> None:
        self._hashers: dict[int, BlockHasher] = {}

    def of(self, segment: Segment) -> BlockHasher | None:
        """A copy of what was fed exactly what is remembered of a segment; None if there is none.

        A copy, because a call that hangs may still feed it while another one is made.
        """
        hasher = self._hashers.get(segment.number)
        is_right = hasher is not None and hasher.continues(segment.open_block, hashed_until(segment))
        return hasher.copy() if hasher and is_right else None

    def keep(self, number: int, hasher: BlockHasher | None) -> None:
        """Remember what was fed the judged bytes of the last block of a segment, instead of what was before."""
        self._hashers.pop(number, None)
        if hasher is not None:
            self._hashers[number] = hasher
        if len(self._hashers) > MOST_HASHERS:
            del self._hashers[next(iter(self._hashers))]
