"""The ballast: deleted when the disk is full, the append tried again, laid out again when there is room."""

from __future__ import annotations

import errno
import os
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.trail import counters
from auditwatch.trail.names import segment_order
from auditwatch.writer import ballast

KIB = 1024


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def impatient(monkeypatch):
    """Look for the ballast at every append instead of once a second."""
    monkeypatch.setattr(ballast, "_LOOK_AGAIN_SECONDS", 0.0)


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of 512 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("NOT RUN: a tmpfs cannot be mounted here")
    yield path
    subprocess.run(["umount", path], check=True)


def full_as_long_as(path: Path, monkeypatch) -> None:
    """Let every write fail as on a full disk while there is a file of this name."""
    true_write = os.write

    def write(fd, data):
        if path.exists():
            raise OSError(errno.ENOSPC, "full")
        return true_write(fd, data)

    monkeypatch.setattr(os, "write", write)


def place(trail: Path) -> Path:
    return trail.with_name(".audit.jsonl.ballast")


def test_without_being_asked_for_there_is_none(trail):
    with AuditWriter(trail) as writer:
        writer.append({"a": 1})
    assert not place(trail).exists()
    assert writer.ballast_releases == 0


def test_it_takes_up_its_room_for_good_and_only_its_owner_reads_it(trail):
    AuditWriter(trail, ballast_bytes=64 * KIB).close()
    status = place(trail).stat()
    assert (status.st_size, status.st_blocks * 512 >= 64 * KIB, status.st_mode & 0o777) == (64 * KIB, True, 0o600)


def test_at_the_first_full_disk_it_is_released_and_the_append_succeeds(trail, records, monkeypatch):
    writer = AuditWriter(trail, timestamp_field=None, ballast_bytes=64 * KIB)
    full_as_long_as(place(trail), monkeypatch)
    with pytest.warns(RuntimeWarning, match="ballast of 65536 bytes was released; make room"):
        writer.append({"a": 1})
    assert not place(trail).exists()
    assert writer.ballast_releases == 1
    assert records(trail) == [{"a": 1}]
    total = counters.decode(trail.with_name(".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.stored, sum(total.failed)) == (1, 1, 0)


def test_where_it_does_not_help_the_error_is_raised_and_counted_once(trail, monkeypatch):
    writer = AuditWriter(trail, ballast_bytes=64 * KIB)
    full_as_long_as(trail, monkeypatch)
    with pytest.warns(RuntimeWarning, match="released"), pytest.raises(AuditWriteError) as caught:
        writer.append({"a": 1})
    assert (caught.value.reason, caught.value.stored) == ("disk_full", "no")
    total = counters.decode(trail.with_name(".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.stored, total.failed[0]) == (1, 0, 1)


def test_where_a_part_may_be_stored_it_is_released_for_the_next_append(trail, records, monkeypatch):
    writer = AuditWriter(trail, timestamp_field=None, ballast_bytes=64 * KIB)
    true_write = os.write

    def write(fd, data):
        if not place(trail).exists():
            return true_write(fd, data)
        if len(data) == 1:
            raise OSError(errno.ENOSPC, "full")
        return true_write(fd, data[:12])

    monkeypatch.setattr(os, "write", write)
    with pytest.warns(RuntimeWarning, match="released"), pytest.raises(AuditWriteError) as caught:
        writer.append_many([{"a": 1}, {"a": 2}])
    assert (caught.value.reason, caught.value.stored) == ("disk_full", "unknown")
    writer.append({"a": 3})
    assert records(trail) == [{"a": 1}, {"a": 3}]


def test_no_other_failure_releases_it(trail):
    with AuditWriter(trail, ballast_bytes=64 * KIB, max_line_bytes=50) as writer:
        for wrong in ({"a": "x" * 60}, {"a": {1}}):
            with pytest.raises(AuditWriteError):
                writer.append(wrong)
    assert place(trail).exists()


def test_a_writer_that_failed_while_another_process_released_it_tries_again_too(trail, records, monkeypatch):
    writer = AuditWriter(trail, timestamp_field=None, ballast_bytes=64 * KIB)

    def overtaken(fd, data):
        monkeypatch.undo()
        place(trail).unlink()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", overtaken)
    writer.append({"a": 1})
    assert records(trail) == [{"a": 1}]
    assert writer.ballast_releases == 0


def test_once_there_is_room_again_it_is_laid_out_anew_and_released_anew(trail, impatient, monkeypatch):
    with AuditWriter(trail, ballast_bytes=64 * KIB) as writer:
        for _ in range(2):
            with monkeypatch.context() as full:
                full_as_long_as(place(trail), full)
                with pytest.warns(RuntimeWarning, match="released"):
                    writer.append({"a": 1})
            writer.append({"a": 2})
            assert place(trail).stat().st_size == 64 * KIB
    assert writer.ballast_releases == 2


def test_without_room_for_it_twice_it_is_not_laid_out(trail, impatient, monkeypatch):
    room = os.statvfs(trail.parent)
    length = room.f_bavail * room.f_frsize * 3 // 4
    with AuditWriter(trail, ballast_bytes=length) as writer:
        writer.append({"a": 1})
    assert not place(trail).exists()


def test_where_it_cannot_be_laid_out_there_is_one_warning_and_appends_go_on(trail, impatient, records):
    place(trail).mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with AuditWriter(trail, timestamp_field=None, ballast_bytes=64 * KIB) as writer:
            writer.append({"a": 1})
            writer.append({"a": 2})
    assert [str(warning.message).partition(": ")[2] for warning in caught] == [
        "no ballast, but appends go on: not a regular file"
    ]
    assert records(trail) == [{"a": 1}, {"a": 2}]


def test_a_piece_of_one_that_a_kill_left_is_completed(trail):
    place(trail).write_bytes(b"")
    AuditWriter(trail, ballast_bytes=64 * KIB).close()
    assert place(trail).stat().st_size == 64 * KIB


def test_where_the_trail_is_a_link_it_lies_beside_the_file_itself(trail):
    target = trail.parent / "elsewhere" / "real.jsonl"
    target.parent.mkdir()
    trail.symlink_to(target)
    AuditWriter(trail, ballast_bytes=64 * KIB).close()
    assert target.with_name(".real.jsonl.ballast").exists()
    assert not place(trail).exists()


def test_nobody_takes_it_for_a_segment():
    assert segment_order("audit.jsonl", ballast.ballast_name("audit.jsonl")) is None


def test_a_link_in_its_place_is_left_alone(trail):
    target = trail.with_name("precious")
    target.write_bytes(b"x")
    place(trail).symlink_to(target)
    with pytest.warns(RuntimeWarning, match="no ballast"):
        AuditWriter(trail, ballast_bytes=64 * KIB).close()
    assert target.read_bytes() == b"x"


def test_on_a_disk_that_really_fills_it_buys_its_bytes_and_comes_back(disk, impatient, records):
    trail = disk / "audit.jsonl"
    reasons = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with AuditWriter(trail, timestamp_field=None, ballast_bytes=128 * KIB) as writer:
            (disk / "filler").write_bytes(bytes(256 * KIB))
            at_release = None
            for number in range(400):
                try:
                    writer.append({"number": number, "pad": "x" * 997})
                except AuditWriteError as error:
                    reasons.append((error.reason, error.stored))
                at_release = at_release or (writer.ballast_releases and trail.stat().st_size)
            full = trail.stat().st_size
            assert not place(trail).exists()
            (disk / "filler").unlink()
            writer.append({"number": 400})
            assert place(trail).stat().st_size == 128 * KIB
    assert (writer.ballast_releases, len([w for w in caught if "released" in str(w.message)])) == (1, 1)
    assert full - at_release >= 120 * KIB
    assert set(reasons) == {("disk_full", "no")}
    assert len(records(trail)) == 401 - len(reasons)
    total = counters.decode((disk / ".audit.jsonl.counters").read_bytes()).total
    assert (total.begun, total.stored, sum(total.failed)) == (401, 401 - len(reasons), len(reasons))


def test_a_size_that_cannot_be_is_said_at_once(trail):
    with pytest.raises(ValueError, match="ballast_bytes must be a number above 0"):
        AuditWriter(trail, ballast_bytes=0)
