"""Names for damage that are the same on every host and after every loss of state."""

from __future__ import annotations

import hashlib


def finding_id(trail: str, offset: int, sha256: str) -> str:
    """`f` and 10 hex digits over trail, offset in the segment and line hash.

    An id may name several findings (the same bytes at the same offset of two segments); it stands for all.

    >>> finding_id("risk", 12, "00" * 32)
    'fb83f5ce166'
    """
    return "f" + _digest(trail, str(offset), sha256)


def violation_id(trail: str, kind: str, place: str) -> str:
    """`v` and 10 hex digits over trail, kind and place of a violation of order or history."""
    return "v" + _digest(trail, kind, place)


def write_failures_id(trail: str) -> str:
    """`w` and 10 hex digits over the trail, for its failed writes together."""
    return "w" + _digest(trail, "write_failures")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:10]
