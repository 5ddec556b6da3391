"""When the counters file is read again, and when it is left alone."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auditwatch.agent.place import Place
from auditwatch.agent.probes import Count, Glance, look_at_counters
from auditwatch.trail.counters import FILE_BYTES, Header, Slot, counters_name, encode_header, encode_slot

CHANGED = 1_800_000_000.0


@dataclass
class Looker:
    """Looks as a monitor does: what it knows is how the file looked."""

    place: Place
    now: float = CHANGED + 60
    known: Glance | None = field(default=None)

    @property
    def file(self) -> Path:
        return Path(self.place.counters.path)

    def look(self) -> Count | None:
        seen = look_at_counters(self.place, self.known, lambda: self.now)
        if seen is not None:
            self.known = seen.glance
        return seen

    def stored(self) -> int | None:
        """What it learns; None where it does not read."""
        seen = self.look()
        return seen and seen.event.counts.stored

    def publish(self, stored: int, at: float = CHANGED, broken: bytes = b"") -> None:
        """What a writer does, and when the file system says that it did."""
        data = encode_header(Header(b"i" * 16)) + encode_slot(Slot(2, stored=stored)) + broken
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(data.ljust(FILE_BYTES, b"\0"))
        os.utime(self.file, (at, at))


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    return Looker(Place(str(tmp_path / "audit.jsonl")))


def test_it_lies_beside_the_trail(looker: Looker, tmp_path: Path) -> None:
    assert looker.file == tmp_path / counters_name("audit.jsonl")


def test_a_file_that_did_not_change_is_read_once(looker: Looker) -> None:
    looker.publish(3)
    assert [looker.stored(), looker.stored(), looker.stored()] == [3, None, None]
    looker.publish(4, at=CHANGED + 1)
    assert [looker.stored(), looker.stored()] == [4, None]


def test_a_change_in_the_tick_of_the_clock_in_which_it_was_read_is_not_missed(looker: Looker) -> None:
    looker.now = CHANGED + 0.004
    looker.publish(3)
    assert looker.stored() == 3
    looker.publish(4)  # the same modification time
    looker.now = CHANGED + 1
    assert [looker.stored(), looker.stored()] == [4, None]


def test_a_file_that_was_caught_half_written_is_read_again(looker: Looker) -> None:
    looker.publish(3, broken=encode_slot(Slot(4, stored=5))[:-72])
    assert [looker.stored(), looker.stored()] == [3, 3]


def test_a_missing_file_is_told_once(looker: Looker) -> None:
    seen = looker.look()
    assert seen
    assert seen.event.trouble == "no counters file"
    assert looker.look() is None
    looker.publish(3)
    assert looker.stored() == 3


def test_what_cannot_be_read_is_tried_again_for_permissions_change_no_time(looker: Looker) -> None:
    looker.file.write_bytes(b"x")
    for _ in range(2):
        seen = looker.look()
        assert seen
        assert "not a counters file of this version" in seen.event.trouble
