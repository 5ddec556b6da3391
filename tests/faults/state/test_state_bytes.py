"""The store, one byte or one bit at a time: cut or flipped anywhere, it never gives another answer in silence."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from auditwatch.config.places import STEP_NAME
from auditwatch.errors import StateNewer
from auditwatch.ledger.damage import Finding
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.state.opening import STORE_NAME
from auditwatch.state.rows import DamagedRow
from auditwatch.state.store import Store
from auditwatch.state.store_file import text
from auditwatch.state.tables import Tables
from tests.faults.programme import LONG, Note, patient, report, rounds
from tests.faults.state.steady import KEY, first, found

pytestmark = [patient]

VERSION = range(60, 64)
"""Where SQLite keeps the version of the schema: a later one is refused, and a person decides."""


@dataclass(frozen=True)
class Killed:
    """What a kill left: the newest state, and the files, some of it in the write-ahead log alone."""

    files: dict[str, bytes]
    newest: TrailState


def steps() -> Iterator[tuple[TrailState, tuple[tuple[int, Finding], ...]]]:
    """Three findings, a rotation, growth."""
    state = first()
    assert state.active
    yield state, ()
    for offset in (10, 20, 30):
        findings = (*state.active.findings, found(offset))
        state = replace(state, active=replace(state.active, judged=offset + 10, findings=findings))
        yield state, ((1, found(offset)),)
        assert state.active
    fresh = Segment(2, "risk.jsonl", 1, 2, 1 << 40, 1.0)
    state = replace(state, active=fresh, closed=(replace(state.active, closed=True),), next_number=3)
    yield state, ()
    yield replace(state, active=replace(fresh, judged=100, read=100)), ()


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    directory = tmp_path_factory.mktemp("killed")
    before: TrailState | None = None
    for half in (slice(0, 3), slice(3, None)):
        with closing(Store.open(directory, 1.0, "boot")) as store:
            for after, findings in list(steps())[half]:
                store.commit(KEY, before, after, findings)
                before = after
            names = (STORE_NAME, f"{STORE_NAME}-wal", STEP_NAME)
            files = {name: (directory / name).read_bytes() for name in names}
    assert before
    return Killed(files, before)


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """In memory where that is possible: each start syncs several times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


def started(killed: Killed, directory: Path, name: str, data: bytes) -> bool:
    """Whether a start with this file changed says that something is lost; it has to where not all is found, twice."""
    directory.mkdir()
    for known, content in killed.files.items():
        (directory / known).write_bytes(data if known == name else content)
    try:
        said = []
        for _ in range(2):
            with closing(Store.open(directory, 2.0, "boot")) as store:
                store.concern([KEY])
                said.append((store.load(KEY) == killed.newest, store.lost(KEY) is not None))
        assert said[0] == said[1]
        assert True in said[0], "neither the newest state, nor a word of it"
        return said[0][1]
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize("name", [STORE_NAME, f"{STORE_NAME}-wal", STEP_NAME])
def test_cut_at_any_byte_the_state_is_whole_or_said_to_be_lost(
    killed: Killed, fast: Path, name: str, record_property: Note
) -> None:
    data, dice = killed.files[name], random.Random(name)
    most = rounds(5000, 40)
    sizes = range(len(data)) if len(data) <= most else sorted(dice.sample(range(len(data)), most))
    told = sum(started(killed, fast / "state", name, data[:size]) for size in sizes)
    report(record_property, f"{name} cut", len(sizes), "sizes", f"{told:,} said to be a loss, 0 losses in silence")


@pytest.mark.parametrize("name", [f"{STORE_NAME}-wal", STEP_NAME])
def test_flipped_anywhere_the_state_is_whole_or_said_to_be_lost(
    killed: Killed, fast: Path, name: str, record_property: Note
) -> None:
    data, dice = killed.files[name], random.Random(name)
    count, told = rounds(5000, 40), 0
    for _ in range(count):
        place = dice.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        told += started(killed, fast / "state", name, bytes(flipped))
    report(record_property, f"{name} flipped", count, "bits", f"{told:,} said to be a loss, 0 losses in silence")


def test_a_store_with_a_flipped_bit_is_damaged_or_gives_the_same_answer(
    killed: Killed, tmp_path: Path, record_property: Note
) -> None:
    """Loading only: one bit of every byte that is not empty; in the long run every bit of the file."""
    for name, content in killed.files.items():
        (tmp_path / name).write_bytes(content)
    Store.open(tmp_path, 2.0, "boot").close()  # the log is in the store then
    data, dice = (tmp_path / STORE_NAME).read_bytes(), random.Random(1)
    assert loaded(data) == killed.newest
    count = harmless = 0
    for place in range(len(data)):
        bits = range(8) if LONG else [dice.randrange(8)] if data[place] else []
        for bit in bits if place not in VERSION else ():
            answer = loaded(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            assert answer in (None, killed.newest), (place, bit)
            count, harmless = count + 1, harmless + (answer is not None)
    assert harmless < count // 2 or LONG
    report(record_property, "state.db, bit by bit", count, "bits", f"{harmless:,} of no consequence, 0 other answers")


def loaded(data: bytes) -> TrailState | None:
    """What a store with these bytes says; None if it is damaged."""
    data = data[:18] + b"\1\1" + data[20:]  # not in WAL mode: a database in memory has no log
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        try:
            connection.deserialize(data)
            connection.text_factory = text
            tables = Tables(connection)
            tables.verify()
            return tables.state(KEY)
        except (DamagedRow, sqlite3.Error, UnicodeDecodeError, StateNewer):
            return None
