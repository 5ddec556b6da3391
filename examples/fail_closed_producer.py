"""A producer whose action does not take place without its record: no trade that no examiner can find.

    python examples/fail_closed_producer.py logs/audit_trail.jsonl

`append` returns when the record is on disk, or raises.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from auditwatch import AuditWriteError, AuditWriter

Trade = dict[str, object]


class Desk:
    """Approves trades and hands them to the exchange."""

    def __init__(self, path: str, execute: Callable[[Trade], None]) -> None:
        self._audit = AuditWriter(path, durability="power", stamp=True)
        self._execute = execute

    def approve(self, trade: Trade) -> bool:
        """Execute a trade once its approval is on record; say whether it was."""
        try:
            self._audit.append({"event": "TRADE_APPROVED", "details": trade})
        except AuditWriteError as error:
            # stored "no": the trail has nothing of it. "unknown": it may have, although the trade did not take place;
            # that is for a record of its own once writing works again.
            print(f"not traded (reason: {error.reason}, stored: {error.stored}): {error}", file=sys.stderr)
            return False
        self._execute(trade)
        return True

    def close(self) -> None:
        """Let go of the trail."""
        self._audit.close()


def main() -> int:
    """Trade once."""
    executed: list[Trade] = []
    desk = Desk(sys.argv[1], executed.append)
    is_approved = desk.approve({"symbol": "BTC-USD", "side": "buy", "quantity": "0.25"})
    desk.close()
    print(f"executed: {len(executed)}")
    return 0 if is_approved else 1


if __name__ == "__main__":
    sys.exit(main())
