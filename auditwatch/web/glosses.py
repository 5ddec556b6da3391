"""What each kind of damage means, in the few words that fit beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from auditwatch.trail.kinds import Kind, Violation

GLOSSES: Final[Mapping[Kind | Violation, str]] = {
    Kind.OVERSIZE: "longer than a line may be",
    Kind.BLANK: "nothing but white space",
    Kind.BYTE_ORDER_MARK: "a byte order mark before a whole record",
    Kind.NUL_BYTES: "NUL bytes, as a power cut leaves them",
    Kind.TOO_DEEP: "nested deeper than 512 levels",
    Kind.NOT_OBJECT: "JSON, but not an object",
    Kind.SCHEMA: "a required field is missing or of another type",
    Kind.DUPLICATE_KEY: "a key twice in one object",
    Kind.CONCATENATED: "whole records end to end, the newline between was lost",
    Kind.INTERLEAVED: "a record begins inside another: two writers at once",
    Kind.TORN: "a piece of a record, its beginning or end is missing",
    Kind.INVALID_UTF8: "bytes that are not UTF-8",
    Kind.INVALID_JSON: "not JSON",
    Violation.SEQUENCE_GAP: "numbers are missing",
    Violation.SEQUENCE_DUPLICATE: "a number came twice",
    Violation.SEQUENCE_REORDERED: "a number came late",
    Violation.CHAIN_BROKEN: "a record does not continue the one before it",
    Violation.CHAIN_RESTARTED: "the chain began anew",
    Violation.UNSTAMPED: "a line without a stamp",
    Violation.TRUNCATED: "shorter than what was judged before",
    Violation.EMPTIED: "emptied",
    Violation.REPLACED: "another file took its place",
    Violation.REWRITTEN: "judged bytes are other bytes now",
    Violation.ROLLED_BACK: "an older, shorter file took its place",
    Violation.DELETED: "deleted",
    Violation.SEGMENT_MISSING: "a segment is missing",
}
