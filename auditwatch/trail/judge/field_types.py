"""Whether a field has the type that `require` asks for, decided from its raw bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from auditwatch.trail.judge.grammar import members
from auditwatch.trail.rules import FieldType

OWN_MEMBER: Final = b'"_auditwatch"'
"""The member that marks the writer's own records."""

_DAY = (
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_OFFSET = r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_NAIVE = re.compile(rf"\A{_DAY}[Tt ]{_TIME}\Z")
"""RFC 3339, section 5.6, without the offset; a note in that section allows the blank in place of the T."""
_DATETIME = re.compile(rf"\A{_DAY}[Tt ]{_TIME}{_OFFSET}\Z")
"""RFC 3339, section 5.6: days that exist in their month, leap seconds, the offset with its colon."""

_INTEGER = re.compile(rb"-?[0-9]++\Z")


def lacks_required(line: bytes, require: tuple[tuple[str, FieldType], ...]) -> bool:
    """Whether a line known to be one object lacks a field or has another type there; own records are exempt.

    >>> lacks_required(b'{"n":1.0}', (("n", FieldType.INTEGER),))
    True
    """
    found = members(line)
    if _marked(found):
        return False
    fields = {_text(key): value for key, value in found.items()}
    return any(not _has(fields, name, kind) for name, kind in require)


def is_own(line: bytes) -> bool:
    """Whether a line known to be one object is one of the writer's own records."""
    return OWN_MEMBER in line and _marked(members(line))


def _marked(found: Mapping[bytes, bytes]) -> bool:
    return found.get(OWN_MEMBER, b"").startswith(b"{")


def _has(fields: Mapping[str, bytes], name: str, kind: FieldType) -> bool:
    value = fields.get(name)
    return value is not None and _IS[kind](value)


def _text(raw: bytes) -> str:
    text: str = json.loads(raw) if b"\\" in raw else raw[1:-1].decode()
    return text


def _matches(pattern: re.Pattern[str]) -> Callable[[bytes], bool]:
    return lambda raw: raw.startswith(b'"') and pattern.match(_text(raw)) is not None


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda raw: raw.startswith(starts)


_IS: Final[Mapping[FieldType, Callable[[bytes], bool]]] = {
    FieldType.STRING: _begins(b'"'),
    FieldType.INTEGER: lambda raw: _INTEGER.match(raw) is not None,
    FieldType.NUMBER: lambda raw: raw[0] in b"-0123456789",
    FieldType.BOOLEAN: _begins(b"t", b"f"),
    FieldType.OBJECT: _begins(b"{"),
    FieldType.ARRAY: _begins(b"["),
    FieldType.ANY: lambda _raw: True,
    FieldType.DATETIME: _matches(_DATETIME),
    FieldType.DATETIME_NAIVE: _matches(_NAIVE),
}
