"""The kinds of damage a line can have, and the violations of order and history a trail can have."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What is wrong with a line. A line has one kind: the first that matches, in this order."""

    OVERSIZE = "oversize"
    BLANK = "blank"
    BYTE_ORDER_MARK = "byte_order_mark"
    NUL_BYTES = "nul_bytes"
    TOO_DEEP = "too_deep"
    NOT_OBJECT = "not_object"
    SCHEMA = "schema"
    DUPLICATE_KEY = "duplicate_key"
    CONCATENATED = "concatenated"
    INTERLEAVED = "interleaved"
    TORN = "torn"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"


HYGIENE: Final = frozenset({Kind.BLANK, Kind.BYTE_ORDER_MARK, Kind.SCHEMA, Kind.DUPLICATE_KEY})
"""Kinds that are counted and shown, but never paged as damage."""


class Violation(StrEnum):
    """What is wrong with the order or the history of a trail. A violation stays open until it is acknowledged."""

    SEQUENCE_GAP = "sequence_gap"
    SEQUENCE_DUPLICATE = "sequence_duplicate"
    SEQUENCE_REORDERED = "sequence_reordered"
    CHAIN_BROKEN = "chain_broken"
    CHAIN_RESTARTED = "chain_restarted"
    UNSTAMPED = "unstamped"
    STATE_LOST = "state_lost"
    ARCHIVE_CUT = "archive_cut"
    TRUNCATED = "truncated"
    EMPTIED = "emptied"
    REPLACED = "replaced"
    REWRITTEN = "rewritten"
    ROLLED_BACK = "rolled_back"
    DELETED = "deleted"
    SEGMENT_MISSING = "segment_missing"


HISTORY: Final = frozenset(
    {
        Violation.TRUNCATED,
        Violation.EMPTIED,
        Violation.REPLACED,
        Violation.REWRITTEN,
        Violation.ROLLED_BACK,
        Violation.DELETED,
        Violation.SEGMENT_MISSING,
    }
)
"""Something that was judged is no longer there. The other violations are of order, of one file, or of what we know."""
