"""`state.step`: a store that fell behind does not pass for the newest, and no kill or power cut is called a loss."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditwatch.config.places import STEP_NAME
from auditwatch.ledger.damage import Acknowledgement, ViolationRow
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.state import TrailState
from auditwatch.state.loss import FoundStore, author, fault_of_store
from auditwatch.state.opening import PREVIOUS_NAME, STORE_NAME
from auditwatch.state.step import Head, StepFile, Steps, TrailMark, steps_of, trail_digest, trail_mark
from auditwatch.state.store import Store, trail_key
from auditwatch.trail.kinds import Kind, Violation
from tests.state.test_store import KEY, NOW, become_version_2, finding, known, rows_of

OTHER = trail_key("other", "/var/log/other.jsonl")
HEAD = Head(4, "boot", "store", 9, 7)
MARK = TrailMark("ab" * 16, 9, 100, {"torn": 2}, ("v1",), 1)


def opened(directory: Path, boot: str = "first") -> Store:
    return Store.open(directory, NOW, boot)


def grown(state: TrailState) -> TrailState:
    assert state.active
    return replace(state, active=replace(state.active, judged=state.active.judged + 1))


def with_finding(state: TrailState) -> TrailState:
    assert state.active
    return replace(grown(state), active=replace(state.active, findings=(*state.active.findings, finding(150))))


def fill(store: Store, key: str = KEY) -> TrailState:
    store.commit(key, None, known(), rows_of(known()))
    return known()


def copied(directory: Path, name: str) -> Path:
    """What a kill leaves: the files as they are while the store is open."""
    target = directory.with_name(name)
    shutil.copytree(directory, target)
    return target


class TestFile:
    """Two copies of everything, written in turn."""

    @pytest.fixture
    def steps(self, tmp_path: Path) -> Iterator[StepFile]:
        file = StepFile(tmp_path / STEP_NAME, HEAD, [MARK])
        yield file
        file.close()

    def test_what_was_written_last_is_read(self, steps: StepFile, tmp_path: Path) -> None:
        marks = {trail: TrailMark(trail, 10) for trail in map(trail_digest, map(str, range(30)))}
        for number, mark in enumerate(marks.values()):
            steps.write(10 + number, 7, [mark])
        steps.write(50, 50, [replace(MARK, step=50, judged=200)])
        found = steps_of(tmp_path / STEP_NAME)
        assert found
        assert found.head == Head(4 + 31, "boot", "store", 50, 50)
        assert found.trails == {MARK.trail: replace(MARK, step=50, judged=200), **marks}

    @pytest.mark.parametrize("writes", range(3))
    def test_a_torn_write_leaves_what_was_written_before(self, steps: StepFile, tmp_path: Path, writes: int) -> None:
        path = tmp_path / STEP_NAME
        for number in range(writes):
            steps.write(10 + number, 7, [replace(MARK, step=10 + number)])
        before = path.read_bytes(), steps_of(path)
        steps.write(20, 7, [replace(MARK, step=20)])
        after = path.read_bytes()
        changed = [place for place in range(len(after)) if after[place] != before[0][place]]
        for torn in changed:
            path.write_bytes(after[:torn] + bytes(len(after) - torn))
            found = steps_of(path)
            assert found
            assert found.head is None or found.head in (before[1].head, steps.head), torn  # cut to nothing after it
        path.write_bytes(b"".join(bytes([a ^ b ^ c]) for a, b, c in zip(after, before[0], before[0], strict=True)))
        assert steps_of(path) == Steps(steps.head, {MARK.trail: replace(MARK, step=20)})

    def test_no_flipped_bit_gives_another_answer(self, steps: StepFile, tmp_path: Path) -> None:
        path = tmp_path / STEP_NAME
        steps.write(10, 7, [replace(MARK, step=10)])
        data = path.read_bytes()
        for place in range(len(data)):
            if not any(data[max(0, place - 40) : place + 40]):
                continue  # empty, and stays so
            for bit in range(8):
                path.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
                found = steps_of(path)
                assert found
                assert found.head in (steps.head, HEAD), place
                assert found.trails in ({MARK.trail: MARK}, {MARK.trail: replace(MARK, step=10)}), place

    def test_the_fullest_record_fits(self, steps: StepFile, tmp_path: Path) -> None:
        rows = tuple(ViolationRow(f"v{n:010x}", Violation.TRUNCATED, "", "", NOW) for n in range(1000))
        counts = {kind.value: 1 << 40 for kind in Kind}
        mark = trail_mark(KEY, replace(known(), violations=rows), 1 << 50)
        fullest = replace(mark, judged=1 << 50, open=counts)
        steps.write(1 << 50, 1 << 50, [fullest])
        steps.write(1 << 50, 1 << 50, [replace(MARK, step=1)])
        found = steps_of(tmp_path / STEP_NAME)
        assert found
        assert found.trails[mark.trail] == fullest
        assert (fullest.violations[-1], fullest.violations_open) == (rows[-1].id, 1000)

    @pytest.mark.usefixtures("steps")
    def test_only_the_owner_can_read_it(self, tmp_path: Path) -> None:
        assert (tmp_path / STEP_NAME).stat().st_mode & 0o777 == 0o600


STEPS = Steps(HEAD, {})

VERDICTS = {
    "at the step of this boot": (FoundStore("store", 9, None), STEPS, "boot", None),
    "ahead": (FoundStore("store", 12, None), STEPS, "boot", None),
    "behind, and the page cache is that of this boot": (
        FoundStore("store", 8, None),
        STEPS,
        "boot",
        "had been at step 9",
    ),
    "behind after a power cut": (FoundStore("store", 8, None), STEPS, "next", None),
    "behind what is durable": (FoundStore("store", 6, None), STEPS, "next", "had been at step 7"),
    "boots are not known": (FoundStore("store", 7, None), Steps(replace(HEAD, boot=""), {}), "", None),
    "another store": (FoundStore("stranger", 99, None), STEPS, "boot", "not the one that was stored here"),
    "no file": (FoundStore("store", 9, None), None, "boot", "is missing"),
    "not readable": (FoundStore("store", 9, None), Steps(None, {}), "boot", "is damaged"),
    "the first start was interrupted": (FoundStore("store", 0, ""), None, "boot", None),
    "a change of stores was interrupted": (FoundStore("new", 1, "store"), STEPS, "boot", None),
    "after a damaged one, interrupted": (FoundStore("new", 1, "?"), Steps(None, {}), "boot", None),
    "a store that never had one, beside one": (FoundStore("new", 1, ""), STEPS, "boot", "not the one"),
}


@pytest.mark.parametrize(("store", "steps", "boot", "expected"), VERDICTS.values(), ids=VERDICTS)
def test_whether_a_store_is_the_newest_there_was(
    store: FoundStore, steps: Steps | None, boot: str, expected: str | None
) -> None:
    fault = fault_of_store(store, steps, boot)
    assert fault is None if expected is None else expected in (fault or "")


class TestNoLoss:
    """What is ordinary is not called a loss."""

    def assert_whole(self, directory: Path, state: TrailState | None, boot: str = "first") -> None:
        with closing(opened(directory, boot)) as store:
            assert (store.load(KEY), store.lost(KEY), store.resets) == (state, None, 0)

    def test_a_new_directory(self, tmp_path: Path) -> None:
        self.assert_whole(tmp_path, None)

    def test_a_kill_at_every_step(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir()
        states: list[TrailState | None] = [None]
        with closing(opened(home)) as store:
            copied(home, "0")
            states.append(fill(store))
            copied(home, "1")
            for number in range(2, 12):
                state = states[-1]
                assert state
                if number % 3:
                    states.append(grown(state))
                    store.commit(KEY, state, grown(state))
                else:
                    store.put("watched", f'["{number}"]')
                    states.append(state)
                copied(home, str(number))
        for number, state in enumerate(states):
            self.assert_whole(tmp_path / str(number), state)

    def test_a_power_cut_that_takes_growth_back(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir()
        with closing(opened(home)) as store:
            state = fill(store)
            durable = copied(home, "durable")
            store.commit(KEY, state, grown(state))
            shutil.copy(home / STEP_NAME, durable)  # this page came to the disk, the store's did not
        self.assert_whole(durable, state, "second")

    def test_a_first_start_that_was_killed_before_there_was_a_step(self, tmp_path: Path) -> None:
        with closing(opened(tmp_path)):
            pass
        (tmp_path / STEP_NAME).unlink()
        with closing(opened(tmp_path)) as store:
            assert store.resets == 1  # it had been written, and is gone
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        killed = pytest.MonkeyPatch()
        killed.setattr("auditwatch.state.store.StepFile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path)
        killed.undo()
        self.assert_whole(tmp_path, None)

    def test_an_upgrade_that_was_killed_before_there_was_a_step(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(opened(tmp_path)) as store:
            fill(store)
        become_version_2(tmp_path)
        with monkeypatch.context() as killed:
            killed.setattr("auditwatch.state.store.StepFile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                opened(tmp_path)
        self.assert_whole(tmp_path, known())

    def test_steps_that_cannot_be_written_are_shown_and_made_up_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with closing(opened(tmp_path)) as store:
            state = fill(store)

            def full(*_: object) -> None:
                raise OSError(28, "No space left on device")

            with monkeypatch.context() as patch:
                patch.setattr(os, "pwrite", full)
                store.commit(KEY, state, with_finding(state), [(2, finding(150))])
            assert not store.is_witnessed
            store.make_durable()
            assert store.is_witnessed
        self.assert_whole(tmp_path, with_finding(state))


def remove(name: str) -> Callable[[Path, Path], None]:
    return lambda state, _: (state / name).unlink()


def older(*names: str) -> Callable[[Path, Path], None]:
    def put_back(state: Path, before: Path) -> None:
        for name in names:
            (state / name).unlink(missing_ok=True)
            if (before / name).exists():
                shutil.copy(before / name, state)

    return put_back


def cut_log(state: Path, _: Path) -> None:
    log = state / f"{STORE_NAME}-wal"
    os.truncate(log, log.stat().st_size - 1)


LOSSES: dict[str, Callable[[Path, Path], object]] = {
    "the store is missing": lambda state, _: [path.unlink() for path in state.glob(f"{STORE_NAME}*")],
    "one byte": lambda state, _: os.truncate(state / STORE_NAME, 1),
    "an empty store": lambda state, _: os.truncate(state / STORE_NAME, 0),
    "the log is missing": remove(f"{STORE_NAME}-wal"),
    "the log is cut": cut_log,
    "an older copy of the store": older(STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}-shm"),
    "state.step is missing": remove(STEP_NAME),
    "state.step is empty": lambda state, _: os.truncate(state / STEP_NAME, 0),
    "state.step is zeros": lambda state, _: (state / STEP_NAME).write_bytes(bytes(32768)),
    "only the previous generation is left": lambda state, _: [
        path.unlink() for path in state.iterdir() if path.name != PREVIOUS_NAME
    ],
}


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What a kill leaves of a store with one trail; `before` beside it is how it had been before the last finding."""
    home = tmp_path / "home"
    home.mkdir()
    with closing(opened(home)) as store:
        store.keep_generation()
        state = fill(store)
        copied(home, "before")
        store.commit(KEY, state, with_finding(state), [(2, finding(150))])
        return copied(home, "killed")


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
class TestLoss:
    """Whatever is missing of the state is told to each trail that was known, once."""

    def test_it_is_told_until_it_is_settled(self, killed: Path, damage: Callable[[Path, Path], object]) -> None:
        damage(killed, killed.with_name("before"))
        for _ in range(2):
            with closing(opened(killed)) as store:
                store.concern([KEY])
                told = store.lost(KEY)
                assert told
                assert (told.at, store.resets, store.lost(OTHER)) == (NOW, 1, None)
        with closing(opened(killed)) as store:
            store.commit(KEY, store.load(KEY), store.load(KEY) or known())
            store.settle(KEY)
        with closing(opened(killed)) as store:
            assert (store.lost(KEY), store.resets) == (None, 1)

    def test_a_store_that_comes_back_afterwards_is_not_believed(
        self, killed: Path, damage: Callable[[Path, Path], object]
    ) -> None:
        """Whoever takes the newest one away, lets the agent go on, and puts it back, is found out."""
        newest = copied(killed, "newest")
        damage(killed, killed.with_name("before"))
        opened(killed).close()
        older(STORE_NAME, f"{STORE_NAME}-wal", f"{STORE_NAME}-shm")(killed, newest)
        with closing(opened(killed)) as store:
            store.concern([KEY])
            assert (store.resets, store.lost(KEY) is None) == (1, False)

    def test_the_step_does_not_fall(self, killed: Path, damage: Callable[[Path, Path], object]) -> None:
        known_steps = steps_of(killed / STEP_NAME)
        assert known_steps
        assert known_steps.head
        damage(killed, killed.with_name("before"))
        is_readable = author(steps_of(killed / STEP_NAME)) == known_steps.head.store
        with closing(opened(killed)) as store:
            assert not is_readable or store.step > known_steps.head.committed


def test_what_was_known_of_a_trail_is_told(killed: Path) -> None:
    os.truncate(killed / STORE_NAME, 1)
    with closing(opened(killed)) as store:
        told = store.lost(KEY)
    assert told
    assert told.place == STORE_NAME
    assert "state.db was damaged; 100 bytes of the active file had been judged; open were" in told.detail
    assert "torn 7" in told.detail  # three of each segment, and the last one


def test_a_finding_that_a_power_cut_takes_back_is_a_loss(killed: Path) -> None:
    """It cannot: it was durable before it was told."""
    shutil.copy(killed / STEP_NAME, killed.with_name("before"))
    with closing(opened(killed.with_name("before"), "second")) as store:
        told = store.lost(KEY)
    assert told
    assert "had been at step" in told.detail


def test_the_previous_generation_is_taken_for_a_store_of_other_people(killed: Path, tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    with closing(opened(tmp_path / "stranger")) as store:
        fill(store, OTHER)
    with closing(opened(killed)) as store:
        store.keep_generation()
        state = store.load(KEY)
    shutil.copy(tmp_path / "stranger" / STORE_NAME, killed)
    with closing(opened(killed)) as store:
        assert (store.load(KEY), store.load(OTHER)) == (state, None)
        assert store.lost(KEY)
    assert len(list(killed.glob("state.damaged-*.db"))) == 1


def test_the_whole_directory_as_it_once_was_has_no_witness_beside_it_but_its_step_falls(killed: Path) -> None:
    with closing(opened(killed)) as store:
        step = store.step
    with closing(opened(killed.with_name("before"))) as store:
        assert (store.lost(KEY), store.resets) == (None, 0)
        assert store.step < step


def test_a_trail_that_is_not_in_the_store_any_more_was_lost(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        fill(store)
        fill(store, OTHER)
        store._connection.execute("DELETE FROM trails WHERE trail = ?", (OTHER,))
        store._connection.execute("DELETE FROM segments WHERE trail = ?", (OTHER,))
        store._connection.execute("DELETE FROM findings WHERE trail = ?", (OTHER,))
    with closing(opened(tmp_path)) as store:
        assert (store.lost(KEY), store.resets) == (None, 1)
        assert store.lost(OTHER)
    with closing(opened(tmp_path)) as store:
        assert (store.lost(KEY), store.resets) == (None, 1)


def put_rows_back(store: Store, table: str, rows: list[tuple[object, ...]]) -> None:
    store._connection.execute(f"DELETE FROM {table} WHERE trail = ?", (KEY,))
    store._connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def test_an_older_row_of_a_trail_in_the_newest_store_is_a_loss(tmp_path: Path) -> None:
    """Pages of an older store under a newer write-ahead log: every row is whole, and not all are the newest."""
    with closing(opened(tmp_path)) as store:
        state = fill(store)
        rows = store._connection.execute("SELECT * FROM trails").fetchall()
        store.commit(KEY, state, grown(state))
        fill(store, OTHER)
        put_rows_back(store, "trails", rows)
    for _ in range(2):
        with closing(opened(tmp_path)) as store:
            told = store.lost(KEY)
            assert told
            assert "is not the newest there was; 101 bytes" in told.detail
            assert (store.lost(OTHER), store.resets, store.load(KEY)) == (None, 1, state)


def test_older_rows_of_findings_make_a_damaged_store(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        state = fill(store)
        rows = store._connection.execute("SELECT * FROM findings").fetchall()
        store.commit(KEY, state, with_finding(state), [(2, finding(150))])
        put_rows_back(store, "findings", rows)
    with closing(opened(tmp_path)) as store:
        assert (store.lost(KEY) is None, store.resets, store.load(KEY)) == (False, 1, None)


def test_a_kill_between_a_new_directory_and_its_contents_is_a_loss(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with closing(opened(home)) as store:
        state = fill(store)
        step = store.step
        shutil.rmtree(home)
        home.mkdir()
        assert not store.is_in_place
        assert store.begin_anew(NOW)
        left = copied(home, "left")
        store.commit(KEY, None, state, rows_of(state))
    with closing(opened(left)) as store:
        assert store.lost(KEY)
        assert store.step > step
    with closing(opened(home)) as store:
        assert (store.load(KEY), store.lost(KEY), store.resets) == (state, None, 1)


def test_state_step_alone_is_put_back_in_its_place(tmp_path: Path) -> None:
    with closing(opened(tmp_path)) as store:
        state = fill(store)
        (tmp_path / STEP_NAME).unlink()
        assert not store.is_in_place
        assert not store.begin_anew(NOW)
        store.commit(KEY, state, grown(state))
    with closing(opened(tmp_path)) as store:
        assert (store.load(KEY), store.lost(KEY), store.resets) == (grown(state), None, 0)


class TestMarks:
    """What `state.step` keeps of a trail is what is known of it, however it came about."""

    def test_they_follow_every_step(self, tmp_path: Path) -> None:
        with closing(opened(tmp_path)) as store:
            state: TrailState = fill(store)
            for after in self.steps_from(state):
                changed = [
                    (segment.number, found)
                    for segment in after.segments
                    for found in segment.findings
                    if found not in [f for s in state.segments if s.number == segment.number for f in s.findings]
                ]
                store.commit(KEY, state, after, changed)
                state = after
                found = steps_of(tmp_path / STEP_NAME)
                assert found
                assert found.trails[trail_digest(KEY)] == trail_mark(KEY, state, store.step)

    def steps_from(self, state: TrailState) -> Iterator[TrailState]:
        note = Acknowledgement(NOW, "ann", "known")
        yield (state := grown(state))
        yield (state := with_finding(state))
        assert state.active
        rotated = replace(state.active, closed=True)
        fresh = Segment(3, "risk.jsonl", 3, 5, 0, NOW)
        yield (state := replace(state, closed=(*state.closed, rotated), active=fresh, next_number=4))
        row = ViolationRow("v2", Violation.REWRITTEN, "risk.jsonl", "", NOW)
        yield (state := replace(state, violations=(*state.violations, row)))
        yield (state := replace(state, violations=(*state.violations[:-1], replace(row, acknowledgement=note))))
        yield replace(state, closed=state.closed[1:])
