"""Can this judge still recognise damage? If it could not, every trail would look whole."""

from __future__ import annotations

from auditwatch.trail.causes import CAUSES
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import scan_all

WHOLE = b'{"event":"SELF_TEST","nested":[1,2.5,null,true,{"text":"\\u00e9"}]}\n'


def judges_rightly() -> bool:
    """Whether each kind that depends only on the bytes is recognised, and the whole lines next to it are left alone."""
    rules = Rules(strict=True)
    examples = {kind: CAUSES[kind].example or b"" for kind in Kind if kind is not Kind.SCHEMA}  # needs own rules
    report = scan_all((WHOLE + example + b"\n" for example in examples.values()), rules)
    return [d.kind for d in report.defects] == list(examples) and report.records == len(examples)
