"""What each kind of damage means, in the few words that fit next to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from auditwatch.trail.kinds import Kind, Violation

GLOSSES: Final[Mapping[Kind | Violation, str]] = {
    Kind.OVERSIZE: "longer than a line may be",
    Kind.BLANK: "only white space",
    Kind.BYTE_ORDER_MARK: "a byte order mark before a whole record",
    Kind.NUL_BYTES: "NUL bytes, as left by a power cut",
    Kind.TOO_DEEP: "nested deeper than 512 levels",
    Kind.NOT_OBJECT: "JSON, but not an object",
    Kind.SCHEMA: "a required field is missing or has the wrong type",
    Kind.DUPLICATE_KEY: "a key twice in one object",
    Kind.CONCATENATED: "whole records end to end: the newline between them was lost",
    Kind.INTERLEAVED: "a record begins inside another: two writers at once",
    Kind.TORN: "a piece of a record: its beginning or end is missing",
    Kind.INVALID_UTF8: "bytes that are not UTF-8",
    Kind.INVALID_JSON: "not JSON",
    Violation.SEQUENCE_GAP: "sequence numbers are missing",
    Violation.SEQUENCE_DUPLICATE: "a sequence number appears twice",
    Violation.SEQUENCE_REORDERED: "records are out of order",
    Violation.CHAIN_BROKEN: "a record does not continue the one before it",
    Violation.CHAIN_RESTARTED: "a new chain begins in the middle",
    Violation.UNSTAMPED: "a record without a stamp",
    Violation.STATE_LOST: "what was known of the trail was lost",
    Violation.ARCHIVE_CUT: "a compressed segment cannot be read to its end",
    Violation.TRUNCATED: "shorter than what was already judged",
    Violation.EMPTIED: "the file was emptied",
    Violation.REPLACED: "another file took its place",
    Violation.REWRITTEN: "bytes that were already judged have changed",
    Violation.ROLLED_BACK: "an older, shorter file took its place",
    Violation.DELETED: "the file was deleted",
    Violation.SEGMENT_MISSING: "a segment is missing",
}
