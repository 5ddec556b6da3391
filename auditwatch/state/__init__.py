"""What survives a restart: the store of all trails, the inbox of requests, the lock that makes one agent the writer.

Durable or derived: a position is stored only together with the findings up to it, in one transaction.
Nothing here decides anything about a trail; that is the ledger's.

May import `ledger`, `trail`, `host` and `errors`; a stranger to `web`.
"""
