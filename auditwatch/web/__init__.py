"""Everything an operator sees: metrics, status, findings and the page, all rendered from one frozen snapshot.

Nothing here touches a trail, the store or the configuration: the agent publishes a `Snapshot`, and every front renders
the newest one. Whatever comes from outside (names of trails, files and hosts) is made printable and escaped; contents
and hashes of lines never get here.

May import `ledger`, `trail`, `host` and `errors`; a stranger to `state`.
"""
