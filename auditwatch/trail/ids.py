"""Ids of findings, violations and write failures: the same on every host, and after the state is lost."""

from __future__ import annotations

import hashlib


def finding_id(trail: str, offset: int, sha256: str) -> str:
    """The id of a finding: `f` and 10 hex digits over trail, offset in the segment and line hash.

    An id may name several findings (the same bytes at the same offset in two segments); it then stands for all of them.

    >>> finding_id("risk", 12, "00" * 32)
    'fb83f5ce166'
    """
    return "f" + _digest(trail, str(offset), sha256)


def violation_id(trail: str, kind: str, place: str) -> str:
    """The id of a violation of order or history: `v` and 10 hex digits over trail, kind and place."""
    return "v" + _digest(trail, kind, place)


def write_failures_id(trail: str) -> str:
    """The id that stands for all failed writes of a trail: `w` and 10 hex digits over the trail."""
    return "w" + _digest(trail, "write_failures")


def unlisted_id(trail: str) -> str:
    """The id that stands for all damaged lines of a trail that are only counted: `u` and 10 hex digits."""
    return "u" + _digest(trail, "unlisted")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:10]
