"""The peer to compare with: the locked writer and the validation script from `origin.md`, made callable."""

from __future__ import annotations

import fcntl
import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger(__name__)


class RiskManager:
    """The risk manager, as far as it writes its audit trail."""

    def __init__(self, audit_trail_path: str) -> None:
        self._path = audit_trail_path
        self._lock = threading.RLock()

    def _write_audit_log(self, event: str, details: dict[str, Any]) -> None:
        audit_entry = {"timestamp": datetime.now(UTC).isoformat(), "event": event, "details": details}
        with self._lock:
            try:
                with open(self._path, "a") as f:
                    fcntl.flock(f.fileno(), fcntl.LOCK_EX)
                    try:
                        f.write(json.dumps(audit_entry) + "\n")
                        f.flush()
                    finally:
                        fcntl.flock(f.fileno(), fcntl.LOCK_UN)
                logger.debug(f"Audit log written: {event}")  # noqa: G004  as the original has it
            except Exception as e:  # noqa: BLE001  as the original has it
                logger.error(f"Failed to write audit log: {e}")  # noqa: G004, TRY400  as the original has it

    def write(self, event: str, details: dict[str, Any]) -> None:
        """Append one entry; failures are logged and otherwise lost."""
        self._write_audit_log(event, details)


def validate(path: str) -> tuple[int, str | None]:
    """The validation script.

    Returns:
        How many lines it read, and what it said about the first corrupt one.
    """
    line_count = 0
    i = 0
    try:
        with open(path) as f:
            for i, line in enumerate(f, 1):
                json.loads(line)
                line_count = i
    except json.JSONDecodeError as e:
        return line_count, f"Corrupted line {i}: {e}"
    except Exception as e:  # noqa: BLE001  as the original has it
        return line_count, f"Error: {e}"
    return line_count, None
