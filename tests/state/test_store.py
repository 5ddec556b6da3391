"""The store: one transaction per step, and no damage to the file that ends in a crash or in a wrong answer."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.config.places import STEP_NAME
from auditwatch.errors import StateNewer, StateUnwritable
from auditwatch.ledger.damage import Acknowledgement, Finding, FindingState, Opened, Rebaseline, Tally, ViolationRow
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.segment import Anchor, Fingerprint, Former, Segment, TornTail
from auditwatch.ledger.state import Policy, Standing, TrailState, begin
from auditwatch.ledger.writes import Counts, Failures, Writes
from auditwatch.state import schema
from auditwatch.state.opening import PREVIOUS_NAME, STORE_NAME
from auditwatch.state.rows import checksum, trail_row_key
from auditwatch.state.store import Store, trail_key
from auditwatch.state.tables import StaleStep
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.sketch import Sketch
from auditwatch.trail.verdict import Trouble

NOW = 1_800_000_000.0
POLICY = Policy("0123456789abcdef")
NOTE = Acknowledgement(NOW, "ann", "known")
COUNTS = Counts(1 << 53, (1 << 53,) * 10, tuple(range(8)))
KEY = trail_key("risk", "/var/log/risk.jsonl")


def finding(offset: int, state: FindingState = FindingState.OPEN) -> Finding:
    note = NOTE if state is FindingState.ACKNOWLEDGED else None
    return Finding(f"f{offset:010x}", 1, offset, 9, Kind.TORN, f"{offset:064x}", 1, True, NOW, NOW, state, note, 3)


def known(judged: int = 100, findings: int = 3) -> TrailState:
    """A trail about which everything that can be known is known."""
    head = Fingerprint(judged, "ab" * 32)
    active = Segment(2, "risk.jsonl", 3, 4, 200, NOW, judged, judged, 7, 50, 60, Anchor(judged, head, head), NOW, NOW)
    active = replace(active, findings=tuple(finding(10 * n) for n in range(findings)))
    active = replace(active, unlisted={Kind.BLANK: Tally(5, 2, 1)}, unlisted_ranges=((0, 90),))
    opened = (Opened(7, {Kind.BLANK: Tally(3, 2)}), Opened(9, {Kind.BLANK: Tally(2)}))
    active = replace(active, unlisted_opened=opened, unlisted_noted={Kind.BLANK: 1})
    closed = replace(
        active, number=1, name="risk-1\udcff.jsonl", closed=True, vanished=True, torn_tail=TornTail(90, is_listed=True)
    )
    return replace(
        begin("risk", POLICY),
        standing=Standing.PRESENT,
        trouble=Trouble("hung", "it hangs"),
        first_seen=NOW,
        active=active,
        closed=(closed,),
        next_number=3,
        appended_bytes=40,
        appended_lines=4,
        last_append=NOW,
        rotations=1,
        detected={Kind.TORN: 3},
        last_corrupt={Kind.TORN: NOW},
        writes=Writes("ab" * 16, "", COUNTS, COUNTS, (Failures(NOW, COUNTS.failed, 5),), COUNTS.failed, NOW),
        writes_note=NOTE,
        step=9,
        unlisted_note=NOTE,
        former=Former(1, Anchor(judged, head, head), Sketch(64, ((0, 7), (90, 1 << 62)))),
        rebaselines=(Rebaseline(NOW, "ann", "compacted", "half of it dropped", 2),),
        violations=(ViolationRow("v1", Violation.TRUNCATED, "risk.jsonl", "shorter", NOW, NOTE, step=4),),
    )


def rows_of(state: TrailState) -> list[tuple[int, Finding]]:
    return [(segment.number, found) for segment in state.segments for found in segment.findings]


def opened(directory: Path) -> Store:
    return Store.open(directory, NOW)


def filled(directory: Path, state: TrailState | None = None) -> None:
    """A store with one trail, closed again."""
    state = state or known()
    with closing(opened(directory)) as store:
        store.commit(KEY, None, state, rows_of(state), [("full", RunRecord(2, 1, NOW, NOW, 3, 0.5))])
        store.put("watched", f'["{KEY}"]')


class TestSteps:
    """Position, findings and runs, together or not at all."""

    def test_everything_that_is_known_comes_back_equal(self, tmp_path: Path) -> None:
        filled(tmp_path)
        with closing(opened(tmp_path)) as store:
            assert store.load(KEY) == known()
            assert store.run(KEY, "full") == RunRecord(2, 1, NOW, NOW, 3, 0.5)
            assert store.run(KEY, "sample") == RunRecord()
            assert (store.keys(), store.load("other"), store.created, store.resets) == ((KEY,), None, NOW, 0)

    def test_a_step_changes_position_findings_and_runs_together(self, tmp_path: Path) -> None:
        filled(tmp_path)
        before = known()
        assert before.active
        changed = finding(10, FindingState.ACKNOWLEDGED)
        found = (finding(0), changed, finding(20), finding(120))
        after = replace(before, active=replace(before.active, judged=150, findings=found))
        with closing(opened(tmp_path)) as store:
            store.commit(KEY, before, after, [(2, changed), (2, finding(120))], [("tail", RunRecord(9))])
            assert store.load(KEY) == after
        with closing(opened(tmp_path)) as store:
            assert (store.load(KEY), store.run(KEY, "tail").runs) == (after, 9)

    @pytest.mark.parametrize("stale", [known(judged=99), replace(known(), rules_id="other"), begin("risk", POLICY)])
    def test_a_step_from_elsewhere_is_refused_and_stores_nothing(self, tmp_path: Path, stale: TrailState) -> None:
        filled(tmp_path)
        with closing(opened(tmp_path)) as store:
            with pytest.raises(StaleStep):
                store.commit(KEY, stale, known(judged=180), [(2, finding(170))], [("tail", RunRecord(9))])
            assert (store.load(KEY), store.run(KEY, "tail")) == (known(), RunRecord())

    def test_a_step_that_finds_no_room_stores_nothing_of_it(self, tmp_path: Path) -> None:
        filled(tmp_path)
        many = [(2, finding(n)) for n in range(1000, 3000)]
        with closing(opened(tmp_path)) as store:
            store._connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size at least
            with pytest.raises(StateUnwritable, match="full"):
                store.commit(KEY, known(), known(judged=180), many, [("tail", RunRecord(9))])
            assert (store.load(KEY), store.run(KEY, "tail")) == (known(), RunRecord())
            store._connection.execute("PRAGMA max_page_count = 100000")
            store.commit(KEY, known(), known(judged=180, findings=0), many)
            loaded = store.load(KEY)
        assert loaded
        assert len(rows_of(loaded)) == 6 + 2000

    def test_closed_segments_come_back_in_their_order(self, tmp_path: Path) -> None:
        before = known()
        (first,) = before.closed
        found = [replace(first, number=number, findings=()) for number in (3, 1, 5, 4)]
        found[1] = replace(found[1], findings=first.findings)
        unordered = replace(before, closed=tuple(found), next_number=6)
        with closing(opened(tmp_path)) as store:
            store.commit(KEY, None, unordered, rows_of(unordered))
            assert store.load(KEY) == unordered
            ordered = replace(unordered, closed=tuple(sorted(found, key=lambda segment: segment.number)))
            store.commit(KEY, unordered, ordered)
            assert store.load(KEY) == ordered
            left = replace(ordered, closed=ordered.closed[1:])
            store.commit(KEY, ordered, left)
            assert store.load(KEY) == left

    def test_a_step_writes_the_closed_segments_that_it_changed_and_no_others(self, tmp_path: Path) -> None:
        (first,) = known().closed
        before = replace(known(), closed=tuple(replace(first, number=n, findings=()) for n in range(3, 1000)))
        changed = replace(before.closed[500], vanished=False)
        after = replace(before, closed=(*before.closed[:500], changed, *before.closed[501:]))
        asked: list[str] = []
        with closing(opened(tmp_path)) as store:
            store.commit(KEY, None, before)
            store._connection.set_trace_callback(asked.append)
            store.commit(KEY, before, after)
            assert [len([q for q in asked if f"INTO {table}" in q]) for table in ("segments", "trails")] == [1, 1]
            assert store.load(KEY) == replace(after, active=replace(after.active, findings=()))

    def test_two_trails_do_not_touch_each_other(self, tmp_path: Path) -> None:
        filled(tmp_path)
        other = trail_key("risk", "/elsewhere/risk.jsonl")
        with closing(opened(tmp_path)) as store:
            store.commit(other, None, known(judged=7, findings=1), rows_of(known(findings=1)))
            assert store.load(KEY) == known()
            assert store.load(other) == known(judged=7, findings=1)

    def test_only_the_owner_can_read_it(self, tmp_path: Path) -> None:
        filled(tmp_path)
        with closing(opened(tmp_path)) as store:
            store.keep_generation()
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert set(modes.values()) == {0o600}, modes


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: only root can give files away")
def test_what_root_creates_belongs_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    """Root acknowledges without an agent; the agent of another user must be able to go on."""
    os.chown(tmp_path, 1234, 1235)
    with closing(opened(tmp_path)) as store:
        store.commit(KEY, None, known())
        store.keep_generation()
        owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
    assert {STORE_NAME, PREVIOUS_NAME, STEP_NAME} <= owners.keys()
    assert set(owners.values()) == {(1234, 1235)}, owners


def become_version_2(directory: Path) -> None:
    """The store as version 2 had it: closed segments in the row of their trail, no id, no step, no `state.step`."""
    with closing(sqlite3.connect(directory / STORE_NAME)) as connection, connection:
        ((trail, body),) = connection.execute("SELECT trail, body FROM trails").fetchall()
        state = json.loads(body)
        rows = connection.execute("SELECT body FROM segments WHERE number > 0 ORDER BY number").fetchall()
        state["closed"] = [json.loads(row[0]) for row in rows]
        old = json.dumps(state).encode()
        connection.execute("UPDATE trails SET body = ?, checksum = ?", (old, checksum(trail, old)))
        connection.execute("ALTER TABLE trails DROP COLUMN total")
        connection.execute("ALTER TABLE trails DROP COLUMN step")
        connection.execute("DROP TABLE segments")
        connection.execute("DROP TABLE digests")
        connection.execute("DELETE FROM meta WHERE key IN ('id', 'step')")
        connection.execute("PRAGMA user_version = 2")
    (directory / STEP_NAME).unlink()


def later(connection: sqlite3.Connection) -> None:
    """A step that is not there yet."""
    connection.execute("CREATE TABLE later (a)")


class TestVersions:
    """Schemas of other versions."""

    def test_a_newer_one_is_left_as_it_is(self, tmp_path: Path) -> None:
        filled(tmp_path)
        with closing(sqlite3.connect(tmp_path / STORE_NAME)) as connection:
            connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(StateNewer, match=f"schema {len(schema.MIGRATIONS) + 1}"):
            opened(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_an_older_one_is_copied_and_brought_up_to_date(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        filled(tmp_path)
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, later))
        with closing(opened(tmp_path)) as store:
            assert store.load(KEY) == known()
        with closing(opened(tmp_path)) as store:
            assert store._connection.execute("PRAGMA user_version").fetchone() == (5,)
        with closing(sqlite3.connect(tmp_path / "state.v4.db")) as copy:
            assert copy.execute("PRAGMA user_version").fetchone() == (4,)
            assert copy.execute("SELECT trail FROM trails").fetchall() == [(KEY,)]

    @pytest.mark.parametrize("look", [opened, Store.read_only], ids=["the agent", "a command that only reads"])
    def test_version_1_becomes_todays(self, tmp_path: Path, look: Callable[[Path], Store]) -> None:
        """It called unlisted damage beyond and crowded, and did not say where a torn tail is."""
        filled(tmp_path)
        become_version_2(tmp_path)
        with closing(sqlite3.connect(tmp_path / STORE_NAME)) as connection, connection:
            connection.execute("PRAGMA user_version = 1")
            body = json.loads(connection.execute("SELECT body FROM trails").fetchone()[0])
            for segment in (*body["closed"], body["active"]):
                segment["beyond"], segment["crowded"] = segment.pop("unlisted"), segment.pop("unlisted_ranges")
                segment["torn_tail"] = int(segment["torn_tail"] is not None)
                anchor = segment.pop("anchor")
                segment["head"], segment["marker"] = anchor["head"], anchor["marker"]
            old = json.dumps(body).encode()
            connection.execute("UPDATE trails SET body = ?, checksum = ?", (old, checksum(KEY, old)))
        with closing(look(tmp_path)) as store:
            state = store.load(KEY)
        (closed,) = known().closed
        last = max(finding.offset for finding in closed.findings)
        expected = replace(closed, torn_tail=TornTail(last, is_listed=True))
        assert state == replace(known(), closed=(expected,))
        with closing(sqlite3.connect(tmp_path / STORE_NAME)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        assert version == (1 if look == Store.read_only else len(schema.MIGRATIONS))

    @pytest.mark.parametrize("look", [opened, Store.read_only], ids=["the agent", "a command that only reads"])
    def test_version_2_becomes_todays(self, tmp_path: Path, look: Callable[[Path], Store]) -> None:
        """It is an upgrade, not a loss: that version wrote no `state.step`."""
        filled(tmp_path)
        become_version_2(tmp_path)
        with closing(look(tmp_path)) as store:
            assert (store.load(KEY), store.resets, store.lost(KEY)) == (known(), 0, None)
            assert store.run(KEY, "full").runs == 2
        for _ in range(2 * (look == opened)):  # it counts as seen from now on
            with closing(opened(tmp_path)) as store:
                assert (store.load(KEY), store.resets, store.lost(KEY)) == (known(), 0, None)

    def test_a_trail_that_was_stored_before_writers_were_counted_is_as_it_was(self, tmp_path: Path) -> None:
        filled(tmp_path)
        with closing(sqlite3.connect(tmp_path / STORE_NAME)) as connection, connection:
            stored, total, step = connection.execute("SELECT body, total, step FROM trails").fetchone()
            body = json.loads(stored)
            del body["writes"], body["writes_note"]
            old = json.dumps(body).encode()
            key = trail_row_key(KEY, total, step)
            connection.execute("UPDATE trails SET body = ?, checksum = ?", (old, checksum(key, old)))
        with closing(opened(tmp_path)) as store:
            assert store.load(KEY) == replace(known(), writes=Writes(), writes_note=None)

    def test_a_migration_that_finds_no_room_changes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        filled(tmp_path)

        def greedy(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA max_page_count = 1")
            later(connection)
            connection.execute("INSERT INTO later VALUES (zeroblob(1000000))")

        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, greedy))
        with pytest.raises(StateUnwritable, match="full"):
            opened(tmp_path)
        monkeypatch.undo()
        with closing(opened(tmp_path)) as store:
            assert (store.load(KEY), store.resets) == (known(), 0)


def damage_a_row(path: Path) -> None:
    """SQLite's own check passes this."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE findings SET body = CAST(replace(body, 'torn', 'born') AS BLOB) WHERE offset = 10")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 17)


DAMAGES = {
    "a row": damage_a_row,
    "NULs": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "truncated": truncate,
    "empty": lambda path: os.truncate(path, 0),
    "one byte": lambda path: os.truncate(path, 1),
    "less than a page": lambda path: os.truncate(path, 511),
    "another file": lambda path: path.write_bytes(b"not a database" * 1000),
    "another database": lambda path: (path.unlink(), _other_database(path)),
}


def _other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE x (a)")
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
class TestDamage:
    """A store that is not intact is set aside; nothing crashes."""

    def test_without_another_generation_a_new_store_is_begun(self, tmp_path: Path, damage: object) -> None:
        filled(tmp_path)
        damage(tmp_path / STORE_NAME)  # type: ignore[operator]
        with closing(opened(tmp_path)) as store:
            assert (store.keys(), store.resets) == ((), 1)
            store.commit(KEY, None, known())
        assert [path.name for path in tmp_path.glob("*damaged*.db")] == ["state.damaged-1800000000.db"]
        with closing(opened(tmp_path)) as store:
            assert (store.keys(), store.resets) == ((KEY,), 1)

    def test_the_previous_generation_is_taken_where_it_is_whole(self, tmp_path: Path, damage: object) -> None:
        filled(tmp_path)
        with closing(opened(tmp_path)) as store:
            store.keep_generation()
            store.commit(KEY, known(), known(judged=170))
        damage(tmp_path / STORE_NAME)  # type: ignore[operator]
        with closing(opened(tmp_path)) as store:
            assert (store.load(KEY), store.resets) == (known(), 1)

    def test_both_generations_are_damaged(self, tmp_path: Path, damage: object) -> None:
        filled(tmp_path)
        with closing(opened(tmp_path)) as store:
            store.keep_generation()
        for name in (STORE_NAME, PREVIOUS_NAME):
            damage(tmp_path / name)  # type: ignore[operator]
        with closing(opened(tmp_path)) as store:
            assert (store.keys(), store.resets) == ((), 1)


def test_resets_are_counted_on(tmp_path: Path) -> None:
    for number in range(3):
        with closing(Store.open(tmp_path, NOW + number)) as store:
            store.keep_generation()
            assert store.resets == number
        (tmp_path / STORE_NAME).write_bytes(b"x" * 100)


def test_no_flipped_bit_crashes_or_returns_another_answer(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    filled(tmp_path / "a", known(findings=40))
    data = (tmp_path / "a" / STORE_NAME).read_bytes()
    dice = random.Random(1)
    outcomes = {"as before": 0, "set aside": 0}
    for number in range(600):
        directory = tmp_path / str(number)
        directory.mkdir()
        place = dice.randrange(len(data) * 8)
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        (directory / STORE_NAME).write_bytes(flipped)
        shutil.copy(tmp_path / "a" / STEP_NAME, directory)
        try:
            store = opened(directory)
        except StateNewer:
            assert place // 8 in range(60, 64)  # the version itself: nothing is touched, a person decides
            continue
        with closing(store):
            state = store.load(KEY)
            if store.resets:
                assert state is None
                outcomes["set aside"] += 1
            else:
                assert (state, store.run(KEY, "full").runs, store.created) == (known(findings=40), 2, NOW), place
                outcomes["as before"] += 1
        shutil.rmtree(directory)
    assert all(outcomes.values()), outcomes


class TestReadOnly:
    """Reading without the right to write, or beside the process that writes."""

    def test_beside_a_writer_that_goes_on(self, tmp_path: Path) -> None:
        filled(tmp_path)
        with closing(opened(tmp_path)) as writer, closing(Store.read_only(tmp_path)) as reader:
            assert reader.load(KEY) == known()
            writer.commit(KEY, known(), known(judged=170))
            assert reader.load(KEY) == known(judged=170)

    def test_a_reader_creates_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(StateUnwritable, match="no intact state to read"):
            Store.read_only(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_store_is_an_error_and_stays(self, tmp_path: Path) -> None:
        (tmp_path / STORE_NAME).write_bytes(b"x" * 5000)
        with pytest.raises(StateUnwritable):
            Store.read_only(tmp_path)
        assert (tmp_path / STORE_NAME).read_bytes() == b"x" * 5000

    @pytest.mark.parametrize("is_open", [False, True], ids=["nobody has it open", "an agent has it open"])
    def test_without_permission_to_write(self, tmp_path: Path, readonly_reader: list[str], is_open: bool) -> None:
        filled(tmp_path)
        writer = opened(tmp_path) if is_open else None
        tmp_path.chmod(0o555)
        for path in tmp_path.iterdir():
            path.chmod(0o444)
        script = f"from auditwatch.state.store import Store; print(Store.read_only({str(tmp_path)!r}).keys())"
        done = subprocess.run([*readonly_reader, script], capture_output=True, text=True, timeout=30, check=False)
        if writer:
            writer.close()
        tmp_path.chmod(0o755)
        assert done.stdout == f"({KEY!r},)\n", done.stderr


@pytest.fixture
def readonly_reader() -> Iterator[list[str]]:
    """Runs a script as a user who may not write read-only files: root gives up that power."""
    python = [sys.executable, "-P", "-c"]
    if os.geteuid() != 0:
        yield python
    elif shutil.which("setpriv") is None:
        pytest.skip("NOT RUN: setpriv is not installed")
    else:
        yield ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *python]
