"""The real logrotate under stamping writers: nothing is lost, and the chain goes on through every file."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from tests.faults.abilities import need
from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.known_writers import WITHOUT
from tests.faults.nursery import Nursery, Writer
from tests.faults.oracle import chain_breaks, segments, survey
from tests.faults.programme import Note, patient, report, rounds

pytestmark = [patient]

PROCESSES = 4
CONFIGURATION = """{trail} {{
    rotate 1000
    size 1
    nocreate
    missingok
    nocompress
    su root root
}}
"""


def rotate_under_load(
    nursery: Nursery, directory: Path, rotations: int, writer: dict[str, object]
) -> tuple[Path, Acknowledgements]:
    """Let logrotate rotate while processes append; returns the trail and what they reported."""
    directory.mkdir(mode=0o700)
    (directory / "trail").mkdir(mode=0o700)
    trail, configuration = directory / "trail" / "audit.jsonl", directory / "logrotate.conf"
    configuration.write_text(CONFIGURATION.format(trail=trail))
    configuration.chmod(0o600)
    told = Acknowledgements(directory / "told", PROCESSES)
    nursery.spawn(
        [
            Writer(str(trail), str(directory / "told"), number, rest_seconds=1e-4, **writer)  # type: ignore[arg-type]
            for number in range(PROCESSES)
        ]
    )
    dice = random.Random()
    for _ in range(rotations):
        told.wait_for_more(dice.randrange(1, 600), Outcome.ACKNOWLEDGED)
        command = ["logrotate", "--force", "--state", directory / "state", configuration]
        subprocess.run(command, check=True, capture_output=True)
    told.note_end()
    assert nursery.reap() == [0] * PROCESSES
    return trail, told


def test_the_suite_catches_a_writer_with_no_lock(tmp_path: Path) -> None:
    need("root", "logrotate")
    with Nursery() as nursery:
        for number in range(20):
            trail, told = rotate_under_load(
                nursery, tmp_path / str(number), 2, {"homemade": True, "options": WITHOUT["no lock"]}
            )
            if survey(trail, told).faults:
                return
    raise AssertionError("not caught")


def test_under_logrotate_nothing_is_lost_and_the_chain_goes_on(tmp_path: Path, record_property: Note) -> None:
    need("root", "logrotate")
    rotations = rounds(50, 4)
    with Nursery() as nursery:
        trail, told = rotate_under_load(nursery, tmp_path / "load", rotations, {"options": {"stamp": True}})
    found = survey(trail, told)
    files = segments(trail)
    assert found.faults == {}
    assert (found.ended, found.unended) == (0, 0)
    assert len(files) == rotations + trail.exists()
    assert chain_breaks(files) == []
    seen = f"{told.count(Outcome.ACKNOWLEDGED):,} acknowledged by {PROCESSES} writers; 0 lost, one unbroken chain"
    report(record_property, "logrotate, nocreate", rotations, "rotations", seen)
