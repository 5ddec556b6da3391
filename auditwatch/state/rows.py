"""Values as rows, each with a checksum: SQLite's own check does not notice flipped bits in what it stores."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TypeVar

import msgspec

from auditwatch.ledger.damage import Finding
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


def without_findings(state: TrailState) -> TrailState:
    """The state as it is stored: findings have separate rows."""
    closed = tuple(replace(segment, findings=()) for segment in state.closed)
    return replace(state, closed=closed, active=replace(state.active, findings=()) if state.active else None)


def with_findings(state: TrailState, findings: dict[int, list[Finding]]) -> TrailState:
    """A stored state with its findings, which are given by the number of their segment."""

    def filled(segment: Segment) -> Segment:
        return replace(segment, findings=tuple(sorted(findings.get(segment.number, ()), key=lambda f: f.offset)))

    closed = tuple(filled(segment) for segment in state.closed)
    return replace(state, closed=closed, active=filled(state.active) if state.active else None)
