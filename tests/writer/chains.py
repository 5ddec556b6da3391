"""An independent reader of stamped trails: numbers and hashes over segments; the validator judges lines."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan


def lines_of(path: Path) -> list[bytes]:
    data = path.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return data.split(b"\n")[:-1]


def judged(path: Path) -> Report:
    scan = Scan(Rules())
    scan.feed(path.read_bytes())
    return scan.finish(final=True)


def segments(trail: Path) -> list[Path]:
    """Closed segments named by the writer, in order of their numbers, and the active file."""
    closed = trail.parent.glob(f"{trail.stem}-*Z-*{trail.suffix}")
    return [*sorted(closed, key=lambda path: path.stem[-10:]), trail]


def stamps(*paths: Path) -> list[int]:
    """The numbers of all stamped lines; every `_prev` must be right, over all lines of all files."""
    before, numbers = "0" * 64, []
    for line in [line for path in paths for line in lines_of(path)]:
        try:
            record = json.loads(line)
        except ValueError:
            record = {}
        if "_seq" in record:
            assert list(record)[-2:] == ["_seq", "_prev"]
            assert line.endswith(b'"_seq":%d,"_prev":"%b"}' % (record["_seq"], before.encode()))
            numbers.append(record["_seq"])
        before = hashlib.sha256(line).hexdigest()
    return numbers
