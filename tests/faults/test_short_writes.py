"""Writes that take fewer bytes than given: whatever `append` says, no torn line is there when it has said it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.faults.abilities import mounted, need
from tests.faults.cramped import ANSWER_BYTES
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import ROOT
from tests.faults.programme import LONG, Note, patient, report

pytestmark = [patient]

NEEDS = {"limit": [], "disk": ["root", "tmpfs"], "chance": ["fiu-run"]}
CHANCE = ["fiu-run", "-x", "-c", "enable_random name=posix/io/rw/write/reduce,probability=0.4"]
NO_FAULT = {"torn": 0, "lost": 0, "unwanted": 0}

PLAIN = {"timestamp_field": None}
STAMPED = {**PLAIN, "stamp": True}
LINES: list[tuple[int, dict[str, Any]]] = [(60, PLAIN)]
if LONG:
    LINES += [(0, PLAIN), (60, STAMPED), (60, {**PLAIN, "durability": "power"}), (700, PLAIN), (3000, PLAIN)]


def cramp(directory: Path, how: str, writer: dict[str, Any]) -> dict[str, int]:
    """What a process saw that appended where writes are cut short like this."""
    need(*NEEDS[how])
    directory.mkdir()
    answer, place = directory / "answer", directory / "place"
    answer.write_bytes(bytes(ANSWER_BYTES))
    place.mkdir()
    small = mounted(place, "-t", "tmpfs", "-o", "size=64k", "tmpfs") if how == "disk" else nullcontext()
    prefix = CHANCE if how == "chance" else []
    asked = ["-m", "tests.faults.cramped", how, str(place / "audit.jsonl"), str(answer), json.dumps(writer)]
    with small:
        subprocess.run([*prefix, sys.executable, *asked], cwd=ROOT, check=True, timeout=600)
    seen: dict[str, int] = json.loads(answer.read_bytes().rstrip(b"\0"))
    return seen


@pytest.mark.parametrize("how", NEEDS)
def test_the_suite_catches_a_writer_with_no_count_check(tmp_path: Path, how: str) -> None:
    bad = cramp(tmp_path / "bad", how, {"homemade": True, "options": WITHOUT["no count check"]})
    assert bad["torn"] > 0
    good = cramp(tmp_path / "good", how, {"homemade": True})
    assert good | NO_FAULT == good
    assert good["raised"] > 0


@pytest.mark.parametrize("how", NEEDS)
def test_no_torn_line_is_there_when_append_has_returned_or_raised(
    tmp_path: Path, how: str, record_property: Note
) -> None:
    totals: Counter[str] = Counter()
    for number, (pad, options) in enumerate(LINES):
        seen = cramp(tmp_path / str(number), how, {"pad": pad, "options": options})
        assert seen | NO_FAULT == seen, (pad, options)
        assert 0 < seen["raised"] < seen["tries"]
        totals.update(seen)
    names = {"limit": "RLIMIT_FSIZE at every byte", "disk": "tmpfs full at every byte", "chance": "fiu-run"}
    seen_of = f"{len(LINES)} kinds of line; {totals['raised']:,} raised; 0 torn, 0 lost"
    report(record_property, f"short writes: {names[how]}", totals["tries"], "appends", seen_of)
