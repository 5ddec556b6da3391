"""The records that auditwatch itself writes into a trail: what they look like and how to recognise them.

They carry a member `_auditwatch`, which producers may not use. They are stamped like others, exempt from
`require`, and do not count as records of the producers.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

OWN_VERSION: Final = 1

RESERVED: Final = frozenset({"_seq", "_prev", "_auditwatch"})
"""Members that only the writer itself may add."""


class Recovered(NamedTuple):
    """Says that a torn tail was found and ended with a newline.

    Attributes:
        offset: Offset of the torn piece in its segment.
        length: Length of the torn piece in bytes, without the newline that was added.
        sha256: 64 hex digits over the torn piece.
    """

    offset: int
    length: int
    sha256: str


class Continues(NamedTuple):
    """Says, at the start of a segment, which one it continues.

    Attributes:
        segment: Name of the previous segment.
        last_sha256: 64 hex digits over the last line of that segment.
    """

    segment: str
    last_sha256: str


Own = Recovered | Continues

_KINDS: Final[dict[str, tuple[type[Recovered] | type[Continues], dict[str, type]]]] = {
    "recovered": (Recovered, {"offset": int, "length": int, "sha256": str}),
    "continues": (Continues, {"segment": str, "last_sha256": str}),
}
"""The kinds of own records, and the members of each with their types."""


def format_own(timestamp: str, own: Own) -> bytes:
    """The line of an own record, without its newline.

    >>> format_own("T", Recovered(3, 2, "ab"))[:60]
    b'{"timestamp":"T","event":"auditwatch.recovered","_auditwatch'
    """
    kind = type(own).__name__.lower()
    body = {"v": OWN_VERSION, "kind": kind, **own._asdict()}
    record = {"timestamp": timestamp, "event": f"auditwatch.{kind}", "_auditwatch": body}
    return json.dumps(record, separators=(",", ":")).encode()


def parse_own(line: bytes) -> Own | None:
    r"""What an own record says; None if the line is not an own record, or one of a later version.

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
    found = _KINDS.get(body["kind"]) if isinstance(body.get("kind"), str) else None
    if found is None:
        return None
    kind, wanted = found
    return kind(**fields) if {name: type(value) for name, value in fields.items()} == wanted else None
