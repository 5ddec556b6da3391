"""Short writes and full disks: nothing torn is left in the trail, and the error tells the truth."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from auditwatch import AuditWriter
from auditwatch.trail import counters
from auditwatch.trail.own import parse_own

SHORT = """
import resource, os, json
from auditwatch import AuditWriter, AuditWriteError
path = sys.argv[1]
line = {"event": "X", "text": "12345678"}
writer = AuditWriter(path, timestamp_field=None)
writer.append(line)
size = os.path.getsize(path)
for room in range(size):
    # Only the soft limit: the counters file lies beside, preallocated and larger than the limit.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
    try:
        writer.append(line)
    except AuditWriteError as error:
        print(json.dumps([room, error.stored, error.reason, os.path.getsize(path) - size, str(error)]))
    else:
        print(json.dumps([room, "?", "", 0, ""]))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.append(line)
"""


def test_a_write_cut_short_at_any_byte_leaves_nothing_and_the_next_one_works(tmp_path, run, records):
    path = tmp_path / "audit.jsonl"
    found = [json.loads(line) for line in run(SHORT, path).splitlines()]
    length = path.stat().st_size // 2
    assert [row[0] for row in found] == list(range(length))
    assert {tuple(row[1:4]) for row in found} == {("no", "quota", 0)}
    assert not any("12345678" in row[4] for row in found)
    assert records(path) == [{"event": "X", "text": "12345678"}] * 2


SHORT_AT_EACH_BYTE = """
import itertools, json, os, resource
from auditwatch import AuditWriteError, AuditWriter
directory, torn, count = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
for room in itertools.count():
    path = f"{directory}/{room}.jsonl"
    open(path, "wb").write(torn)
    stored = "yes"
    with AuditWriter(path, timestamp_field=None) as writer:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(torn) + room, resource.RLIM_INFINITY))
        try:
            writer.append_many([{"n": n} for n in range(count)])
        except AuditWriteError as error:
            stored = error.stored
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        kept = open(path, "rb").read()
        writer.append({"last": True})
    print(json.dumps([stored, kept.decode(), open(path, "rb").read().decode()]))
    if stored == "yes":
        break
"""


def test_a_recovery_cut_short_at_any_byte_takes_no_line_back_that_somebody_may_have_judged(tmp_path, run):
    out = re.sub(r"\d\d:\d\d:\d\d\.\d+", "TT:TT:TT.TTTTTT", run(SHORT_AT_EACH_BYTE, tmp_path, "{torn", 1))
    *rows, (stored, full, _) = map(json.loads, out.splitlines())
    assert stored == "yes"
    assert parse_own(full.split("\n")[1].encode()).length == 5
    for room, (stored, kept, after) in enumerate(rows):
        whole = full[: 5 + room].rfind("\n") + 1
        assert (stored, kept) == ("no", full[:whole] if whole else "{torn")
        assert after == (kept + '{"last":true}\n' if whole else full.replace('{"n":0}', '{"last":true}'))


def test_of_many_records_cut_short_the_whole_ones_stay_and_the_error_says_that_it_may_be_so(tmp_path, run):
    *rows, (stored, full, _) = map(json.loads, run(SHORT_AT_EACH_BYTE, tmp_path, "", 3).splitlines())
    assert (stored, full) == ("yes", '{"n":0}\n{"n":1}\n{"n":2}\n')
    for room, (stored, kept, after) in enumerate(rows):
        assert kept == full[: full[:room].rfind("\n") + 1]
        assert stored == ("unknown" if kept else "no")
        assert after == kept + '{"last":true}\n'


DISK = """
import json, os
from auditwatch import AuditWriter, AuditWriteError
path, ballast = sys.argv[1], sys.argv[2]
writer = AuditWriter(path, timestamp_field=None)
stored = failed = 0
reasons = set()
def go(rounds):
    global stored, failed
    for number in range(rounds):
        try:
            writer.append({"number": number, "pad": "x" * 997})
            stored += 1
        except AuditWriteError as error:
            failed += 1
            reasons.add((error.reason, error.stored))
go(400)
os.unlink(ballast)
go(20)
print(json.dumps([stored, failed, sorted(reasons)]))
"""


def test_on_a_full_disk_each_record_is_stored_or_raised_and_afterwards_it_goes_on(tmp_path, run, records):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("NOT RUN: a tmpfs cannot be mounted here")
    try:
        (disk / "ballast").write_bytes(b"b" * 65536)
        stored, failed, reasons = json.loads(run(DISK, disk / "audit.jsonl", disk / "ballast"))
        found = records(disk / "audit.jsonl")
        total = counters.decode((disk / ".audit.jsonl.counters").read_bytes()).total
    finally:
        subprocess.run(["umount", disk], check=True)
    assert stored + failed == 420
    assert failed > 0
    assert reasons == [["disk_full", "no"]]
    assert [record["number"] for record in found[-20:]] == list(range(20))
    assert (len(found), total.stored) == (stored, stored)
    assert (sum(total.failed), total.failed[0]) == (failed, failed)


def test_an_append_only_file_takes_records_and_a_torn_tail_is_ended(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"{torn")
    if (
        shutil.which("chattr") is None
        or subprocess.run(["chattr", "+a", path], capture_output=True, check=False).returncode
    ):
        pytest.skip("NOT RUN: chattr +a does not work here")
    try:
        with AuditWriter(path, timestamp_field=None) as writer:
            writer.append({"a": 1})
    finally:
        subprocess.run(["chattr", "-a", path], check=True)
    lines = path.read_bytes().split(b"\n")
    assert (lines[0], lines[2:]) == (b"{torn", [b'{"a":1}', b""])


REFUSED = """
import sys
sys.path.insert(0, sys.argv[1])
from auditwatch import AuditWriter, AuditWriteError
try:
    AuditWriter(sys.argv[2])
except AuditWriteError as error:
    print(error.reason, error.stored)
"""


def test_a_read_only_trail_is_a_permission_error_and_says_so(tmp_path):
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("NOT RUN: no way to give up the powers of root here")
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"")
    path.chmod(0o444)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-c", REFUSED, str(Path(__file__).parents[2]), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if "setpriv" in result.stderr:
        pytest.skip("NOT RUN: the powers of root cannot be given up here")
    assert result.stdout.split() == ["permission", "no"], result.stderr
