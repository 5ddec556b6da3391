"""A program that uses the writer loads the writer only: all the modules that it loads."""

from __future__ import annotations

IMPORTED = "from auditwatch import AuditWriter\nprint(*sys.modules)"

OPENED = """
from auditwatch import AuditWriter
with AuditWriter(sys.argv[1]) as writer:
    print(*sys.modules)
"""

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
    "auditwatch.writer", "auditwatch.writer.appender", "auditwatch.writer.audit_writer",
    "auditwatch.writer.counting", "auditwatch.writer.durability", "auditwatch.writer.equipment",
    "auditwatch.writer.failpoints", "auditwatch.writer.failures", "auditwatch.writer.forks",
    "auditwatch.writer.locking", "auditwatch.writer.opening",
    "auditwatch.writer.predecessors", "auditwatch.writer.reentry",
    "auditwatch.writer.settings", "auditwatch.writer.slots", "auditwatch.writer.tail",
    "auditwatch.writer.timestamp", "auditwatch.writer.trail_file", "auditwatch.writer.whereabouts",
}  # fmt: skip

THEIRS = {
    "__future__", "_blake2", "_collections", "_functools", "_hashlib", "_json", "_operator", "_sre", "_struct",
    "_typing", "_weakrefset", "collections", "collections.abc", "contextlib", "copyreg", "enum", "errno", "fcntl",
    "functools", "hashlib", "importlib", "importlib._bootstrap", "importlib._bootstrap_external", "itertools", "json",
    "json.decoder", "json.encoder", "json.scanner", "keyword", "mmap", "operator", "re", "re._casefix", "re._compiler",
    "re._constants", "re._parser", "reprlib", "struct", "threading", "types", "typing", "typing.io", "typing.re",
    "warnings", "weakref",
    "_py_warnings",  # what a later Python split off from these
}  # fmt: skip
"""What the writer takes from the standard library. No asyncio (40 ms), logging, socket, subprocess, random; no orjson
before a trail is opened; nothing of the extra `agent`."""

ORJSONS = {
    "_ast", "_datetime", "_opcode", "_uuid", "ast", "copy", "dataclasses", "datetime", "dis", "importlib.machinery",
    "inspect", "linecache", "math", "opcode", "orjson", "orjson.orjson", "platform", "token", "tokenize", "uuid",
    # What later Pythons split off from these.
    "_colorize", "_opcode_metadata", "_string", "_suggestions", "_tokenize", "_zoneinfo", "annotationlib",
    "importlib._abc", "string", "zoneinfo", "zoneinfo._common", "zoneinfo._tzpath",
}  # fmt: skip
"""orjson, and what it takes from the standard library."""


def loaded(run, script, *arguments):
    """What a script has loaded that a bare interpreter has not."""
    return set(run(script, *arguments).split()) - set(run("print(*sys.modules)").split())


def test_importing_the_writer_loads_its_own_floor_and_a_fixed_list_of_the_standard_library(run):
    modules = loaded(run, IMPORTED)
    assert {name for name in modules if name.startswith("auditwatch")} == OURS
    assert modules - OURS - THEIRS == set()


def test_opening_loads_the_serialiser_with_orjson(tmp_path, run):
    modules = loaded(run, OPENED, tmp_path / "audit.jsonl")
    assert "orjson" in modules
    assert {name for name in modules if name.startswith("auditwatch")} == OURS | {
        "auditwatch.writer.culprit",
        "auditwatch.writer.serialise",
    }
    assert modules - OURS - {"auditwatch.writer.culprit", "auditwatch.writer.serialise"} - THEIRS - ORJSONS == set()


def test_appending_loads_nothing_more(tmp_path, run):
    trail = tmp_path / "audit.jsonl"
    assert loaded(run, USED, trail) == loaded(run, OPENED, trail)


UNLOADABLE = """
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "orjson":
            raise OSError(errno.EMFILE, "Too many open files")
import errno
sys.meta_path.insert(0, Broken())
from auditwatch import AuditWriteError, AuditWriter
try:
    AuditWriter(sys.argv[1])
except AuditWriteError as error:
    assert (error.stored, error.reason) == ("no", "unserialisable"), error
    assert "orjson cannot be loaded: [Errno 24] Too many open files" in str(error)
told = []
writer = AuditWriter(sys.argv[1], on_failure=told.append)
writer.append({"a": 1})
writer.append_line(b'{"a":2}')
del sys.meta_path[0]
writer.append({"a": 3})
writer.append_line(b'{"a":4}')
print(*(f"{error.stored} {error.reason}" for error in told), sep=",")
"""


def test_who_cannot_load_the_serialiser_is_told_and_tries_again(tmp_path, run, records):
    trail = tmp_path / "audit.jsonl"
    assert run(UNLOADABLE, trail) == "no unserialisable,no unserialisable,no unserialisable\n"
    assert [record["a"] for record in records(trail)] == [3, 4]


FORKED = """
import os, threading
from auditwatch import AuditWriter
loading, forked = threading.Event(), threading.Event()
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "orjson":
            loading.set()
            forked.wait(0.5)  # in vain: a fork waits for the end of this
sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=AuditWriter, args=(sys.argv[1],))
thread.start()
loading.wait()
child = os.fork()
forked.set()
if not child:
    AuditWriter(sys.argv[1]).append({"by": "child"})
    os._exit(0)
thread.join()
print(os.waitpid(child, 0)[1])
"""


def test_a_child_that_is_forked_while_a_thread_loads_can_load_too(tmp_path, run, records):
    """The lock of a module that a thread of the parent was loading would never be given back."""
    assert run(FORKED, tmp_path / "audit.jsonl") == "0\n"
    assert [record["by"] for record in records(tmp_path / "audit.jsonl")] == ["child"]
