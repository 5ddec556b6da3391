"""What goes to standard error: one line per event, as text or as JSON. The contents of trails never get here."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from auditwatch.trail.names import printable

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

_OWN: Final = "auditwatch"


class _Text(logging.Formatter):
    """`2026-11-23T08:27:59.120Z INFO message`; control characters are escaped, so that no line can be forged."""

    def format(self, record: logging.LogRecord) -> str:
        message = printable(record.getMessage().replace("\n", "; "))
        line = f"{_instant(record)} {record.levelname} {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info and is_debug() else line


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and is_debug():
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def reset() -> None:
    """Text from level info up; messages of other packages from warning up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_OWN).setLevel(logging.INFO)
    logging.raiseExceptions = False  # a closed standard error must not print tracebacks onto itself


def configure(*, format_name: str | None = None, level: str | None = None) -> None:
    """Change what is given; None leaves it as it is."""
    if format_name is not None:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_Json() if format_name == "json" else _Text())
    if level is not None:
        logging.getLogger(_OWN).setLevel(level.upper())


def is_debug() -> bool:
    """Whether tracebacks are wanted."""
    return logging.getLogger(_OWN).isEnabledFor(logging.DEBUG)
