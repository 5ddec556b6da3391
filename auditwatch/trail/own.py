"""The records that auditwatch itself writes into a trail: how they look and how they are told apart.

They carry a member `_auditwatch`, which producers may not bring. They are stamped like others, exempt from
`require`, and do not count as records of the producers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

OWN_VERSION: Final = 1

RESERVED: Final = frozenset({"_seq", "_prev", "_auditwatch"})
"""Members that only the writer itself may add."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Says that a torn tail was found and ended with a newline.

    Attributes:
        offset: First byte of the torn piece in its segment.
        length: Its bytes, without the newline that was added.
        sha256: 64 hex digits over them.
    """

    offset: int
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Continues:
    """Says, at the start of a segment, which one it continues.

    Attributes:
        segment: Name of the segment before.
        last_sha256: 64 hex digits over its last line.
    """

    segment: str
    last_sha256: str


Own = Recovered | Continues

_KINDS: Final[dict[str, type[Recovered] | type[Continues]]] = {"recovered": Recovered, "continues": Continues}


def format_own(timestamp: str, own: Own) -> bytes:
    """The line, without its newline.

    >>> format_own("T", Recovered(3, 2, "ab"))[:60]
    b'{"timestamp":"T","event":"auditwatch.recovered","_auditwatch'
    """
    kind = type(own).__name__.lower()
    body = {"v": OWN_VERSION, "kind": kind, **asdict(own)}
    record = {"timestamp": timestamp, "event": f"auditwatch.{kind}", "_auditwatch": body}
    return json.dumps(record, separators=(",", ":")).encode()


def parse_own(line: bytes) -> Own | None:
    r"""What an own record says, or None where the line is none, or of a later version.

    >>> parse_own(format_own("T", Continues("a.jsonl", "ab")))
    Continues(segment='a.jsonl', last_sha256='ab')
    >>> parse_own(b'{"note":"\\"_auditwatch\\""}') is None
    True
    """
    if b'"_auditwatch"' not in line:
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return _own(record.get("_auditwatch")) if isinstance(record, dict) else None


def _own(body: object) -> Own | None:
    if not isinstance(body, dict) or body.get("v") != OWN_VERSION:
        return None
    fields = {name: value for name, value in body.items() if name not in ("v", "kind")}
    kind = _KINDS.get(body["kind"]) if isinstance(body.get("kind"), str) else None
    if kind is None or not _fits(kind, fields):
        return None
    return kind(**fields)


def _fits(kind: type[Recovered] | type[Continues], fields: dict[str, object]) -> bool:
    asked = {"int": int, "str": str}
    wanted = {name: asked[str(field.type)] for name, field in kind.__dataclass_fields__.items()}
    return {name: type(value) for name, value in fields.items()} == wanted
