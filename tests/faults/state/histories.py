"""Histories of a trail whose state is damaged between kills: a ledger, a recorder and a real store, no agent.

Whole lines and damage come in while the trail is watched; then the process is gone, and its state directory is cut,
flipped, emptied or partly put back. What must not happen: a start that fails, damage that nobody hears of, and open
damage that counts as inherited afterwards.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from auditwatch.agent.recorder import Recorder
from auditwatch.config.places import STEP_NAME
from auditwatch.ledger.damage import FindingState
from auditwatch.ledger.effects import Effect
from auditwatch.ledger.events import Event
from auditwatch.state.opening import PREVIOUS_NAME, STORE_NAME
from auditwatch.state.store import Store, trail_key
from tests.ledger.trails import POLICY, Trail

KEY = trail_key("risk", "/var/log/risk.jsonl")
FILES = (STORE_NAME, f"{STORE_NAME}-wal", STEP_NAME, PREVIOUS_NAME)

Fault = Callable[[random.Random, Path, Path], str]
"""Damages a state directory, given an older copy of it; returns what it did."""


class Recorded(Trail):
    """A trail in memory whose state a recorder stores."""

    recorder: Recorder | None = None

    def step(self, event: Event) -> tuple[Effect, ...]:
        assert self.recorder
        needs = self.recorder.apply(event)
        self.state = self.recorder.state
        return needs


@dataclass
class History:
    """One trail, its state directory, and what must be known of it.

    Attributes:
        log: What was done, for who has to find out why it went wrong.
        new: Ids of damage that came in while the trail was watched.
        losses: How many starts told of a loss.
    """

    dice: random.Random
    directory: Path
    trail: Recorded = field(default_factory=lambda: Recorded(None))
    log: list[str] = field(default_factory=list)
    new: set[str] = field(default_factory=set)
    losses: int = 0
    _lines: int = 0

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def before(self) -> Path:
        return self.directory / "before"

    def run(self, faults: dict[str, Fault], lives: int = 4) -> None:
        """Live, be killed and have the state damaged, again and again; then one last life."""
        self.home.mkdir()
        self.trail.create(b"an old scar\n" + self._whole(3))
        for number in range(lives):
            self._live(is_first=number == 0)
            self._fault(faults)
        self._live(is_first=False)

    def _live(self, *, is_first: bool) -> None:
        with closing(self._opened()) as store:
            store.concern([KEY])
            self.trail.recorder = Recorder(store, KEY, POLICY, lambda _: None)
            self.trail.state = self.trail.recorder.state
            self.losses += store.lost(KEY) is not None
            self.trail.recorder.tell_loss()
            store.keep_generation()
            self.trail.look()
            self._check()
            for _ in range(self.dice.randrange(1, 6)):
                self._grow()
                if self.dice.random() < 0.2:
                    self._keep(self.before)
            self._check()
            assert self.trail.recorder.is_saved
            self._keep(self.directory / "killed")
        shutil.rmtree(self.home)
        (self.directory / "killed").rename(self.home)
        self._lines += is_first

    def _opened(self) -> Store:
        store = Store.open(self.home, self.trail.now, "this boot")
        self.log.append(f"start: step {store.step}, resets {store.resets}, lost: {store.lost(KEY)}")
        return store

    def _grow(self) -> None:
        self.trail.append(self._whole(self.dice.randrange(3)))
        known = {finding.id for finding in self.trail.state.active.findings} if self.trail.state.active else set()
        if is_damaged := self.dice.random() < 0.4:
            self._lines += 1
            self.trail.append(b"torn %d\n" % self._lines)
        if self.dice.random() < 0.15:
            self.trail.rename("audit.jsonl", f"audit-{20260101000000 + self._lines}.jsonl")
            self._lines += 1
            self.trail.create(self._whole(1))
        self.trail.look()
        found = {finding.id for segment in self.trail.state.segments for finding in segment.findings}
        if is_damaged:
            self.new |= found - known - self._inherited()

    def _whole(self, number: int) -> bytes:
        self._lines += number
        return b"".join(b'{"n":%d}\n' % n for n in range(self._lines - number, self._lines))

    def _keep(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.home, target)

    def _fault(self, faults: dict[str, Fault]) -> None:
        name = self.dice.choice(sorted(faults))
        before = self.before if self.before.exists() else self.home
        self.log.append(f"{name}: {faults[name](self.dice, self.home, before)}")

    def _inherited(self) -> set[str]:
        return {f.id for s in self.trail.state.segments for f in s.findings if f.inherited}

    def _check(self) -> None:
        """All damage that came in while the trail was watched is open, and none of it inherited."""
        state = self.trail.state
        found = {f.id: f for s in state.segments for f in s.findings if f.state is FindingState.OPEN}
        missing = self.new - found.keys()
        inherited = {one for one in self.new if one in found and found[one].inherited}
        assert not missing, (f"{len(missing)} findings are gone", self.log)
        assert not inherited, (f"{len(inherited)} findings became inherited", self.log)


def truncate(dice: random.Random, home: Path, _: Path) -> str:
    path = dice.choice([home / name for name in FILES if (home / name).exists()])
    size = dice.choice([0, 1, 511, dice.randrange(path.stat().st_size + 1)])
    os.truncate(path, min(size, path.stat().st_size))
    return f"{path.name} cut to {size} bytes"


def flip(dice: random.Random, home: Path, _: Path) -> str:
    path = dice.choice([home / name for name in FILES if (home / name).exists() and (home / name).stat().st_size])
    data, places = bytearray(path.read_bytes()), []
    for _ in range(dice.choice((1, 1, 1, 20))):
        places.append(dice.randrange(len(data) * 8))
        data[places[-1] // 8] ^= 1 << places[-1] % 8
    if path.name == STORE_NAME and any(place // 8 in range(60, 64) for place in places):
        return "nothing: the version of the schema is refused, and a person decides"
    path.write_bytes(data)
    return f"{path.name} flipped at {places}"


def remove(dice: random.Random, home: Path, _: Path) -> str:
    """One file, or all but one."""
    names = [name for name in FILES if (home / name).exists()]
    if len(names) == 1:
        return "nothing: where everything is gone is first sight"
    one = dice.choice(names)
    gone = [one] if dice.random() < 0.6 else [name for name in names if name != one]
    for name in gone:
        (home / name).unlink()
    return f"{gone} removed"


def put_back(dice: random.Random, home: Path, before: Path) -> str:
    """Some older files, but not the store together with its `state.step`: that has no witness beside it."""
    if before == home:
        return "nothing: there is no older copy yet"
    names = [name for name in FILES if (before / name).exists()]
    chosen = dice.choice(([STEP_NAME], [STORE_NAME], [STORE_NAME, f"{STORE_NAME}-wal"], [f"{STORE_NAME}-wal"]))
    chosen = [name for name in chosen if name in names]
    for name in chosen:
        shutil.copy(before / name, home)
    return f"{chosen} put back"


def zero(dice: random.Random, home: Path, _: Path) -> str:
    """What a power cut on a careless file system leaves."""
    path = dice.choice([home / name for name in FILES if (home / name).exists()])
    path.write_bytes(bytes(path.stat().st_size))
    return f"{path.name} became NUL bytes"


def nothing(_: random.Random, _home: Path, _before: Path) -> str:
    return "a kill"


FAULTS: dict[str, Fault] = {
    "truncate": truncate,
    "flip": flip,
    "remove": remove,
    "put back": put_back,
    "zero": zero,
    "nothing": nothing,
}
