"""Values as rows, each with a checksum: SQLite's own check does not notice flipped bits in what it stores."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TypeVar

import msgspec

from auditwatch.ledger.damage import Finding
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState

_T = TypeVar("_T")


class DamagedRow(Exception):
    """A row does not match its checksum; none of it can be trusted."""


def checksum(key: str, body: bytes) -> bytes:
    """16 bytes over a row's key and body, so that no row can pass for another."""
    return hashlib.blake2b(key.encode(errors="surrogateescape") + b"\0" + body, digest_size=16).digest()


def encoded(value: object) -> bytes:
    """A frozen value as bytes; a file name in it may contain bytes that are not UTF-8."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value)).encode()


def decoded(kind: type[_T], key: str, body: object, expected: object) -> _T:
    """The value of a row; one flipped bit can turn a blob into text.

    Raises:
        DamagedRow: If it does not match its checksum or is not such a value.
    """
    if not isinstance(body, bytes) or checksum(key, body) != expected:
        raise DamagedRow(key)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError:
        return _with_odd_names(kind, key, body)


def _with_odd_names(kind: type[_T], key: str, body: bytes) -> _T:
    """The slow way: msgspec rejects the escapes that stand for bytes that are not UTF-8."""
    try:
        return msgspec.convert(json.loads(body), kind)
    except (ValueError, RecursionError) as error:
        raise DamagedRow(key) from error


def trail_row(trail: str, state: TrailState) -> tuple[bytes, int, bytes]:
    """Body, number of closed segments and checksum of a trail's own row; what is many has separate rows."""
    active = replace(state.active, findings=(), sealed=()) if state.active else None
    body = encoded(replace(state, closed=(), active=active))
    return body, len(state.closed), checksum(trail_row_key(trail, len(state.closed)), body)


def trail_row_key(trail: str, closed: int) -> str:
    """What the checksum of a trail's row covers besides its body: no row of a closed segment can get lost."""
    return f"{trail}/{closed}"


def segment_row(trail: str, segment: Segment) -> tuple[str, int, bytes, bytes]:
    """The row of a closed segment, without its findings and digests."""
    body = encoded(replace(segment, findings=(), sealed=()))
    return trail, segment.number, body, checksum(segment_row_key(trail, segment.number), body)


def segment_row_key(trail: str, number: int) -> str:
    """What the checksum of a segment's row covers besides its body."""
    return f"{trail}/segment/{number}"


def finding_row(trail: str, segment: int, finding: Finding) -> tuple[str, int, int, str, bytes, bytes]:
    """The row of a finding."""
    body = encoded(finding)
    key = finding_row_key(trail, segment, finding.offset, finding.sha256)
    return trail, segment, finding.offset, finding.sha256, body, checksum(key, body)


def finding_row_key(trail: str, segment: int, offset: int, sha256: str) -> str:
    """What the checksum of a finding's row covers besides its body."""
    return f"{trail}/{segment}/{offset}/{sha256}"


def run_row(trail: str, mode: str, record: RunRecord) -> tuple[str, str, bytes, bytes]:
    """The row of what is remembered of the runs of one mode."""
    body = encoded(record)
    return trail, mode, body, checksum(f"{trail}/{mode}", body)


def meta_row(key: str, value: str) -> tuple[str, bytes, bytes]:
    """The row of one of the agent's own figures."""
    body = encoded(value)
    return key, body, checksum(f"meta/{key}", body)
