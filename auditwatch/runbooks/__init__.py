"""A page for each alert: what it means, how to look, what to do, what ends it.

The pages are files beside this one, so that `auditwatch explain`, an agent and docs/operate/runbooks/README.md give the
same text, also where no network is. Takes the standard library alone.
"""

from __future__ import annotations

import os
from typing import Final

_FOLDER: Final = os.path.dirname(__file__)
_SUFFIX: Final = ".md"


def runbook_names() -> list[str]:
    """The alerts that have a page, sorted."""
    return sorted(name.removesuffix(_SUFFIX) for name in os.listdir(_FOLDER) if name.endswith(_SUFFIX))


def runbook(alert: str) -> str:
    """The page of an alert, in Markdown.

    Raises:
        KeyError: No alert has this name.

    >>> runbook("AuditwatchTrailDown").splitlines()[0]
    '# AuditwatchTrailDown'
    """
    if alert not in runbook_names():
        raise KeyError(alert)
    with open(os.path.join(_FOLDER, alert + _SUFFIX), encoding="utf-8") as page:
        return page.read()
