"""The writer that producers put into their own process: one JSON object a line, whole or not there.

What `AuditWriter.append` guarantees when it returns:

* the line lies in the trail in full, ended by its newline, in one piece, whoever else appends: threads and
  processes with this writer, or with any code that takes `flock(LOCK_EX)` on the trail as `origin.md` does;
* it lies in the file that bears the trail's name, also after somebody renamed or removed the old one;
* it survives the death of the process by kill -9; with `durability="power"` a power cut too.

When it raises `AuditWriteError`, `stored` says whether the line may be there: "no" is certain. A piece that a
full disk left is taken back, if nobody appended behind it. What somebody else left torn is never removed: it is
ended with a newline and a record that says so, in the same write as the caller's line.

It goes into trading processes: of this package it imports `host`, `trail` and `errors`, beyond it the standard
library's light parts alone, and orjson where a trail is opened. It logs nothing, and starts no thread but those that
`durability="interval"` and `append_async` need.

What it is made of: `audit_writer` (the front), `serialise`; `appender` (from lines to acknowledged), `equipment`;
`trail_file` (one open file) with its `locking`, `tail`, `whereabouts` and `durability`; `group` (commits of many
threads), `chain` and `predecessors` (stamps), `rotation`; `counting` and `slots` (the counters file); `reentry` (signal
handlers that append), `ballast`; `failpoints`. In front of it: `async_front`, `logging_handler`.
"""

from __future__ import annotations

from auditwatch.writer.audit_writer import AuditWriter

__all__ = ["AuditWriter"]
