"""Whoever wants the writer pays for the writer alone."""

from __future__ import annotations

LOADED = """
from auditwatch import AuditWriter
import json as _
with AuditWriter(sys.argv[1]) as writer:
    writer.append({"a": 1, "big": 2**70, "none": None})
print(*sorted(sys.modules))
"""

HEAVY = {
    "msgspec", "asyncio", "logging", "blake3", "click", "pydantic", "watchdog", "apscheduler", "prometheus_client",
    "yaml", "rich", "starlette", "uvicorn", "jinja2", "sqlite3", "multiprocessing", "concurrent", "subprocess",
    "socket", "ssl", "random", "tempfile", "pathlib",
}  # fmt: skip

OURS = {
    "auditwatch", "auditwatch._version", "auditwatch.errors", "auditwatch.host", "auditwatch.host.durable",
    "auditwatch.host.filesystems", "auditwatch.host.locks", "auditwatch.trail", "auditwatch.trail.counters",
    "auditwatch.trail.kinds", "auditwatch.trail.names", "auditwatch.trail.own", "auditwatch.trail.rules",
    "auditwatch.trail.stamp",
}  # fmt: skip


def test_the_writer_loads_its_own_floor_and_nothing_heavy(tmp_path, run):
    loaded = set(run(LOADED, tmp_path / "audit.jsonl").split())
    # orjson brings some of the standard library along, and so may a bare interpreter.
    bare = set(run("import orjson; orjson.dumps({})\nprint(*sys.modules)").split())
    assert {name.partition(".")[0] for name in loaded - bare} & HEAVY == set()
    ours = {name for name in loaded if name.startswith("auditwatch")}
    assert {name for name in ours if not name.startswith("auditwatch.writer")} == OURS
