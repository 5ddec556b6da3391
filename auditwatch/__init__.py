"""auditwatch watches append-only JSONL audit trails, and brings a writer that does not damage them.

Public names are resolved on first use, so a program that only needs the writer only loads the writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditwatch._version import __version__

if TYPE_CHECKING:
    from auditwatch.errors import AuditWriteError, LockTimeout
    from auditwatch.writer import AuditWriter
    from auditwatch.writer.logging_handler import AuditHandler

__all__ = ["AuditHandler", "AuditWriteError", "AuditWriter", "LockTimeout", "__version__"]

_HOMES = {
    "AuditHandler": "auditwatch.writer.logging_handler",
    "AuditWriter": "auditwatch.writer",
    "AuditWriteError": "auditwatch.errors",
    "LockTimeout": "auditwatch.errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'auditwatch' has no attribute {name!r}")
    import importlib  # noqa: PLC0415  the import is the point: it happens on first use

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
