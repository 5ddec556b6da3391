"""Whoever wants the writer pays for the writer alone: the modules that it loads, all of them."""

from __future__ import annotations

IMPORTED = "from auditwatch import AuditWriter\nprint(*sys.modules)"

USED = """
from auditwatch import AuditWriter
with AuditWriter(sys.argv[1]) as writer:
    writer.append({"a": 1, "big": 2**70, "none": None})
print(*sys.modules)
"""

OURS = {
    "auditwatch", "auditwatch._version", "auditwatch.errors", "auditwatch.host", "auditwatch.host.durable",
    "auditwatch.host.filesystems", "auditwatch.host.locks", "auditwatch.trail", "auditwatch.trail.counters",
    "auditwatch.trail.limits", "auditwatch.trail.names", "auditwatch.trail.own",
    "auditwatch.writer", "auditwatch.writer.audit_writer",
    "auditwatch.writer.counting", "auditwatch.writer.durability", "auditwatch.writer.equipment",
    "auditwatch.writer.failpoints", "auditwatch.writer.failures", "auditwatch.writer.forks",
    "auditwatch.writer.locking", "auditwatch.writer.opening",
    "auditwatch.writer.predecessors", "auditwatch.writer.reentry",
    "auditwatch.writer.serialise", "auditwatch.writer.settings", "auditwatch.writer.slots", "auditwatch.writer.tail",
    "auditwatch.writer.timestamp", "auditwatch.writer.trail_file", "auditwatch.writer.whereabouts",
}  # fmt: skip

THEIRS = {
    "__future__", "_ast", "_blake2", "_collections", "_datetime", "_functools", "_hashlib", "_json",
    "_opcode", "_operator", "_sre", "_struct", "_typing", "_uuid", "_weakrefset", "ast", "collections",
    "collections.abc", "contextlib", "copy", "copyreg", "dataclasses", "datetime", "dis", "enum", "errno",
    "fcntl", "functools", "hashlib", "importlib", "importlib._bootstrap", "importlib._bootstrap_external",
    "importlib.machinery", "inspect", "itertools", "json", "json.decoder", "json.encoder", "json.scanner", "keyword",
    "linecache", "math", "mmap", "opcode", "operator", "orjson", "orjson.orjson", "platform", "re", "re._casefix",
    "re._compiler", "re._constants", "re._parser", "reprlib", "struct", "threading", "token", "tokenize",
    "types", "typing", "typing.io", "typing.re", "uuid", "warnings", "weakref",
    # What later Pythons split off from these.
    "_colorize", "_opcode_metadata", "_py_warnings", "_string", "_suggestions", "_tokenize", "_zoneinfo",
    "annotationlib", "importlib._abc", "string", "zoneinfo", "zoneinfo._common", "zoneinfo._tzpath",
}  # fmt: skip
"""orjson, and what it and the writer take from the standard library. No asyncio (40 ms), logging, socket,
subprocess, random; nothing of the extra `agent`."""


def loaded(run, script, *arguments):
    """What a script has loaded that a bare interpreter has not."""
    return set(run(script, *arguments).split()) - set(run("print(*sys.modules)").split())


def test_importing_the_writer_loads_its_own_floor_orjson_and_a_fixed_list_of_the_standard_library(run):
    modules = loaded(run, IMPORTED)
    assert {name for name in modules if name.startswith("auditwatch")} == OURS
    assert modules - OURS - THEIRS == set()


def test_appending_loads_nothing_more(tmp_path, run):
    assert loaded(run, USED, tmp_path / "audit.jsonl") == loaded(run, IMPORTED)
