"""Values as rows, each with a checksum: SQLite's own check does not notice flipped bits in what it stores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from auditwatch.ledger.damage import Finding
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState

_T = TypeVar("_T")

_CHECKSUM_BYTES: Final = 16
_TOTALS: Final = 1 << 8 * _CHECKSUM_BYTES


class DamagedRow(Exception):
    """A row does not match its checksum; none of it can be trusted."""


def checksum(key: str, body: bytes) -> bytes:
    """16 bytes over a row's key and body, so that no row can pass for another."""
    return hashlib.blake2b(key.encode(errors="surrogateescape") + b"\0" + body, digest_size=_CHECKSUM_BYTES).digest()


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


def trail_row(trail: str, state: TrailState, total: bytes, step: int) -> tuple[bytes, bytes]:
    """Body and checksum of a trail's own row; what is many has separate rows."""
    active = replace(state.active, findings=(), sealed=()) if state.active else None
    body = encoded(replace(state, closed=(), active=active))
    return body, checksum(trail_row_key(trail, total, step), body)


def trail_row_key(trail: str, total: bytes, step: int) -> str:
    """What the checksum of a trail's row covers besides its body.

    Args:
        trail: Its key.
        total: Of the checksums of its other rows: none of them can get lost, or be an older one.
        step: The transaction that wrote it.
    """
    return f"{trail}/{total.hex()}/{step}"


def total_of(checksums: Iterable[bytes]) -> bytes:
    r"""A sum that does not depend on the order, and from which one row can be taken away again.

    >>> total_of([b"\1" * 16, b"\2" * 16]) == total_of([b"\2" * 16, b"\1" * 16]) == b"\3" * 16
    True
    """
    return (sum(int.from_bytes(one, "big") for one in checksums) % _TOTALS).to_bytes(_CHECKSUM_BYTES, "big")


def total_without(total: bytes, checksums: Iterable[bytes]) -> bytes:
    """The total after these rows are gone."""
    left = int.from_bytes(total, "big") - sum(int.from_bytes(one, "big") for one in checksums)
    return (left % _TOTALS).to_bytes(_CHECKSUM_BYTES, "big")


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
