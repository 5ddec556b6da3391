"""The writer that runs inside a producer's own process: one JSON object a line, either whole or absent.

What `AuditWriter.append` guarantees when it returns:

* The whole line is in the trail, in one piece and with its newline, even while others append: threads and processes
  with this writer, or any program that takes `flock(LOCK_EX)` on the trail, as the original in `benchmarks` does.
* It is in the file that has the trail's name, even after the old file was renamed or removed.
* It survives kill -9 of the process; with `durability="power"` a power cut too.

When it raises `AuditWriteError`, `stored` says whether the line may be there: "no" is certain. A piece of a line that a
full disk left is removed, unless another program has appended after it. A torn line that another program left is never
removed: it is ended with a newline and a record that describes it, in the same write as the caller's line.

It runs inside trading processes. So it imports only `host`, `trail` and `errors` from this package, the light parts of
the standard library and, when a trail is opened, orjson. It logs nothing, and starts no threads except those that
`durability="interval"` and `append_async` need.

What it is made of: `audit_writer` (the front), `serialise`, `culprit`; `appender` (from lines to acknowledged),
`equipment`; `trail_file` (one open file) with its `locking`, `tail`, `whereabouts` and `durability`; `group` (commits
shared by threads), `chain` and `predecessors` (stamps), `rotation`; `counting` and `slots` (the counters file);
`reentry` (signal handlers that append), `ballast`; `failpoints`. In front of it: `async_front`, `logging_handler`.
"""

from __future__ import annotations

from auditwatch.writer.audit_writer import AuditWriter

__all__ = ["AuditWriter"]
