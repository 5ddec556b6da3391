"""Stamping: the number and the hash of the previous line, read from the trail itself under the locks."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Final

from auditwatch.trail.own import Recovered
from auditwatch.trail.stamp import LONGEST_STAMP, NOTHING_BEFORE, STAMP, Stamp, format_stamp
from auditwatch.writer import predecessors
from auditwatch.writer.tail import FIRST_READ_BYTES, LONGEST_READ_BYTES, last_line_sha256

STAMP_ROOM_BYTES: Final = len(format_stamp(Stamp(10**19 - 1, NOTHING_BEFORE)))
"""How many bytes a stamp adds to a line at most; the brace that it replaces makes up for the comma."""

_SEQ: Final = b'"_seq":'
_STAMPED: Final = re.compile(STAMP + rb"\n")


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a chain continues.

    Attributes:
        seq: The last number that was given out; 0 for none.
        last: Hash of the last line, whatever it is, as 64 hex digits; zeros if there is none.
    """

    seq: int = 0
    last: str = NOTHING_BEFORE

    def stamped(self, lines: list[bytes]) -> tuple[list[bytes], Tip]:
        """The lines with their stamps, and where the chain continues after them."""
        out, tip = [], self
        for line in lines:
            line_stamped, tip = tip.next(line)
            out.append(line_stamped)
        return out, tip

    def next(self, line: bytes) -> tuple[bytes, Tip]:
        r"""One line with its stamp as the last members, and the tip after it.

        >>> Tip().next(b'{"a":1} \n')[0][:29]
        b'{"a":1,"_seq":1,"_prev":"0000'
        """
        members = line.strip()[:-1].rstrip()
        comma = b"" if members == b"{" else b","
        body = members + comma + format_stamp(Stamp(self.seq + 1, self.last))
        return body + b"\n", Tip(self.seq + 1, hashlib.sha256(body).hexdigest())


def read_tip(path: str, descriptor: int, size: int, torn: Recovered | None) -> Tip:
    """Where the chain of a trail continues, from its last lines, in closed segments if necessary.

    Args:
        path: The trail.
        descriptor: Of its active file, which is locked.
        size: Of that file.
        torn: Its torn tail, which is about to become a line.

    Raises:
        OSError: If the active file cannot be read.
    """
    seq = last_seq(descriptor, size)
    last = torn.sha256 if torn is not None else last_line_sha256(descriptor, size)
    if seq is not None and last is not None:
        return Tip(seq, last)
    before = predecessors.tip(path, last_seq)
    return Tip(seq or before.seq or 0, last or before.last_sha256 or NOTHING_BEFORE)


def last_seq(descriptor: int, size: int) -> int | None:
    """The number in the last stamped line of the first `size` bytes; None if there is none.

    Raises:
        OSError: If the file cannot be read.
    """
    end, length = size, FIRST_READ_BYTES
    while end > 0:
        begin = max(0, end - length)
        chunk = os.pread(descriptor, end - begin, begin)
        if (seq := _last_seq_in(chunk)) is not None:
            return seq
        # The next piece overlaps, because a stamp and its newline may lie across the cut.
        end = begin + LONGEST_STAMP if begin > 0 and len(chunk) > LONGEST_STAMP else 0
        length = LONGEST_READ_BYTES
    return None


def _last_seq_in(chunk: bytes) -> int | None:
    """As `last_seq`. It looks from the end for the member's name: a twentieth of the time of finding every stamp."""
    at = len(chunk)
    while (at := chunk.rfind(_SEQ, 0, at)) > 0:
        if stamped := _STAMPED.match(chunk, at - 1):
            return int(stamped[1])
    return None
