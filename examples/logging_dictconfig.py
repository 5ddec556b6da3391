"""An audit trail fed by the logging that a program has already: one handler in its configuration.

    python examples/logging_dictconfig.py logs/audit_trail.jsonl

A program that logs is never stopped by a record that cannot be stored. Where an action must not take place without its
record, call `AuditWriter.append` instead (fail_closed_producer.py).
"""

from __future__ import annotations

import logging
import logging.config
import sys


def configured(path: str) -> dict[str, object]:
    """Audit records go into the trail, everything else to standard error."""
    return {
        "version": 1,
        "handlers": {
            # Every setting of AuditWriter may stand here.
            "audit": {"class": "auditwatch.AuditHandler", "path": path, "durability": "interval"},
            "console": {"class": "logging.StreamHandler"},
        },
        "loggers": {"risk.audit": {"handlers": ["audit"], "level": "INFO", "propagate": False}},
        "root": {"handlers": ["console"], "level": "INFO"},
    }


def main() -> None:
    """Log two audit records, one with a traceback, and one line that is not for the trail."""
    logging.config.dictConfig(configured(sys.argv[1]))
    audit = logging.getLogger("risk.audit")
    audit.info("TRADE_APPROVED", extra={"details": {"symbol": "BTC-USD", "quantity": 0.25}})
    try:
        {"BTC-USD": 64000}["ETH-USD"]
    except KeyError:
        audit.exception("TRADE_REJECTED", extra={"details": {"symbol": "ETH-USD"}})
    logging.getLogger("risk").info("two records written")


if __name__ == "__main__":
    main()
