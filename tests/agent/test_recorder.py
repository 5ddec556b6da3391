"""What a recorder stores when: findings at once, growth alone once a second, everything in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from auditwatch.agent import recorder as recorders
from auditwatch.agent.recorder import Growth, Recorder
from auditwatch.ledger.effects import Effect
from auditwatch.ledger.events import Counted, Event
from auditwatch.ledger.state import TrailState
from auditwatch.ledger.writes import NO_FAILURES, Counts
from auditwatch.state.store import Store
from tests.agent.running import Agents, append, records, until
from tests.ledger.trails import POLICY, Trail

GOOD = records(1)
TORN = b'{"event":"TRADE_A\n'
KEY = "risk=/logs/audit.jsonl"


class Recorded(Trail):
    """A trail in memory whose state a recorder stores; its clock stands still until a test moves it."""

    def __init__(self, store: Store, key: str = KEY, growth: Growth | None = None) -> None:
        super().__init__(GOOD)
        self.store = store
        self.recorder = Recorder(store, key, POLICY, lambda _news: None, growth)

    def step(self, event: Event) -> tuple[Effect, ...]:
        needs = self.recorder.apply(event)
        self.state = self.recorder.state
        return needs

    @property
    def kept(self) -> TrailState:
        """What a kill would leave."""
        found = self.store.load(self.recorder.key)
        assert found
        return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(recorders.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def trail(tmp_path: Path, clock: list[float]) -> Iterator[Recorded]:
    with closing(Store.open(tmp_path, 1.0)) as store:
        trail = Recorded(store)
        trail.look()
        clock[0] += recorders.GROWTH_SECONDS
        trail.recorder.keep_up()
        yield trail


def grow(trail: Recorded) -> None:
    trail.append(GOOD)
    trail.look()


def test_growth_alone_is_stored_once_a_second(trail: Recorded, clock: list[float]) -> None:
    grow(trail)
    before = trail.kept
    assert before.appended_lines == trail.state.appended_lines, "the first after a quiet second"
    for _ in range(5):
        grow(trail)
    assert trail.kept == before
    assert trail.state.appended_lines == before.appended_lines + 5 * GOOD.count(b"\n")
    clock[0] += recorders.GROWTH_SECONDS
    trail.recorder.keep_up()
    assert trail.kept.appended_lines == trail.state.appended_lines
    assert trail.kept.step == trail.state.step


def test_what_grew_is_stored_for_all_trails_in_one_transaction(tmp_path: Path, clock: list[float]) -> None:
    with closing(Store.open(tmp_path, 1.0)) as store:
        growth = Growth(store)
        trails = [Recorded(store, f"{name}=/logs/{name}.jsonl", growth) for name in ("risk", "orders", "fills")]
        for trail in trails:
            trail.look()
            grow(trail)
        before = store.step
        for trail in trails:
            grow(trail)
        assert store.step == before
        clock[0] += recorders.GROWTH_SECONDS
        trails[0].recorder.keep_up()
        assert store.step == before + 1
        assert [trail.kept for trail in trails] == [trail.state for trail in trails]
        trails[1].recorder.keep_up()
        assert store.step == before + 1


def test_growth_that_could_not_be_stored_is_tried_again_for_each_trail(tmp_path: Path, clock: list[float]) -> None:
    with closing(Store.open(tmp_path, 1.0)) as store:
        growth = Growth(store)
        trails = [Recorded(store, f"{name}=/logs/{name}.jsonl", growth) for name in ("risk", "orders")]
        for trail in trails:
            trail.look()
            grow(trail)
            grow(trail)
        store.guard = lambda: False
        clock[0] += recorders.GROWTH_SECONDS
        trails[0].recorder.keep_up()
        assert [(trail.recorder.is_saved, trail.recorder.failures) for trail in trails] == [(False, 1)] * 2
        store.guard = lambda: True
        for trail in trails:
            trail.recorder.keep_up()
        assert [trail.kept for trail in trails] == [trail.state for trail in trails]
        assert [trail.recorder.is_saved for trail in trails] == [True] * 2


def test_what_is_more_than_growth_is_stored_at_once(trail: Recorded) -> None:
    trail.append(GOOD + TORN)
    trail.look()
    active = trail.kept.active
    assert active
    assert [finding.offset for finding in active.findings] == [2 * len(GOOD)]
    trail.rename("audit.jsonl", "audit.jsonl.2000")
    trail.create(GOOD)
    trail.look()
    assert trail.kept.rotations == 1


def test_what_writers_stored_waits_like_growth_and_what_failed_does_not(trail: Recorded, clock: list[float]) -> None:
    failed = (1, *NO_FAILURES[1:])
    grow(trail)
    trail.step(Counted(trail.now, "aa", Counts(5)))
    assert trail.kept.writes.total.stored == 5, "a counters file that is new"
    trail.step(Counted(trail.now, "aa", Counts(9)))
    assert trail.kept.writes.total.stored == 5
    clock[0] += recorders.GROWTH_SECONDS
    trail.recorder.keep_up()
    assert trail.kept.writes.total.stored == 9
    trail.step(Counted(trail.now, "aa", Counts(11, failed), trail.now))
    assert trail.kept.writes.total == Counts(11, failed)
    trail.step(Counted(trail.now, trouble="no counters file"))
    assert trail.kept.writes.trouble


def test_the_last_one_before_another_takes_over_stores_everything(trail: Recorded) -> None:
    trail.append(GOOD)
    trail.look()
    trail.recorder.retire()
    assert trail.kept.appended_lines == trail.state.appended_lines


def test_after_a_kill_the_last_second_is_judged_again_and_counted_once(agents: Agents, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch()
    agent = agents.start(path).follows(path)
    for number in range(20):
        append(path, records(5, start=number * 5))
        agent.follows(path)
    agent.kill()
    agent = agents.start(path).follows(path)
    until(lambda: agent.value("trail_appended_lines_total") == 100)
    assert agent.value("trail_violations") == 0
    agent.stop()
    agent = agents.start(path).follows(path)
    assert agent.value("trail_appended_lines_total") == 100
