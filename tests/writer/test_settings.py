"""Settings: what no writer can have is refused at once, by name, and with what it must be."""

from __future__ import annotations

import pytest

from auditwatch import AuditHandler, AuditWriter
from auditwatch.testing import InMemoryAuditWriter
from auditwatch.writer.settings import Settings

WRONG = {
    "lock_path": ["", b"lock", 5, "a\0b"],
    "lock_timeout": ["5", None, -1, float("nan"), float("inf"), 1e300, True, [1]],
    "max_line_bytes": ["1MB", 1, 1.5, None, True],
    "timestamp_field": [5, True, b"timestamp", "_seq", "_prev", "_auditwatch"],
    "default": ["str", 5],
    "dumps": ["json", 5],
    "on_failure": ["log", None, 5],
    "file_mode": ["0640", 640, 0o440, None, 6.4, True, -1],
    "allow_network": ["no", 1, None],
    "durability": ["fsync", None, 5, ["power"], True],
    "sync_interval": [0, -1, "1", None, float("nan"), float("inf"), True],
    "stamp": ["no", 0, 1, None],
    "rotate_bytes": ["10MB", 0, -5, 1e6, float("inf"), True],
    "rotate_every": ["1h", 0, -1, float("nan"), float("inf"), True],
    "ballast_bytes": ["1MB", 0, -1, 1.5, True],
    "reentrant": ["before", None, True],
}
RIGHT = {
    "lock_path": [None],
    "lock_timeout": [0, 0.0, 5, 1e6],
    "max_line_bytes": [2, 1 << 30],
    "timestamp_field": [None, "", "at", "ts_ns"],
    "default": [None, str],
    "dumps": [None, repr],
    "on_failure": ["raise", print],
    "file_mode": [0o600, 0o640, 0o666, 0o777],
    "allow_network": [True, False],
    "durability": ["process", "interval", "power"],
    "sync_interval": [0.001, 1, 3600],
    "stamp": [True, False],
    "rotate_bytes": [None, 1, 1 << 40],
    "rotate_every": [None, 0.1, 86400],
    "ballast_bytes": [None, 1],
    "reentrant": ["raise", "after"],
}


def test_every_setting_is_in_the_tables():
    assert {"path", *WRONG} == {"path", *RIGHT} == set(Settings._fields)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_setting_is_refused_at_once_by_name_and_touches_no_file(tmp_path, name, value):
    for kind in (AuditWriter, InMemoryAuditWriter, AuditHandler):
        with pytest.raises(ValueError, match=f"^{name} must be .*, not "):
            kind(tmp_path / "audit.jsonl", **{name: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in RIGHT for value in RIGHT[name]])
def test_a_right_one_is_taken(tmp_path, name, value):
    InMemoryAuditWriter(tmp_path / "audit.jsonl", **{name: value}).close()


@pytest.mark.parametrize("path", ["", b"/tmp/audit.jsonl", None, 5, "a\0b"])
def test_a_path_that_cannot_be_one_is_refused(path):
    with pytest.raises(ValueError, match=r"^path must be the path of a file as text, not "):
        AuditWriter(path)


def test_a_path_in_bytes_comes_with_the_remedy():
    with pytest.raises(ValueError, match=r"os\.fsdecode"):
        AuditWriter(b"audit.jsonl")
