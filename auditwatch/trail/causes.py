"""For each kind of damage and each violation: what it is, what usually causes it, what to do.

The single source for `auditwatch explain` and of docs/defects.md.
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
        "The line is longer than max_line_bytes (1 MiB by default).",
        "A producer logs whole payloads, or newlines are missing over a long stretch.",
        "Look at the start of the line; raise max_line_bytes for writer and agent alike if such lines are intended.",
        LONG_EXAMPLE,
    ),
    Kind.BLANK: Cause(
        "The line is empty or only white space. Hygiene: nothing is lost.",
        "A producer writes the newline separately from its record, or the file was saved in an editor.",
        "Write record and newline in one call; set `tolerate: [blank]` if it is known and harmless.",
        b"",
    ),
    Kind.BYTE_ORDER_MARK: Cause(
        "A byte order mark precedes a whole record. Hygiene: the record is complete.",
        "A tool on another system saved the file, or a producer opens it with an encoding that adds a mark.",
        "Open the file as plain UTF-8; never edit a trail; set `tolerate: [byte_order_mark]` if it stays.",
        b'\xef\xbb\xbf{"event":"START"}',
    ),
    Kind.NUL_BYTES: Cause(
        "The line contains NUL bytes; a good record may follow them.",
        "A power cut: the file's new size reached the disk but its bytes did not. Or a write at a stale offset after a "
        "truncation.",
        "Records before and after them may be whole (records inside). Make records durable with durability=power.",
        b'\x00\x00\x00\x00{"event":"START"}',
    ),
    Kind.TOO_DEEP: Cause(
        "More than 512 levels of nesting, outside strings.",
        "A structure that refers to itself was serialised, or somebody is attacking the readers of the trail.",
        "Find the producer and flatten what it logs; most parsers fail on a line like this.",
        DEPTH_EXAMPLE,
    ),
    Kind.NOT_OBJECT: Cause(
        "The line is JSON, but not an object.",
        "A producer logs a bare list, string or number, or a piece of a record happens to parse on its own.",
        "Look at the neighbouring lines: this may be a piece of one of them. Log only objects.",
        b'["TRADE_APPROVED", 1]',
    ),
    Kind.SCHEMA: Cause(
        "A field that the trail's owner requires is missing or has the wrong type. Hygiene.",
        "A producer changed, or the requirement is too strict.",
        "Compare the line with `require` in the configuration, and correct whichever is wrong.",
        b'{"timestamp":"yesterday"}',
    ),
    Kind.DUPLICATE_KEY: Cause(
        "An object has a key twice (judged only with strict rules). Readers disagree on which one counts. Hygiene.",
        'Serialising keys that are equal as text, such as 1 and "1", or joining records as text.',
        "Make the keys distinct in the producer.",
        b'{"price":1,"price":2}',
    ),
    Kind.CONCATENATED: Cause(
        "Two or more whole records are on one line: the newline between them was lost.",
        "Record and newline are written in two calls and another process came between, or a crash lost the newline.",
        "Nothing is lost: the records are whole. Write record and newline in one call, under a lock.",
        b'{"event":"TRADE_APPROVED"}{"event":"KILL_SWITCH"}',
    ),
    Kind.INTERLEAVED: Cause(
        "A record begins in the middle of another: two writers wrote at the same time.",
        "Several threads or processes append without a lock, or through a buffer that is flushed in pieces.",
        "Use AuditWriter (or a thread lock and flock around one single write) in every producer.",
        b'{"event": "TRADE_A{"event": "KILL_SWITCH", "details": {"reason": "limit"}}',
    ),
    Kind.TORN: Cause(
        "A piece of a record: its end or its beginning is missing.",
        "A crash, a kill or a full disk cut a write short; or it is the other half of an interleaved line.",
        "Look for the other half in the lines next to it. AuditWriter ends torn lines and rolls back short writes.",
        b'PPROVED", "details": {"symbol": "BTC-USD"}}',
    ),
    Kind.INVALID_UTF8: Cause(
        "Well-formed JSON, except for bytes that are not UTF-8.",
        "A producer writes in another encoding, copies foreign bytes into a string, or cuts text at a byte limit.",
        "Write UTF-8; decode bytes from elsewhere with errors=backslashreplace before logging them.",
        b'{"name":"caf\xe9"}',
    ),
    Kind.INVALID_JSON: Cause(
        "Not JSON (RFC 8259), and without signs of two writers or of a missing piece.",
        "NaN or Infinity from json.dumps, single quotes from str() of a dictionary, or bytes that changed on disk.",
        "Serialise with allow_nan=False. If no producer can have written it, suspect the storage or a manual edit.",
        b'{"price":NaN}',
    ),
    Violation.SEQUENCE_GAP: Cause(
        "Sequence numbers are missing: records were removed, or were written and then lost.",
        "A line was deleted, a segment is missing, or a disk lost acknowledged writes.",
        "Find the missing numbers in a backup or on another host before anything is rotated away.",
    ),
    Violation.SEQUENCE_DUPLICATE: Cause(
        "A sequence number appears twice.",
        "A restored backup, a copied segment, or records added a second time.",
        "Compare the two lines: if they are equal, one is a copy; if not, one is forged or comes from a second writer.",
    ),
    Violation.SEQUENCE_REORDERED: Cause(
        "The records are not in the order of their numbers.",
        "Somebody sorted or merged the file.",
        "Restore the original order from a backup; never edit a trail.",
    ),
    Violation.CHAIN_BROKEN: Cause(
        "A record's `_prev` is not the hash of the line before it.",
        "The previous line was changed, removed or inserted after it was written.",
        "Compare with a backup; the change is immediately before the named place.",
    ),
    Violation.CHAIN_RESTARTED: Cause(
        "A new chain begins in the middle of the trail.",
        "A writer found nothing to continue from: the trail or its segments had been moved away.",
        "Find out what was moved; acknowledge if it was you.",
    ),
    Violation.UNSTAMPED: Cause(
        "A record without a stamp in a trail where stamps are required.",
        "A producer that does not use the stamping writer.",
        "Make every producer stamp its records, or set `sequence: auto`.",
    ),
    Violation.STATE_LOST: Cause(
        "What auditwatch knew of this trail was lost, in whole or in part.",
        "Somebody removed, cut or replaced files of the state directory, or put back an older copy; or its disk "
        "failed.",
        "What is found from now on is open, none of it inherited: compare the trail with another copy, find out who "
        "touched the state directory, then `acknowledge`.",
    ),
    Violation.ARCHIVE_CUT: Cause(
        "A compressed segment cannot be read to its end: its data is damaged or cut off.",
        "The disk was full or the machine stopped while it was compressed, a copy was broken off, or the storage is "
        "failing.",
        "Put another copy in its place, then `acknowledge`. Everything before the named offset was read and judged.",
    ),
    Violation.TRUNCATED: Cause(
        "The file is shorter than what was already judged.",
        "logrotate's copytruncate, `> file`, a file system repair, or a manual edit.",
        "Restore from a backup; rotate by renaming instead: copytruncate loses lines.",
    ),
    Violation.EMPTIED: Cause(
        "The file was emptied.",
        "logrotate's copytruncate, or `> file`.",
        "As for truncated.",
    ),
    Violation.REPLACED: Cause(
        "Another file now has the trail's name: the old one is not among the segments, or is repeated in the new one.",
        "Another file was moved over it, or an edited copy was put in its place and the old one kept beside it.",
        "Compare the two; `acknowledge` once you know what happened, or `rebaseline` if it was planned.",
    ),
    Violation.REWRITTEN: Cause(
        "Bytes that were already judged have changed.",
        "Somebody edited the file, in place or by an editor that saves a new one, or the storage is failing.",
        "Compare with a backup; `acknowledge` once you know what happened, or `rebaseline` if it was planned.",
    ),
    Violation.ROLLED_BACK: Cause(
        "An earlier state of the file has taken its place.",
        "A snapshot or backup was restored.",
        "Look elsewhere for the records written since then; `acknowledge` afterwards.",
    ),
    Violation.DELETED: Cause(
        "The trail is gone and no segment continues it, or a file of it that was deleted is still written to.",
        "Somebody deleted or moved it, or a producer still has a rotated file open that was deleted since.",
        "Restore it; a producer that still has it open is writing to the deleted file (/proc/PID/fd): restart it.",
    ),
    Violation.SEGMENT_MISSING: Cause(
        "A known closed segment is gone before its time.",
        "Somebody deleted or moved it, or a clean-up job removes files too early.",
        "Restore it, or `acknowledge` it and make the clean-up job keep segments longer.",
    ),
}
"""In the order of the kinds, violations last."""
