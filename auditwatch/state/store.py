"""The store of all trails: SQLite, one writer, one transaction per step, with `state.step` as its witness."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from auditwatch.config.places import STEP_NAME
from auditwatch.errors import StateFull, StateUnwritable
from auditwatch.host.boots import boot_id
from auditwatch.ledger.damage import Finding
from auditwatch.ledger.events import Forgotten
from auditwatch.ledger.runs import RunRecord
from auditwatch.ledger.state import TrailState
from auditwatch.state.loss import Loss, author, loss_at_start, remembered
from auditwatch.state.marks import mark_after
from auditwatch.state.opening import (
    CREATED,
    PREVIOUS_NAME,
    STORE_NAME,
    copied_store,
    create_store,
    found_store,
    newest,
    newest_in_memory,
    opened_store,
)
from auditwatch.state.schema import STEP, STORE_ID, SUPERSEDES, copy_store, new_id
from auditwatch.state.step import Head, StepFile, Steps, TrailMark, steps_of, trail_digest, trail_mark
from auditwatch.state.store_file import identity, looked_at, set_aside, unwritable
from auditwatch.state.tables import Rows, Tables, TrailStep

_LOST: Final = "lost"
_RESETS: Final = "resets"


def trail_key(name: str, path: str) -> str:
    r"""How the store knows a trail: the same name at another path is another trail.

    >>> trail_key("risk", "/var/log/risk.jsonl"), trail_key("odd", "/a/\udcff.jsonl")
    ('risk=/var/log/risk.jsonl', 'odd=/a/\\xff.jsonl')
    """
    return f"{name}={os.fsencode(path).decode(errors='backslashreplace')}"  # neither SQLite nor JSON accepts other text


class Store:
    """The states of all trails, each under its key `NAME=PATH`. Not thread-safe: the agent's loop owns it.

    Another file under the same name is another trail; a trail that is watched again is found again.

    Attributes:
        guard: Asked before each transaction whether all that belongs to this store is still in its place.
        is_witnessed: Whether `state.step` says how far this store has come; else the next transaction tries again.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._tables = Tables(connection)
        self._path = path
        self._file = identity(path)
        self._steps: StepFile | None = None
        self._step = self._durable = 0
        self._is_syncing = False
        self._waits_since: float | None = None
        self.guard: Callable[[], bool] = lambda: self.is_in_place
        self.is_witnessed = True

    @property
    def is_in_place(self) -> bool:
        """Whether the files that this store writes are still the ones at their paths."""
        return self._is_file_in_place and self._steps is not None and self._steps.is_in_place

    @property
    def _is_file_in_place(self) -> bool:
        return self._file is not None and identity(self._path) == self._file

    def begin_anew(self, now: float) -> bool:
        """Put in its place again what was removed or replaced; whether the store is empty now, which `resets` counts.

        What is at the path of the store is set aside then, and the states of all trails have to be stored again.
        `state.step` is written first: of trails that do not come to that, the next start says that they were lost.

        Raises:
            StateUnwritable: If it cannot be created or written; this store stays as it was.
        """
        is_emptied = not self._is_file_in_place
        if self._waits_since is not None:
            self._move_in()
            return True
        former = self._steps
        if former is None:
            raise StateUnwritable(f"{self._path}: opened for reading only")
        try:
            if not is_emptied:
                self._witness(former.head.store, former.marks.values())
                return False
            figures = {STORE_ID: new_id(), STEP: str(self._step), _RESETS: str(self.resets + 1)}
            self._witness(figures[STORE_ID], former.marks.values())
            set_aside(self._path, now)
            create_store(self._path, now, figures)
            fresh = opened_store(self._path)
        except (sqlite3.Error, OSError) as error:
            raise unwritable(error, self._path) from error
        self._connection.close()
        self._connection, self._tables, self._file = fresh, Tables(fresh), identity(self._path)
        self._is_syncing = False
        return True

    @classmethod
    def open(cls, state_dir: str | os.PathLike[str], now: float, boot: str | None = None) -> Store:
        """The store of a state directory, created or migrated as needed.

        A damaged store is set aside and replaced by the previous generation or by a new store; `resets` counts that.
        Of what that loses, and of a store that is intact and not the newest there was, `lost` tells each trail.

        Args:
            state_dir: The directory.
            now: Seconds since 1970.
            boot: Which boot this is; None = the kernel's id of it.

        Raises:
            StateNewer: If a later auditwatch wrote it.
            StateUnwritable: If it cannot be created or written.
        """
        path = Path(state_dir) / STORE_NAME
        boot = boot_id() if boot is None else boot
        try:
            steps = steps_of(path.with_name(STEP_NAME))
            connection, fault = newest(path, now, steps, boot)
            store = cls(connection, path)
            try:
                store._take_up(now, fault, steps, boot)
            except BaseException:
                store.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise unwritable(error, path) from error
        return store

    @classmethod
    def waiting(cls, state_dir: str | os.PathLike[str], now: float, boot: str | None = None) -> Store:
        """What `open` would give, in memory, because there is no room for it: `begin_anew` moves it to its place.

        Nothing can be committed before that.

        Raises:
            StateNewer: If a later auditwatch wrote it.
        """
        path = Path(state_dir) / STORE_NAME
        boot = boot_id() if boot is None else boot
        steps = steps_of(path.with_name(STEP_NAME))
        connection, fault = newest_in_memory(path, now, steps, boot)
        store = cls(connection, path)
        store._file, store._waits_since = None, now
        store._take_up(now, fault, steps, boot)
        return store

    def _move_in(self) -> None:
        """Take the place of the store, now that there may be room; what was lost is told as it was at the start."""
        fresh = Store.open(self._path.parent, self._waits_since or 0.0)
        fresh.guard = self.guard
        self._connection.close()
        vars(self).update(vars(fresh))

    def _take_up(self, now: float, fault: str, steps: Steps | None, boot: str) -> None:
        """Store what was lost, and have `state.step` speak of this store from now on."""
        self._step = found_store(self._connection).step
        if fault and steps and steps.head:
            self._step = max(self._step, steps.head.committed)
        written = {trail_digest(key): (key, step) for key, step in self._tables.steps().items()}
        with self._transaction(matters=True):
            former, stored = self._loss(), {digest: step for digest, (_, step) in written.items()}
            loss = loss_at_start(now, fault or None, steps, boot, stored, former)
            if loss and loss is not former:
                self._tables.put_figure(_LOST, msgspec.json.encode(loss).decode())
                self._tables.put_figure(STORE_ID, new_id())  # what fell behind shall not pass for the newest later
                self._tables.put_figure(SUPERSEDES, author(steps))
                self._tables.put_figure(_RESETS, str(self.resets + 1))
        if self._waits_since is not None:
            return
        marks = dict(steps.trails) if steps else {}
        for digest, (key, step) in written.items():
            if digest not in marks or marks[digest].step != step:
                marks[digest] = self._mark(key, step)
        self._witness(found_store(self._connection).id, marks.values(), boot)
        with self._transaction(matters=False):
            self._tables.forget_figure(SUPERSEDES)
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # without its log it is not taken for a new store
        self._say()

    def _mark(self, key: str, step: int) -> TrailMark:
        state = self.load(key)
        return trail_mark(key, state, step) if state else TrailMark(trail_digest(key), step)

    def _witness(self, store: str, marks: Collection[TrailMark], boot: str | None = None) -> None:
        """Begin a new `state.step`."""
        boot = self._steps.head.boot if boot is None and self._steps else boot or ""
        fresh = StepFile(self._path.with_name(STEP_NAME), Head(0, boot, store, self._step, self._durable), marks)
        if self._steps:
            self._steps.close()
        self._steps = fresh

    @classmethod
    def read_only(cls, state_dir: str | os.PathLike[str]) -> Store:
        """The store for reading only, even while an agent is running; nothing is created.

        Raises:
            StateNewer: If a later auditwatch wrote it.
            StateUnwritable: If there is no store, or it cannot be read, or it is damaged.
        """
        path = Path(state_dir) / STORE_NAME
        connection = looked_at(path, lambda connection: copied_store(connection, path))
        if connection is None:
            raise StateUnwritable(f"{path}: no intact state to read here; is this the agent's state directory?")
        return cls(connection, path)

    def keep_generation(self) -> None:
        """Copy the store while it is known to be good, in case it is damaged later.

        Raises:
            StateUnwritable: If there is no room for it.
        """
        try:
            copy_store(self._connection, self._path.with_name(PREVIOUS_NAME))
        except (sqlite3.Error, OSError) as error:
            raise unwritable(error, self._path.with_name(PREVIOUS_NAME)) from error

    def keys(self) -> tuple[str, ...]:
        """The trails that are stored, whether or not they are still watched."""
        return self._tables.trails()

    def load(self, trail: str) -> TrailState | None:
        """The state of a trail with its findings; None if it is not stored."""
        return self._tables.state(trail)

    def run(self, trail: str, mode: str) -> RunRecord:
        """What is remembered of a trail's runs of one mode."""
        return self._tables.run(trail, mode) or RunRecord()

    def commit(
        self,
        trail: str,
        before: TrailState | None,
        after: TrailState,
        findings: Iterable[tuple[int, Finding]] = (),
        runs: Iterable[tuple[str, RunRecord]] = (),
        dropped: Iterable[tuple[int, Finding]] = (),
    ) -> None:
        """Store one step of a trail; `TrailStep` and `Rows` say what the arguments are, `commit_all` what it raises."""
        self.commit_all((TrailStep(trail, before, after, Rows(tuple(findings), tuple(runs), tuple(dropped))),))

    def commit_all(self, steps: Sequence[TrailStep]) -> None:
        """Store steps of several trails in one transaction: all of them or none.

        What is more than growth survives a power cut once this returns; growth does so within a minute.

        Raises:
            StaleStep: If the store is not at the position from which one of them was taken.
            StateUnwritable: If it cannot be written; nothing was stored.
        """
        if self._waits_since is not None:
            raise StateFull(f"{self._path}: there was no room for it at the start; free space")
        is_growth = [step.is_growth for step in steps]
        with self._transaction(matters=not all(is_growth)):
            for step in steps:
                self._tables.save(step, self._step + 1)
        known = self._steps.marks if self._steps else {}
        self._say(
            mark_after(s.trail, known.get(trail_digest(s.trail)), s.before, s.after, self._step, is_growth=growth)
            for s, growth in zip(steps, is_growth, strict=True)
        )

    def put(self, key: str, value: str) -> None:
        """Store one of the agent's own figures.

        Raises:
            StateUnwritable: If it cannot be written.
        """
        with self._transaction(matters=False):
            self._tables.put_figure(key, value)
        self._say()

    def make_durable(self) -> None:
        """Have all that was stored survive a power cut.

        Raises:
            StateUnwritable: If it cannot be written.
        """
        if self._durable < self._step or not self.is_witnessed:
            with self._transaction(matters=True):
                pass
            self._say()

    def get(self, key: str) -> str | None:
        """One of the agent's own figures."""
        return self._tables.figure(key)

    @property
    def step(self) -> int:
        """The number of the last transaction; it never falls, except where the whole directory is put back."""
        return self._step

    @property
    def resets(self) -> int:
        """How often the state was lost."""
        return int(self.get(_RESETS) or 0)

    @property
    def created(self) -> float:
        """When this store was created."""
        return float(self.get(CREATED) or 0)

    def lost(self, trail: str) -> Forgotten | None:
        """What a trail has to be told of a loss; None if nothing."""
        loss, digest = self._loss(), trail_digest(trail)
        if loss is None or digest not in loss.trails:
            return None
        return Forgotten(loss.at, STORE_NAME, loss.detail + remembered(loss.trails[digest]))

    def settle(self, trail: str) -> None:
        """A trail has stored what `lost` told it.

        Raises:
            StateUnwritable: If it cannot be written; the trail is told again.
        """
        loss = self._loss()
        if loss:
            left = {digest: mark for digest, mark in loss.trails.items() if digest != trail_digest(trail)}
            self._put_loss(replace(loss, trails=left))

    def concern(self, trails: Iterable[str]) -> None:
        """Which trails are watched: if it is not known which ones were lost, these are.

        Raises:
            StateUnwritable: If it cannot be written.
        """
        loss = self._loss()
        if loss and loss.is_everything:
            known = {digest: TrailMark(digest) for digest in map(trail_digest, trails)}
            self._put_loss(Loss(loss.at, loss.detail, {**known, **loss.trails}))

    def _loss(self) -> Loss | None:
        stored = self.get(_LOST)
        return msgspec.json.decode(stored, type=Loss) if stored else None

    def _put_loss(self, loss: Loss) -> None:
        with self._transaction(matters=True):
            self._tables.put_figure(_LOST, msgspec.json.encode(loss).decode())
        self._say()

    def close(self) -> None:
        """Close the store; it cannot be used after that."""
        if self._steps:
            with suppress(StateUnwritable):
                self.make_durable()
            self._steps.close()
        self._connection.close()

    @contextmanager
    def _transaction(self, matters: bool) -> Iterator[None]:
        if self._steps and not self.guard():
            raise StateUnwritable(f"{self._path}: was removed or replaced")
        try:
            if self._is_syncing != matters:
                self._connection.execute(f"PRAGMA synchronous = {'FULL' if matters else 'NORMAL'}")
                self._is_syncing = matters
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._tables.put_figure(STEP, str(self._step + 1))
                self._connection.execute("COMMIT")
            except BaseException:
                self._tables.forget_totals()
                if self._connection.in_transaction:  # SQLite may have rolled back itself, for example on a full disk
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise unwritable(error, self._path) from error
        self._step += 1
        if matters:
            self._durable = self._step

    def _say(self, marks: Iterable[TrailMark] = ()) -> None:
        """Have `state.step` say how far the store is now: what it says is never more than is true."""
        if self._steps is None:
            return
        try:
            self._steps.write(self._step, self._durable, marks)
            if self._durable == self._step:
                self._steps.sync()
            self.is_witnessed = True
        except OSError:
            self.is_witnessed = False
