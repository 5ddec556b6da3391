"""What the lines of a trail must satisfy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from auditwatch.trail.kinds import Kind
from auditwatch.trail.limits import MAX_DEPTH, MAX_LINE_BYTES

__all__ = ["JUDGE_VERSION", "MAX_DEPTH", "MAX_LINE_BYTES", "FieldType", "Rules", "is_field_name"]

JUDGE_VERSION: Final = 1
"""Increased whenever the same bytes and rules could get another verdict; stored verdicts are then made anew."""


class FieldType(StrEnum):
    """The types that `require` can demand of a field."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    ANY = "any"
    DATETIME = "datetime"
    DATETIME_NAIVE = "datetime_naive"


def is_field_name(name: str) -> bool:
    """Whether `require` can demand a field of this name: one that JSON writes as it is.

    >>> is_field_name("event"), is_field_name('say "hi"')
    (True, False)
    """
    return name.isprintable() and not {'"', "\\"} & set(name)


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides the kind of a line, together with the line's bytes.

    Attributes:
        max_line_bytes: Length of the longest allowed line, without its newline.
        require: Pairs of field and type that every record must have, in any order.
        schema: A JSON Schema that every record must satisfy, as text; empty for none.
        strict: Whether the same key twice in one object is damage.
        tolerate: Kinds that count as records. Not part of `rules_id`: it does not change a line's kind.
    """

    max_line_bytes: int = MAX_LINE_BYTES
    require: tuple[tuple[str, FieldType], ...] = ()
    strict: bool = False
    tolerate: frozenset[Kind] = field(default_factory=frozenset)
    schema: str = ""

    @property
    def rules_id(self) -> str:
        """16 hex digits that change whenever a stored verdict may no longer be valid.

        >>> Rules().rules_id == Rules(tolerate=frozenset({Kind.BLANK})).rules_id
        True
        >>> Rules().rules_id == Rules(strict=True).rules_id
        False
        """
        asked = ",".join(f"{len(name)}:{name}={kind}" for name, kind in sorted(self.require))
        text = f"{JUDGE_VERSION}|{self.max_line_bytes}|{MAX_DEPTH}|{asked}|{self.strict}"
        text += f"|{self.schema}" if self.schema else ""
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def reports_id(self) -> str:
        """Like `rules_id`, but changes with `tolerate` too: a stored report does not contain the lines it tolerated.

        >>> Rules().reports_id == Rules(tolerate=frozenset({Kind.BLANK})).reports_id
        False
        """
        return "+".join((self.rules_id, *sorted(self.tolerate)))
