"""One rename under the lock; at every point of a kill the acknowledged lines are found and the chain goes on."""

from __future__ import annotations

import os
import re
import signal

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail.names import segment_order
from auditwatch.trail.own import parse_own
from auditwatch.writer import rotation
from tests.writer.chains import judged, lines_of, segments, stamps

PLAIN = {"timestamp_field": None}


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


def test_a_line_that_would_make_the_file_too_large_goes_into_a_new_one(trail):
    with AuditWriter(trail, rotate_bytes=24, **PLAIN) as writer:
        for number in range(4):
            writer.append({"a": number})
    closed, active = segments(trail)
    assert lines_of(closed) == [b'{"a":0}', b'{"a":1}', b'{"a":2}']
    own, line = lines_of(active)
    assert parse_own(own).segment == closed.name
    assert line == b'{"a":3}'


def test_no_segment_is_larger_than_asked_for_stamps_included(trail):
    with AuditWriter(trail, rotate_bytes=2000, stamp=True, **PLAIN) as writer:
        for number in range(100):
            writer.append({"a": number})
    sizes = [path.stat().st_size for path in segments(trail)]
    assert len(sizes) > 5
    assert max(sizes) <= 2000


def test_a_torn_tail_is_ended_and_named_before_its_file_is_renamed(trail):
    with AuditWriter(trail, rotate_bytes=100, stamp=True, **PLAIN) as writer:
        writer.append({"a": 1})
        with trail.open("ab") as other:
            other.write(b'{"a":')
        writer.append({"a": 2})
        writer.append({"a": 3})
    closed, active = segments(trail)
    _, torn, own, behind = lines_of(closed)
    assert (torn, parse_own(own).length) == (b'{"a":', 5)
    assert behind.startswith(b'{"a":2,')
    assert lines_of(active)[-1].startswith(b'{"a":3,')
    assert stamps(closed, active) == [1, 2, 3, 4, 5]
    assert judged(closed).corrupt_lines == 1


def test_a_poisoned_file_is_renamed_with_its_torn_tail_for_nobody_can_end_it(trail):
    with AuditWriter(trail, rotate_bytes=20, **PLAIN) as writer:
        writer.append({"a": 1})
        writer._appender._trail.poison()
        with trail.open("ab") as other:
            other.write(b'{"a":"............')
        writer.append({"a": 2})
    closed, active = segments(trail)
    assert closed.read_bytes().endswith(b"....")
    assert lines_of(active)[-1] == b'{"a":2}'


def test_segments_are_numbered_and_sort_as_the_agent_sorts_them(trail):
    with AuditWriter(trail, rotate_bytes=300, **PLAIN) as writer:
        for number in range(100):
            writer.append({"a": number})
    names = [path.name for path in segments(trail)]
    assert all(re.fullmatch(r"audit-\d{8}T\d{12}Z-\d{10}\.jsonl", name) for name in names[:-1])
    assert [int(name[-16:-6]) for name in names[:-1]] == list(range(1, len(names)))
    assert sorted(names, key=lambda name: segment_order("audit.jsonl", name)) == names
    found = [line for path in segments(trail) for line in lines_of(path) if parse_own(line) is None]
    assert found == [b'{"a":%d}' % number for number in range(100)]


def test_a_fresh_writer_goes_on_counting_segments_also_compressed_ones(trail):
    trail.with_name("audit-20251007T000000000000Z-0000000041.jsonl.gz").write_bytes(b"")
    trail.write_bytes(b'{"a":1}\n')
    with AuditWriter(trail, rotate_bytes=9, **PLAIN) as writer:
        writer.append({"a": 2})
    assert segments(trail)[0].stem.endswith("Z-0000000042")


def test_a_file_is_never_renamed_onto_another_and_the_append_goes_on(trail, monkeypatch):
    taken = trail.with_name("audit-20251007T000000000001Z-0000000001.jsonl")
    monkeypatch.setattr(rotation, "segment_name", lambda *_: taken.name)
    monkeypatch.setattr("auditwatch.writer.predecessors.names", lambda _: [])
    taken.write_bytes(b"precious")
    with AuditWriter(trail, rotate_bytes=9, **PLAIN) as writer:
        writer.append({"a": 1})
        with pytest.warns(RuntimeWarning, match="not rotated, but appends go on"):
            writer.append({"a": 2})
        writer.append({"a": 3})  # a second warning would be an error here
    assert taken.read_bytes() == b"precious"
    assert len(lines_of(trail)) == 3


def test_a_line_longer_than_the_limit_of_the_file_is_stored_alone(trail):
    with AuditWriter(trail, rotate_bytes=10, **PLAIN) as writer:
        writer.append({"a": "x" * 100})
        writer.append({"a": 1})
    assert [path.read_bytes().count(b"\n") for path in segments(trail)] == [1, 2]


@pytest.mark.parametrize(
    ("begun", "rotated"), [("2020-01-01T00:00:00.000000+00:00", True), (None, False), ("x", False)]
)
def test_the_age_of_a_file_is_that_of_its_first_line(trail, begun, rotated):
    trail.write_bytes(b'{"timestamp":"%b"}\n' % begun.encode() if begun else b"{}\n")
    with AuditWriter(trail, rotate_every=3600) as writer:
        writer.append({"a": 1})
        writer.append({"a": 2})
    assert len(segments(trail)) == 1 + rotated


def test_the_segment_and_its_new_name_are_on_disk_before_the_next_acknowledgement(trail, monkeypatch):
    synced = []
    true_sync = os.fsync

    def sync(descriptor):
        synced.append(sorted(os.listdir(descriptor)) if os.path.isdir(f"/proc/self/fd/{descriptor}") else None)
        true_sync(descriptor)

    writer = AuditWriter(trail, rotate_bytes=10, **PLAIN)
    writer.append({"a": 1})
    monkeypatch.setattr(os, "fsync", sync)
    writer.append({"a": 2})
    closed = segments(trail)[0].name
    assert any(names is not None and closed in names and "audit.jsonl" not in names for names in synced)


def test_the_target_of_a_link_is_rotated_and_the_link_stays(trail, tmp_path):
    (tmp_path / "real").mkdir()
    trail.symlink_to(tmp_path / "real" / "r.jsonl")
    with AuditWriter(trail, rotate_bytes=10, **PLAIN) as writer:
        writer.append({"a": 1})
        writer.append({"a": 2})
    assert trail.is_symlink()
    assert [path.read_bytes().count(b"\n") for path in segments(tmp_path / "real" / "r.jsonl")] == [1, 2]


@pytest.mark.parametrize("wrong", [{"rotate_bytes": 0}, {"rotate_every": -1}])
def test_a_rotation_that_cannot_be_is_said_at_once(trail, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditWriter(trail, **wrong)


PRODUCE = """
import os
os.environ["AUDITWATCH_FAILPOINTS"] = sys.argv[2]
from auditwatch import AuditWriter
writer = AuditWriter(sys.argv[1], stamp=True, rotate_bytes=2000, timestamp_field=None)
for number in range(40):
    writer.append({"who": sys.argv[2], "number": number, "pad": "x" * 50})
    os.write(1, b"%d\\n" % number)
"""

KILLS = [
    "rotate.begin=kill", "rotate.renamed=kill", "rotate.synced=kill", "open.created=kill@2", "append.locked=kill@12",
    "append.written=kill@12", "append.unlocked=kill@12", "rotate.renamed=raise:EIO",
]  # fmt: skip


@pytest.mark.concurrency
@pytest.mark.parametrize("failpoint", KILLS)
def test_after_a_kill_at_any_point_every_acknowledged_line_is_there_and_the_chain_goes_on(trail, start, failpoint):
    process = start(PRODUCE, trail, failpoint)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (0 if "raise" in failpoint else -signal.SIGKILL), err
    with AuditWriter(trail, stamp=True, rotate_bytes=2000, **PLAIN) as writer:
        writer.append({"who": "next"})
    found = segments(trail)
    assert all(judged(path).corrupt_lines == 0 for path in found)
    numbers = stamps(*found)
    assert numbers == list(range(1, len(numbers) + 1))
    stored = b"\n".join(line for path in found for line in lines_of(path))
    acknowledged = [int(line) for line in out.split()]
    assert all(b'"number":%d,' % number in stored for number in acknowledged)
    assert stored.count(b'"number":') <= len(acknowledged) + 1


@pytest.mark.parametrize("wrong", ["append.nowhere=kill", "append.locked=explode"])
def test_a_failpoint_that_there_is_none_of_is_said_at_once(start, trail, wrong):
    process = start(PRODUCE, trail, wrong)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ValueError: AUDITWATCH_FAILPOINTS" in err


@pytest.mark.parametrize("point", ["append.locked", "append.written", "append.unlocked"])
def test_an_error_raised_at_a_point_is_an_audit_write_error(trail, monkeypatch, point):
    from auditwatch.writer import failpoints

    writer = AuditWriter(trail, **PLAIN)
    monkeypatch.setattr(failpoints, "armed", failpoints.parse(f"{point}=raise:ENOSPC@1"))
    with pytest.raises(AuditWriteError) as caught:
        writer.append({"a": 1})
    assert caught.value.reason == "disk_full"
    assert caught.value.stored == ("no" if point == "append.locked" else "unknown")
    writer.append({"a": 2})
    assert lines_of(trail)[-1] == b'{"a":2}'
