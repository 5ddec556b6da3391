"""What a file still holds of a recorded history after bytes at its start were dropped: a planned compaction.

The marker, the last bytes that had been judged, is searched in the file. Where it is found, it says by how much
everything moved, and whatever else was recorded can be compared there: whole blocks by their digests, and the sampled
lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from auditwatch.agent.prober import Prober
from auditwatch.files.reading import fingerprint, reader
from auditwatch.ledger.segment import Fingerprint, Former
from auditwatch.trail.sketch import still_in_place
from auditwatch.trail.words import count_text

MARKER_SEARCH_BYTES: Final = 64 << 20
"""How far back the marker is searched: only what was appended since the compaction comes after it."""

_STEP_BYTES: Final = 4 << 20
"""How much is searched at once: the prober has other trails to look at."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a recorded history.

    Attributes:
        dropped: Bytes that are missing at its start.
        rest: Recorded bytes after these.
        proved: How many of them were compared with a digest, and are equal.
        lines: How many sampled lines of the rest are where they should be.
        sampled: How many sampled lines the rest has.
    """

    dropped: int
    rest: int
    proved: int
    lines: int
    sampled: int

    @property
    def sentence(self) -> str:
        """What was proved, for people."""
        dropped = f"{count_text(self.dropped, 'byte')} of the start dropped" if self.dropped else "nothing dropped"
        if self.proved == self.rest:
            return f"{dropped}; the other {count_text(self.rest, 'recorded byte')} are as recorded"
        changed = self.sampled - self.lines
        rest = f"of the other {count_text(self.rest, 'recorded byte')} {self.proved:,} are proved to be as recorded"
        sample = f"{self.lines} of {count_text(self.sampled, 'sampled line')} are where they should be"
        return f"{dropped}; {rest}, {sample}{', so something else was changed as well' if changed else ''}"


async def kept_of(former: Former, descriptor: int, prober: Prober) -> Kept | None:
    """What a file holds of a former history; None if its marker is not there.

    Args:
        former: What was recorded.
        descriptor: Of the file.
        prober: Of the file's volume.

    Raises:
        Unreadable: It cannot be read.
    """
    anchor = former.anchor
    size = (await prober.call(os.fstat, descriptor)).st_size
    end = await _marker_end(anchor.marker, descriptor, min(size, anchor.position), prober)
    if end is None:
        return None
    dropped = anchor.position - end
    proved = [(anchor.position - anchor.marker.length, anchor.position)]
    for block in former.blocks:
        if dropped <= block.start:
            length = block.end - block.start
            if (await prober.call(fingerprint, descriptor, block.start - dropped, length)).hex() == block.digest:
                proved.append((block.start, block.end))
    lines, sampled = await prober.call(still_in_place, former.sketch, reader(descriptor), end, dropped)
    return Kept(dropped, end, _covered(proved), lines, sampled)


async def _marker_end(marker: Fingerprint, descriptor: int, end: int, prober: Prober) -> int | None:
    """Where the last occurrence of the marker before `end` ends."""
    lowest = max(marker.length, end - MARKER_SEARCH_BYTES)
    while end >= lowest:
        begin = max(lowest, end - _STEP_BYTES + 1)
        found = await prober.call(last_print, descriptor, marker, begin, end)
        if found is not None:
            return found
        end = begin - 1
    return None


def last_print(descriptor: int, marker: Fingerprint, begin: int, end: int) -> int | None:
    """The last place from `begin` to `end` where a line ends and the bytes before it have this fingerprint."""
    first = begin - marker.length
    data = reader(descriptor)(first, end - first)
    place = data.rfind(b"\n") + 1
    while place >= marker.length and place > 0:
        if blake3(memoryview(data)[place - marker.length : place]).hexdigest() == marker.digest:
            return first + place
        place = data.rfind(b"\n", 0, place - 1) + 1
    return None


def _covered(ranges: Iterable[tuple[int, int]]) -> int:
    """How many bytes lie in any of the ranges."""
    total, reached = 0, 0
    for low, high in sorted(ranges):
        total += max(0, high - max(low, reached))
        reached = max(reached, high)
    return total
