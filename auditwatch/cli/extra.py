"""Which modules the extra `agent` installs, and what to say when one is missing. Imports none of them."""

from __future__ import annotations

from typing import Final

EXTRA: Final = frozenset(
    {
        "apscheduler",
        "blake3",
        "click",
        "jinja2",
        "msgspec",
        "prometheus_client",
        "pydantic",
        "rich",
        "starlette",
        "uvicorn",
        "watchdog",
        "yaml",
    }
)
"""Top-level modules of the extra; the writer needs none of them."""


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """What to install when a module of the extra is missing; None for any other module.

    >>> missing_extra(ModuleNotFoundError("", name="click.core"))
    "click is not installed; the command needs: pip install 'auditwatch[agent]'"
    """
    module = (error.name or "").partition(".")[0]
    return f"{module} is not installed; the command needs: pip install 'auditwatch[agent]'" if module in EXTRA else None
