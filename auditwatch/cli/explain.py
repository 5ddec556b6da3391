"""`auditwatch explain`: what a kind of damage is."""

from __future__ import annotations

from typing import Final

import click

from auditwatch.trail.causes import CAUSES

_LONGEST_EXAMPLE: Final = 120
_NAMES: Final = {kind.value: cause for kind, cause in CAUSES.items()}


@click.command(name="explain")
@click.argument("kind", type=click.Choice(list(_NAMES)), metavar="KIND")
def command(kind: str) -> int:
    """Explain a kind of damage: what it is, its usual cause, and what to do."""
    cause = _NAMES[kind]
    print(kind)
    print(f"  what it is    {cause.meaning}")
    print(f"  usual cause   {cause.usual_cause}")
    print(f"  what to do    {cause.remedy}")
    if cause.example is not None:
        print(f"  example       {example_text(cause.example)}")
    return 0


def example_text(example: bytes) -> str:
    r"""The example on one line; bytes other than printable ASCII are escaped, long examples are cut.

    >>> example_text(b'\x00{"a":1}'), example_text(b"")
    ('\\x00{"a":1}', '(an empty line)')
    """
    if not example:
        return "(an empty line)"
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in example)
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:60]} ... ({len(example):,} bytes)"
