"""A producer whose action takes place even if its record cannot be stored: a kill switch must not wait for a disk.

    python examples/fail_open_producer.py logs/audit_trail.jsonl

The failure does not get lost: the writer counts it in the file beside the trail, from where the agent exports it
(`auditwatch_write_failures_open`) and pages.
"""

from __future__ import annotations

import logging
import sys

from auditwatch import AuditWriteError, AuditWriter

log = logging.getLogger("risk")


class RiskManager:
    """Stops trading when a limit is broken."""

    def __init__(self, path: str) -> None:
        self.is_trading = True
        self.unrecorded = 0
        # With a callable nothing is raised, neither here nor by append. Half a second is the longest wait for the lock.
        self._audit = AuditWriter(path, lock_timeout=0.5, on_failure=self._not_recorded)

    def check(self, drawdown: float, limit: float) -> None:
        """Stop trading if the limit is broken: first the action, then its record."""
        if drawdown > limit:
            self.is_trading = False
            self._audit.append({"event": "KILL_SWITCH", "details": {"drawdown": drawdown, "limit": limit}})

    def close(self) -> None:
        """Let go of the trail."""
        self._audit.close()

    def _not_recorded(self, error: AuditWriteError) -> None:
        # The error never holds the record, so it can be logged anywhere.
        self.unrecorded += 1
        log.error("no audit record (reason: %s, stored: %s): %s", error.reason, error.stored, error)


def main() -> None:
    """Break a limit."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    risk = RiskManager(sys.argv[1])
    risk.check(drawdown=0.12, limit=0.10)
    risk.close()
    print(f"trading: {risk.is_trading}, unrecorded: {risk.unrecorded}")


if __name__ == "__main__":
    main()
