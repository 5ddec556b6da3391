"""What survives a restart: the store of all trails, the inbox of requests, the lock that allows only one writer.

Durable or derived: a position is stored only together with the findings up to it, in one transaction.
Nothing here decides anything about a trail; that is up to the ledger.

May import `ledger`, `trail`, `host` and `errors`; a stranger to `web`.
"""
