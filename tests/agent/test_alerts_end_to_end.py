"""From the fault to the page: a real Prometheus and a real Alertmanager with the shipped files, and who is told.

The rules are as shipped but for their durations (`for`, ranges, steps, offsets), which `quicker` divides by sixty; the
configuration of Alertmanager is as shipped but for its receivers and the times on its routes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from auditwatch import AuditWriter
from auditwatch.errors import AuditWriteError
from tests.agent.alerting import RULES, Alertmanager, Prometheus, Webhook, is_mounted, needed, sent_to
from tests.agent.running import SPLICED, Agent, Agents, append, command, configuration, records, until

pytestmark = pytest.mark.timeout(400)

FASTER = 60
"""By what every duration in the rules is divided; the agent is scraped, and the rules are evaluated, each second."""

AT_ONCE = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
HEARTBEAT = "AuditwatchHeartbeat"
LONGEST_FOR = 15
"""Seconds, after `quicker`: what is due by then at a sudden change has come."""

ROUNDS = 6
"""How many evaluations an alert is alone: more than the `for` of what could follow from its fault."""

VOLUME_ROUNDS = 24
"""The same where a volume is full, which the agent looks at each 15 seconds."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\bfor: |\boffset |\[|(?<=[smhd]):)(\d+)([smhd])\b")

Alert = tuple[str, str]
"""Its name and its trail."""


def quicker(rules: str) -> tuple[str, Counter[str]]:
    """The rules with every duration divided by `FASTER`, and which there were, how often."""
    seen = Counter[str]()

    def divided(found: re.Match[str]) -> str:
        kind, number, unit = found.groups()
        seconds = max(1, round(int(number) * UNITS[unit] / FASTER))
        seen[f"{kind.strip().removesuffix(':') or 'step'} {number}{unit}->{seconds}s"] += 1
        return f"{kind}{seconds}s"

    return DURATION.sub(divided, rules), seen


@dataclass
class Producers:
    """Two trails that grow all the while, one of which may fall silent."""

    steady: Path
    quiet: Path
    is_silent: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Producers:
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self.is_over.wait(0.2):  # paces what they write
            number += 1
            append(self.steady, records(1, number))
            if not self.is_silent.is_set():
                append(self.quiet, records(1, number))


class Stage:
    """An agent with a trail for each scene, and everything that an alert passes on its way."""

    def __init__(self, stack: ExitStack, agents: Agents, directory: Path) -> None:
        self.agents = agents
        self.directory = directory
        self.seen: list[tuple[str, str, str, float, float]] = []
        self.happened: list[tuple[str, Alert]] = []
        for volume in ("small", "narrow"):
            if not is_mounted(directory / volume, "1m"):
                pytest.skip("NOT RUN: a small tmpfs cannot be mounted here")
            stack.callback(subprocess.run, ["umount", "--lazy", str(directory / volume)], check=True)
        names = {name: directory / f"{name}.jsonl" for name in ("lines", "cut", "gone", "quiet", "steady")}
        self.trails = {**names, "room": directory / "small/room.jsonl", "volume": directory / "narrow/volume.jsonl"}
        for path in self.trails.values():
            path.write_bytes(records(50))
        expected = {"quiet": ", expect_append_every: 5s"}
        entries = [f"{{name: {name}, path: '{path}'{expected.get(name, '')}}}" for name, path in self.trails.items()]
        self.config = configuration(directory / "auditwatch.yml", entries)
        self.producers = stack.enter_context(Producers(self.trails["steady"], self.trails["quiet"]))
        self.agent = agents.start("-c", self.config)
        for name in ("lines", "cut", "gone", "room", "volume"):
            self.agent.follows(self.trails[name], name)
        rules = directory / "rules.yml"
        text, self.scaled = quicker(RULES.read_text())
        rules.write_text(text)
        self.webhook = stack.enter_context(Webhook())
        alertmanager = stack.enter_context(Alertmanager(directory / "alertmanager", sent_to(self.webhook, AT_ONCE)))
        until(lambda: alertmanager.get("/api/v2/status"))
        target = self.agent.url.removeprefix("http://")
        self.prometheus = stack.enter_context(
            Prometheus(directory / "prometheus", target, rules, alertmanager, "--query.lookback-delta=5s")
        )
        until(lambda: self.prometheus.values("up") == [1.0])

    def told(self) -> dict[Alert, str]:
        """Who was told of what, and not yet that it is over; without the heartbeat."""
        return self.webhook.firing(HEARTBEAT)

    def rounds(self, number: int) -> None:
        """So many evaluations of the rules, whether or not the agent answers."""
        passed = self.prometheus.rounds("count_over_time(up[1h])")
        until(lambda: passed() >= number, 2 * number + 30)

    def scene(
        self,
        what: str,
        cause: Callable[[], object],
        end: Callable[[], object],
        receiver: str,
        *alert: str,
        rounds: int = ROUNDS,
    ) -> None:
        """One fault: exactly this alert, at this receiver, also a while later; and none once it is dealt with."""
        wanted: Alert = (alert[0], alert[1] if len(alert) > 1 else "")
        began = time.monotonic()
        cause()
        until(lambda: wanted in self.told())
        came = time.monotonic() - began
        self.try_what_it_says(wanted)
        self.rounds(rounds)
        assert self.told() == {wanted: receiver}, what
        ended = time.monotonic()
        end()
        until(lambda: not self.told())
        self.seen.append((what, f"{wanted[0]} {wanted[1]}".strip(), receiver, came, time.monotonic() - ended))
        self.happened.append((receiver, wanted))

    def try_what_it_says(self, alert: Alert) -> None:
        """Its texts are whole, and its one command works as it is typed on the host of the agent."""
        said = self.webhook.said[alert]
        assert not [text for text in said.values() if re.search(r"<error|<no value>|%!", text)], said
        name, *words = said["command"].split()
        if name == "auditwatch":
            done = command(*words, env={**os.environ, "STATE_DIRECTORY": str(self.agent.state_dir)})
            assert (done.returncode, done.stderr) == (0, ""), said["command"]
            assert alert[1] in done.stdout

    def acknowledge(self, trail: str) -> None:
        done = command(
            "acknowledge", "--trail", trail, "--all", "--reason", "seen", "--state-dir", self.agent.state_dir
        )
        assert done.returncode == 0, done.stderr

    def table(self) -> str:
        """What was divided, and for each fault what was told to whom, and after how many seconds."""
        lines = [f"divided by {FASTER}: {', '.join(f'{what} ({n})' for what, n in sorted(self.scaled.items()))}"]
        for what, alert, receiver, came, ended in self.seen:
            lines.append(f"{what:32} {alert:34} {receiver:7} after {came:4.1f} s, over after {ended:4.1f} s")
        return "\n" + "\n".join([*lines, f"{len(self.seen)} faults, 0 unexpected", ""])

    def restart(self) -> Agent:
        """The agent again, at the same address."""
        address = self.agent.url.removeprefix("http://")
        self.agent = self.agents.start("-c", self.config, state_dir=self.agent.state_dir, address=address)
        return self.agent


@pytest.fixture
def stage(agents: Agents, tmp_path: Path) -> Iterator[Stage]:
    needed("prometheus", "prometheus")
    needed("prometheus-alertmanager", "prometheus-alertmanager")
    with ExitStack() as stack:
        yield Stage(stack, agents, tmp_path)


def fill(volume: Path, but: float = 0.0) -> Path:
    """Take all room, but this share of it."""
    ballast = volume / "ballast"
    size = os.statvfs(volume)
    left = int(size.f_blocks * size.f_frsize * but)
    with ballast.open("ab", buffering=0) as file:
        free = os.statvfs(volume).f_bavail * size.f_frsize
        while free > left:
            file.write(b"x" * min(4096, free - left))
            free = os.statvfs(volume).f_bavail * size.f_frsize
    return ballast


def write_on_a_full_volume(trail: Path) -> None:
    """One append that fails, as a producer sees it; the volume stays full."""
    with AuditWriter(trail) as audit:
        audit.append({"event": "START"})
        fill(trail.parent)
        with pytest.raises(AuditWriteError) as failed:
            audit.append({"event": "TRADE_APPROVED", "pad": "x" * 100_000})
    assert failed.value.reason == "disk_full"


def damage_and_failures(stage: Stage) -> None:
    append_splice = partial(append, stage.trails["lines"], SPLICED)
    damaged: Alert = ("AuditwatchTrailDamaged", "lines")
    stage.scene("a corrupt line", append_splice, partial(stage.acknowledge, "lines"), "pager", *damaged)
    fail = partial(write_on_a_full_volume, stage.trails["room"])
    failed: Alert = ("AuditwatchWriteFailures", "room")

    def room_again() -> None:
        (stage.trails["room"].parent / "ballast").unlink()
        until(lambda: stage.agent.value("trail_volume_free_bytes", trail="room") > 500_000)
        stage.acknowledge("room")

    stage.scene("a write failed on a full volume", fail, room_again, "pager", *failed, rounds=VOLUME_ROUNDS)


def broken_history(stage: Stage) -> None:
    cut = partial(os.truncate, stage.trails["cut"], 200)
    broken = "AuditwatchTrailViolation"
    stage.scene("truncated", cut, partial(stage.acknowledge, "cut"), "pager", broken, "cut")
    gone = stage.trails["gone"]

    def created_again() -> None:
        append(gone, records(3, 1000))
        stage.agent.follows(gone, "gone")
        stage.acknowledge("gone")

    stage.scene("deleted", gone.unlink, created_again, "pager", broken, "gone")


def what_is_a_ticket(stage: Stage) -> None:
    silent = stage.producers.is_silent
    stage.scene("fell silent", silent.set, silent.clear, "ticket", "AuditwatchTrailSilent", "quiet")
    narrow = stage.directory / "narrow"
    full: Alert = ("AuditwatchVolumeNearlyFull", "volume")
    stage.scene("the volume is nearly full", partial(fill, narrow, 0.03), (narrow / "ballast").unlink, "ticket", *full)


def a_restart_with_damage_open(stage: Stage) -> None:
    """It neither ends the page nor pages again."""
    append(stage.trails["lines"], SPLICED)
    open_now = {("AuditwatchTrailDamaged", "lines"): "pager"}
    until(lambda: stage.told() == open_now)
    stage.happened.append(("pager", *open_now))
    stage.agent.kill()
    stage.restart()
    stage.rounds(ROUNDS)
    assert stage.told() == open_now
    stage.acknowledge("lines")
    until(lambda: not stage.told())


def test_each_fault_pages_whom_it_should_once_and_nothing_else_pages(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.rounds(LONGEST_FOR + 2)
    assert stage.told() == {}, "nothing has happened yet"
    damage_and_failures(stage)
    broken_history(stage)
    what_is_a_ticket(stage)
    a_restart_with_damage_open(stage)
    stage.scene("the agent was killed", stage.agent.kill, stage.restart, "ticket", "AuditwatchAgentDown")
    stage.rounds(LONGEST_FOR + 2)
    assert stage.told() == {}, "nothing new after the restart"
    begun = Counter((receiver, (name, trail)) for receiver, name, trail in stage.webhook.begun(HEARTBEAT))
    assert begun == Counter(stage.happened)
    stage.agent.stop()
    with capsys.disabled():
        sys.stdout.write(stage.table())


def test_what_was_divided_are_durations_alone() -> None:
    text = RULES.read_text()
    scaled, seen = quicker(text)
    assert DURATION.sub("", scaled) == DURATION.sub("", text)
    assert sum(seen.values()) == len(re.findall(r"\[\d|:\d+s\]|\bfor: \d|\boffset \d", text))
