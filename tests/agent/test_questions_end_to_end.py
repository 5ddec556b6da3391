"""The questions of docs/operate/questions.md, asked of a real Prometheus: before a real fault, during it, after it.

Their durations are divided as those of the rules are; a week becomes five seconds. At the end the agent is killed, and
nobody answers any more, but the question whether it is gone.
"""

from __future__ import annotations

import fcntl
import gzip
import math
import os
import signal
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from auditwatch import AuditWriter
from tests.agent.alerting import Prometheus, is_mounted
from tests.agent.running import SPLICED, Agents, append, command, configuration, records, until, workers_of
from tests.agent.test_alerts_end_to_end import fill, quicker, write_on_a_full_volume
from tests.contracts.test_questions import questions

pytestmark = pytest.mark.timeout(600)

SLOW_SECONDS = 150.0
"""For what a minute of history has to bring, and the volume, which the agent looks at each 15 seconds."""

MANY = 200_000
"""Lines; if they are damaged, it takes seconds to judge them."""

NO_RULES = "groups: []\n"


def asked_quickly() -> dict[str, str]:
    """Each question, over seconds where the page says minutes, hours or a week."""
    found = questions()
    growth = "How does a trail grow, against last week?"
    found[growth] = found[growth].replace("[1h]", "[5s]").replace("offset 1w", "offset 5s")
    return {question: text if question == growth else quicker(text)[0] for question, text in found.items()}


class Scene:
    """An agent, its trails, and a Prometheus that is asked."""

    def __init__(self, stack: ExitStack, agents: Agents, directory: Path) -> None:
        self.agents = agents
        if not is_mounted(directory / "small", "1m"):
            pytest.skip("NOT RUN: a small tmpfs cannot be mounted here")
        stack.callback(subprocess.run, ["umount", "--lazy", str(directory / "small")], check=True)
        names = ("lines", "quiet", "counted", "big", "away", "packed")
        self.trails = {name: directory / f"{name}.jsonl" for name in names} | {"room": directory / "small/room.jsonl"}
        for path in self.trails.values():
            path.write_bytes(records(20))
        (directory / "packed.jsonl.1.gz").write_bytes(gzip.compress(records(MANY), 1))
        keys = {"quiet": ", expect_append_every: 5s", "packed": ", full: {every: 2s}"}
        entries = [f"{{name: {name}, path: '{path}'{keys.get(name, '')}}}" for name, path in self.trails.items()]
        self.config = configuration(directory / "auditwatch.yml", entries)
        self.agent = agents.start("-c", self.config)
        (directory / "rules.yml").write_text(NO_RULES)
        target = self.agent.url.removeprefix("http://")
        options = (None, "--query.lookback-delta=5s")
        self.prometheus = stack.enter_context(
            Prometheus(directory / "prometheus", target, directory / "rules.yml", *options)
        )
        until(lambda: self.prometheus.values("up") == [1.0])
        self._asked = asked_quickly()
        self.played: set[str] = set()

    def answer(self, question: str, trail: str = "") -> float | None:
        """What it gives now for one trail, or for the agent; None if there is no answer, or none that is a number."""
        query = urllib.parse.urlencode({"query": self._asked[question]})
        found = self.prometheus.ask(f"/api/v1/query?{query}") or {"result": []}
        values = [one["value"][1] for one in found["result"] if one["metric"].get("trail", "") == trail]
        return float(values[0]) if values and not math.isnan(float(values[0])) else None

    def play(
        self,
        question: str,
        trail: str,
        well: Callable[[float], bool] | None,
        cause: Callable[[], object],
        bad: Callable[[float], bool],
        end: Callable[[], object],
    ) -> None:
        """One fault: what is asked is well before, is not during it, and is again after it; None = no answer."""

        def is_well() -> bool:
            value = self.answer(question, trail)
            return value is None if well is None else value is not None and well(value)

        def is_bad() -> bool:
            value = self.answer(question, trail)
            return value is not None and bad(value)

        until(is_well, SLOW_SECONDS)
        cause()
        until(is_bad, SLOW_SECONDS)
        end()
        until(is_well, SLOW_SECONDS)
        self.played.add(question)

    def acknowledge(self, trail: str) -> None:
        done = command(
            "acknowledge", "--trail", trail, "--all", "--reason", "seen", "--state-dir", self.agent.state_dir
        )
        assert done.returncode == 0, done.stderr

    def scrapes(self, number: int) -> None:
        """So many attempts, whether or not the agent answers."""
        passed = self.prometheus.rounds("count_over_time(up[1h])")
        until(lambda: passed() >= number, 2 * number + 30)


@pytest.fixture
def scene(agents: Agents, tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(stack, agents, tmp_path)


@contextmanager
def repeated(action: Callable[[], object], seconds: float) -> Iterator[threading.Event]:
    """An action each so many seconds, but while the event is set."""
    pause, over = threading.Event(), threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):  # paces what is done
            if not pause.is_set():
                action()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield pause
    finally:
        over.set()
        thread.join()


def damage(scene: Scene) -> None:
    splice, lines = (lambda: append(scene.trails["lines"], SPLICED)), "lines"
    scene.play("Is it still happening?", lines, lambda v: v == 0, splice, lambda v: v == 2, lambda: None)
    open_now, is_none = "Is damage open now?", lambda v: v == 0
    scene.acknowledge(lines)
    scene.play(open_now, lines, is_none, splice, lambda v: v == 2, lambda: scene.acknowledge(lines))


def failed_writes(scene: Scene) -> None:
    room = scene.trails["room"]

    def again() -> None:
        (room.parent / "ballast").unlink()
        scene.acknowledge("room")

    with AuditWriter(room) as audit:
        audit.append({"event": "START"})
    question = "Was a record not written?"
    scene.play(question, "room", lambda v: v == 0, lambda: write_on_a_full_volume(room), lambda v: v == 1, again)


def waits_and_losses(scene: Scene) -> None:
    counted = scene.trails["counted"]

    def wait_for_the_lock() -> None:
        with counted.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            began = time.monotonic()
            until(lambda: time.monotonic() - began > 1.5)  # an append begins each half second

    def lose() -> None:
        """Records that were acknowledged, gone before anybody looked."""
        os.kill(scene.agent.pid, signal.SIGSTOP)
        size = counted.stat().st_size
        for number in range(3):
            audit.append({"event": "LOST", "n": number})
        os.truncate(counted, size)
        os.kill(scene.agent.pid, signal.SIGCONT)

    with AuditWriter(counted) as audit, repeated(lambda: audit.append({"event": "QUICK"}), 0.5) as pause:
        wait = "How long does an append wait for the lock?"
        scene.play(wait, "counted", lambda v: v < 0.1, wait_for_the_lock, lambda v: v > 0.1, lambda: None)
        pause.set()
        missing = "What did writers acknowledge that is not in the file?"
        scene.play(missing, "counted", lambda v: v == 0, lose, lambda v: v == 3, lambda: None)


def quietness(scene: Scene) -> None:
    with repeated(lambda: append(scene.trails["quiet"], records(1)), 0.5) as pause:
        question = "How does a trail grow, against last week?"
        scene.play(question, "quiet", lambda v: 0.5 < v < 2, pause.set, lambda v: v < 0.3, pause.clear)
        question = "Is a trail quieter than it should be?"
        scene.play(question, "quiet", lambda v: v < 1, pause.set, lambda v: v > 1, pause.clear)

        def stall() -> None:
            pause.set()
            os.kill(scene.agent.pid, signal.SIGSTOP)
            append(scene.trails["quiet"], records(1))
            scene.scrapes(4)
            os.kill(scene.agent.pid, signal.SIGCONT)

        question = "How long until a line has its verdict?"
        scene.play(question, "", lambda v: v < 2, stall, lambda v: v > 2, pause.clear)


def reading(scene: Scene) -> None:
    """A worker is busy for a while with what somebody copied into a trail."""
    big = scene.trails["big"]
    cost = "What does the agent cost, with its workers?"
    usual = until(lambda: scene.answer(cost), SLOW_SECONDS)
    much = SPLICED * MANY
    scene.play(
        cost, "", lambda v: v < usual + 0.05, lambda: append(big, much), lambda v: v > usual + 0.05, lambda: None
    )
    share = "Which share of the bytes was ever judged?"
    scene.play(share, "big", lambda v: v == 1, lambda: append(big, much), lambda v: v < 1, lambda: None)


def validation(scene: Scene) -> None:
    """Full runs of a trail with a compressed segment need a worker, which is stopped."""

    def stop() -> None:
        for worker in until(lambda: workers_of(scene.agent.pid)):
            os.kill(worker, signal.SIGSTOP)

    def go_on() -> None:
        for worker in workers_of(scene.agent.pid):
            os.kill(worker, signal.SIGCONT)

    overdue = "Is a full validation overdue?"
    scene.play(overdue, "packed", lambda v: v < 4, stop, lambda v: v > 8, go_on)


def places(scene: Scene) -> None:
    """The volume of a trail, and a trail that cannot be read."""
    failed_writes(scene)
    small, away = scene.trails["room"].parent, scene.trails["away"]
    full = "Will the disk be full in four hours?"
    scene.play(full, "room", lambda v: v == 0, lambda: fill(small, 0.3), lambda v: v == 1, (small / "ballast").unlink)
    hidden = away.with_name("hidden")
    blind = "Is an agent alive but blind?"

    def hide() -> None:
        away.rename(hidden)
        away.mkdir()

    def show() -> None:
        away.rmdir()
        hidden.rename(away)

    scene.play(blind, "", None, hide, lambda v: v == 1, show)


def test_each_question_is_answered_by_a_real_prometheus(scene: Scene) -> None:
    """Faults of different trails are played side by side: each is asked about alone."""
    with ThreadPoolExecutor() as stages:
        for done in [
            stages.submit(story, scene) for story in (damage, quietness, waits_and_losses, reading, places, validation)
        ]:
            done.result()
    gone = "Is an agent gone from discovery?"
    address = scene.agent.url.removeprefix("http://")

    def restart() -> None:
        nobody = [(question, trail) for question in scene.played for trail in ("", *scene.trails)]
        until(lambda: not [asked for asked in nobody if scene.answer(*asked) is not None], SLOW_SECONDS)
        scene.agent = scene.agents.start("-c", scene.config, state_dir=scene.agent.state_dir, address=address)

    scene.play(gone, "", None, scene.agent.kill, lambda v: v == 1, restart)
    assert scene.played == set(questions())
