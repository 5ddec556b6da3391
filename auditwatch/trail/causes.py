"""For each kind of damage and each violation: what it is, what usually causes it, what to do.

The one source of `auditwatch explain` and of docs/defects.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from auditwatch.trail.kinds import Kind, Violation


@dataclass(frozen=True, slots=True)
class Cause:
    """Facts about one kind of damage or one violation.

    Attributes:
        meaning: What it is.
        usual_cause: Where it usually comes from.
        remedy: What to do.
        example: A line of that kind as it was written; None where a single line shows nothing.
    """

    meaning: str
    usual_cause: str
    remedy: str
    example: bytes | None = None


DEPTH_EXAMPLE: Final = b'{"a":' + b"[" * 512 + b"]" * 512 + b"}"
LONG_EXAMPLE: Final = b'{"dump":"' + b"x" * (1 << 20) + b'"}'

CAUSES: Final[Mapping[Kind | Violation, Cause]] = {
    Kind.OVERSIZE: Cause(
        "The line is longer than max_line_bytes (1 MiB unless set otherwise).",
        "A producer logs whole payloads, or newlines are missing over a long stretch.",
        "Look at the line's start; raise max_line_bytes for writer and agent alike if such lines are meant.",
        LONG_EXAMPLE,
    ),
    Kind.BLANK: Cause(
        "The line holds nothing but white space. Hygiene: nothing is lost.",
        "A producer writes the newline apart from its record, or somebody saved the file in an editor.",
        "Write line and newline in one call; `tolerate: [blank]` if it is known and harmless.",
        b"",
    ),
    Kind.BYTE_ORDER_MARK: Cause(
        "A byte order mark stands before a whole record. Hygiene: the record is complete.",
        "A tool of another system saved the file, or a producer opens it with an encoding that writes a mark.",
        "Open with plain UTF-8; never edit a trail; `tolerate: [byte_order_mark]` if it stays.",
        b'\xef\xbb\xbf{"event":"START"}',
    ),
    Kind.NUL_BYTES: Cause(
        "The line holds NUL bytes; a good record may stand behind them.",
        "A power cut: the file's new size reached the disk and its bytes did not. Or a write at a stale offset after "
        "a truncation.",
        "Records before and behind may be whole (records inside). Make records durable with durability=power.",
        b'\x00\x00\x00\x00{"event":"START"}',
    ),
    Kind.TOO_DEEP: Cause(
        "More than 512 levels of nesting outside strings.",
        "A structure that refers to itself was serialised, or somebody attacks the readers of the trail.",
        "Find the producer and flatten what it logs; most parsers fail on such a line.",
        DEPTH_EXAMPLE,
    ),
    Kind.NOT_OBJECT: Cause(
        "The line is JSON, but no object.",
        "A producer logs a bare list, string or number, or a part of a record stands alone and happens to parse.",
        "Look at its neighbours: a piece of one of them may be here. Log objects only.",
        b'["TRADE_APPROVED", 1]',
    ),
    Kind.SCHEMA: Cause(
        "A field that the owner of the trail requires is missing, or has another type. Hygiene.",
        "A producer changed, or the requirement is too strict.",
        "Compare the line with `require` in the configuration, and correct whichever is wrong.",
        b'{"timestamp":"yesterday"}',
    ),
    Kind.DUPLICATE_KEY: Cause(
        "An object has a key twice (only judged with strict rules). Readers disagree on which one counts. Hygiene.",
        'Serialising keys that are equal as text, such as 1 and "1"; joining records as text.',
        "Make the keys distinct in the producer.",
        b'{"price":1,"price":2}',
    ),
    Kind.CONCATENATED: Cause(
        "Two or more whole records stand on one line: the newline between them was lost.",
        "Newline and record are written in two calls and another process came between; or a crash lost the newline.",
        "Nothing is lost: the records are whole. Write line and newline in one call, under a lock.",
        b'{"event":"TRADE_APPROVED"}{"event":"KILL_SWITCH"}',
    ),
    Kind.INTERLEAVED: Cause(
        "A record begins in the middle of another: two writers wrote at the same time.",
        "Several threads or processes append without a lock, or through a buffer that is flushed in pieces.",
        "Put AuditWriter (or a thread lock and flock around one single write) into all producers.",
        b'{"event": "TRADE_A{"event": "KILL_SWITCH", "details": {"reason": "limit"}}',
    ),
    Kind.TORN: Cause(
        "A piece of a record: its end or its beginning is missing.",
        "A crash, a kill or a full disk cut a write short; or it is the other half of an interleaved line.",
        "Look at the lines beside it for the other half. AuditWriter ends torn lines and rolls back short writes.",
        b'PPROVED", "details": {"symbol": "BTC-USD"}}',
    ),
    Kind.INVALID_UTF8: Cause(
        "Well-formed, except for bytes that are not UTF-8.",
        "A producer writes in another encoding, copies foreign bytes into a string, or cuts text at a byte limit.",
        "Write UTF-8; decode foreign bytes with errors=backslashreplace before logging them.",
        b'{"name":"caf\xe9"}',
    ),
    Kind.INVALID_JSON: Cause(
        "Not JSON (RFC 8259), and no sign of two writers or of a missing piece.",
        "NaN or Infinity from json.dumps, single quotes from str() of a dictionary, or bytes that changed on disk.",
        "Serialise with allow_nan=False. If no producer can have written it, suspect the storage or a hand.",
        b'{"price":NaN}',
    ),
    Violation.SEQUENCE_GAP: Cause(
        "Sequence numbers are missing: records were removed, or written and lost.",
        "A line was deleted, a segment is missing, or a disk lost acknowledged writes.",
        "Find the missing numbers in a backup or at another host before anything is rotated away.",
    ),
    Violation.SEQUENCE_DUPLICATE: Cause(
        "A sequence number appears twice.",
        "A restored backup, a copied segment, or records put in a second time.",
        "Compare the two lines: equal ones are a copy, different ones are a forgery or a second writer.",
    ),
    Violation.SEQUENCE_REORDERED: Cause(
        "Records stand in another order than they were numbered.",
        "Somebody sorted or merged the file.",
        "Restore the original order from a backup; never edit a trail.",
    ),
    Violation.CHAIN_BROKEN: Cause(
        "A record's `_prev` is not the hash of the line before it.",
        "The line before was changed, removed or inserted after it was written.",
        "Compare with a backup; the change lies directly before the place that is named.",
    ),
    Violation.CHAIN_RESTARTED: Cause(
        "A new chain begins in the middle of the trail.",
        "A writer found nothing to continue from: the trail or its segments had been moved away.",
        "Find what was moved; acknowledge if it was you.",
    ),
    Violation.UNSTAMPED: Cause(
        "A record without a stamp in a trail where stamps are required.",
        "A producer that does not use the stamping writer.",
        "Let all producers stamp, or set `sequence: auto`.",
    ),
    Violation.TRUNCATED: Cause(
        "The file is shorter than what was already judged.",
        "copytruncate of logrotate, `> file`, a file system repair, or a hand.",
        "Restore from a backup; rotate by renaming instead: copytruncate loses lines.",
    ),
    Violation.EMPTIED: Cause(
        "The file was emptied.",
        "copytruncate of logrotate, or `> file`.",
        "As for truncated.",
    ),
    Violation.REPLACED: Cause(
        "Another file stands under the trail's name, and the old one is not among the segments.",
        "An editor saved it, or a backup was restored over it.",
        "Compare the two; `acknowledge` once you know what happened.",
    ),
    Violation.REWRITTEN: Cause(
        "Bytes that were already judged have changed.",
        "Somebody edited the file in place, or the storage fails.",
        "Compare with a backup: the change lies in the last 4 KiB before the place that is named.",
    ),
    Violation.ROLLED_BACK: Cause(
        "An earlier state of the file stands in its place.",
        "A snapshot or backup was restored.",
        "Find the records since then elsewhere; `acknowledge` afterwards.",
    ),
    Violation.DELETED: Cause(
        "The trail is gone and no segment continues it.",
        "Somebody deleted or moved it.",
        "Restore it; a producer that holds it open still writes into the deleted file (/proc/PID/fd).",
    ),
    Violation.SEGMENT_MISSING: Cause(
        "A closed segment that was known is gone before its time.",
        "Somebody deleted or moved it, or a clean-up job is configured too tightly.",
        "Restore it, or `acknowledge` it and let the clean-up job keep segments longer.",
    ),
}
"""In the order of the kinds, violations last."""
