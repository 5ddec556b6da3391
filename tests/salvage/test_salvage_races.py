"""Judge and salvage on trails that were really damaged, held against what was really written.

AUDITWATCH_RACE_ROUNDS says how many trails a scene.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auditwatch.salvage.dissect import Confidence
from auditwatch.salvage.readings import salvage, survey
from auditwatch.salvage.results import Leftover, RecoveredRecord
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from tests.salvage.races import Truth, punch_holes, race
from tests.trail.judge.slow_judge import slow_kind

ROUNDS = int(os.environ.get("AUDITWATCH_RACE_ROUNDS", "1"))


@dataclass
class Tally:
    """What came back, compared with what was written.

    Attributes:
        there: Records that damaged lines contain in full, in trails with a whole line: without one, nothing shows how
            records of the trail begin, and only at the start of a line is a record distinct from a nested object.
        back: How many of them were recovered.
        right: How many recovered records had been written, by confidence.
        wrong: How many recovered records had never been written.
    """

    there: int = 0
    back: int = 0
    damaged_lines: int = 0
    right: Counter[Confidence] = field(default_factory=Counter)
    wrong: Counter[Confidence] = field(default_factory=Counter)
    _found: set[bytes] = field(default_factory=set)
    _written: frozenset[bytes] = frozenset()

    def recovered(self, found: RecoveredRecord) -> None:
        self._found.add(found.record)
        (self.right if found.record in self._written else self.wrong)[found.confidence] += 1

    def leftover(self, left: Leftover) -> None:
        assert left.source.length >= 0

    def replaced(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        assert start < end
        assert len(found) <= end - start
        self.damaged_lines += 1

    def take(self, trail: Path, written: frozenset[bytes], still_there: set[bytes]) -> None:
        """Salvage a trail of which this is known."""
        self._written = written
        self._found.clear()
        descriptor = os.open(trail, os.O_RDONLY)
        try:
            known = survey(descriptor, os.fstat(descriptor).st_size, Rules(), final=True)
            salvage(descriptor, known, Rules(), self, final=True)
        finally:
            os.close(descriptor)
        if known.records:
            self.there += len(still_there)
            self.back += len(still_there & self._found)

    def __str__(self) -> str:
        rates = [f"{one}: {self.right[one]} right, {self.wrong[one]} wrong" for one in Confidence]
        return f"{self.damaged_lines} damaged lines, {self.back} of {self.there} back; {'; '.join(rates)}"


def assert_judged_as_it_is(truth: Truth) -> None:
    """No line that is a record is accused; every other line is what the slow judge calls it."""
    scan = Scan(Rules())
    scan.feed(truth.path.read_bytes())
    accused = {defect.offset: defect.kind.value for defect in scan.finish(final=True).defects}
    offset, expected = 0, {}
    *lines, tail = truth.path.read_bytes().split(b"\n")
    for line in lines:
        if line not in truth.written and (kind := slow_kind(line)) is not None:
            expected[offset] = kind
        offset += len(line) + 1
    assert accused == (expected | {offset: "torn"} if tail else expected)


SCENES = {
    "two_writes": (["two_writes"], 300, False, 0),
    "halves": (["halves", "one_write", "one_write", "one_write"], 300, False, 0),
    "json_dump": (["json_dump"], 40, False, 0),
    "no_o_append": (["no_o_append"], 300, False, 0),
    "mixed": (["two_writes", "halves", "json_dump", "no_o_append", "one_write"], 100, False, 0),
    "killed": (["halves", "two_writes", "json_dump"], 1500, True, 0),
    "holes": (["one_write", "two_writes", "halves"], 200, False, 10),
}


@pytest.mark.concurrency
@pytest.mark.parametrize("scene", SCENES)
def test_every_bad_line_is_found_what_is_still_there_comes_back_and_what_is_certain_was_written(
    tmp_path: Path, scene: str, record_property: Callable[[str, object], None]
) -> None:
    patterns, count, kill, holes = SCENES[scene]
    tally = Tally()
    for seed in range(ROUNDS):
        directory = tmp_path / str(seed)
        directory.mkdir()
        truth = race(directory, patterns, count, seed, kill)
        if holes:
            punch_holes(truth.path, holes, seed)
        assert_judged_as_it_is(truth)
        tally.take(truth.path, truth.written, truth.still_there())
    record_property("rates", str(tally))
    print(f"{scene}: {tally}")  # noqa: T201  pytest -rP shows the rates
    assert tally.damaged_lines > 0
    assert tally.back >= 0.95 * tally.there
    assert tally.wrong[Confidence.CERTAIN] == 0
