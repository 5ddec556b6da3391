"""`auditwatch explain`: what a kind of damage, a violation, a reason or an alert is, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

import click

from auditwatch.errors import UsageError
from auditwatch.runbooks import runbook, runbook_names
from auditwatch.trail.causes import CAUSES, Cause
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.reasons import UNREADABLE_CAUSES, WRITE_CAUSES

_LONGEST_EXAMPLE: Final = 120
_PREFIX: Final = "auditwatch"

_SUBJECTS: Final[Mapping[str, Mapping[str, Cause]]] = {
    "a kind of damaged line": {kind.value: CAUSES[kind] for kind in Kind},
    "a violation of order or history": {kind.value: CAUSES[kind] for kind in Violation},
    "why a trail could not be looked at": UNREADABLE_CAUSES,
    "why a write failed": WRITE_CAUSES,
}


@click.command(name="explain")
@click.argument("name", required=False, metavar="[KIND|ALERT]")
def command(name: str | None) -> int:
    """Explain a kind of damage, a violation, a reason or an alert.

    It says what it is, its usual cause, and what to do; of an alert its runbook. Without a name, all of them are
    listed. Alerts may be named without `Auditwatch`, and upper and lower case are the same.
    """
    print("\n".join(_all() if name is None else _explained(name)))
    return 0


def _explained(name: str) -> Iterator[str]:
    """Everything that bears the name.

    Raises:
        UsageError: Nothing does; a name like it is suggested.
    """
    wanted = _plain(name)
    alerts = [alert for alert in runbook_names() if _plain(alert) == wanted]
    causes = [
        (known, subject, cause)
        for subject, named in _SUBJECTS.items()
        for known, cause in named.items()
        if _plain(known) == wanted
    ]
    if not alerts and not causes:
        raise UsageError(_unknown(name))
    yield from (runbook(alert).rstrip("\n") for alert in alerts)
    for known, subject, cause in causes:
        yield from _cause_lines(known, subject if len(causes) > 1 else "", cause)


def _cause_lines(name: str, subject: str, cause: Cause) -> Iterator[str]:
    yield name + (f" ({subject})" if subject else "")
    yield f"  what it is    {cause.meaning}"
    yield f"  usual cause   {cause.usual_cause}"
    yield f"  what to do    {cause.remedy}"
    if cause.example is not None:
        yield f"  example       {example_text(cause.example)}"


def _all() -> Iterator[str]:
    for subject, named in _SUBJECTS.items():
        yield f"{subject}:"
        yield from (f"  {name:20}{cause.meaning}" for name, cause in named.items())
        yield ""
    yield "an alert:"
    yield from (f"  {name:36}{_gist(runbook(name))}" for name in runbook_names())


def _gist(page: str) -> str:
    r"""The first sentence of what an alert means.

    >>> _gist("# A\n\n## What it means\n\nThe trail is\ngone. Perhaps.")
    'The trail is gone.'
    """
    found = re.search(r"^## What it means\n+(.*?\.)(?=\s|\Z)", page, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _plain(name: str) -> str:
    """The name without what people vary.

    >>> _plain("AuditwatchTrailDown") == _plain("trail-down") == _plain("TRAIL_DOWN")
    True
    """
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.removeprefix(_PREFIX) or letters


def _unknown(name: str) -> str:
    names = {_plain(known): known for named in (*_SUBJECTS.values(), runbook_names()) for known in named}
    near = difflib.get_close_matches(_plain(name), names, n=1)
    meant = f"; did you mean {names[near[0]]}?" if near else "."
    return f"{name!r} is not a kind, a violation, a reason or an alert{meant} `auditwatch explain` lists them"


def example_text(example: bytes) -> str:
    r"""The example on one line; bytes other than printable ASCII are escaped, long examples are cut.

    >>> example_text(b'\x00{"a":1}'), example_text(b"")
    ('\\x00{"a":1}', '(an empty line)')
    """
    if not example:
        return "(an empty line)"
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in example)
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:60]} ... ({len(example):,} bytes)"
