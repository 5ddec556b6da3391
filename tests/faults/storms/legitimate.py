"""The legitimate storm: no history of programs that mean well raises an alarm, and each line is judged exactly once.

`python -m tests.faults.storms.legitimate --histories 2000` (`make legitimate-storm N=2000`) prints what failed, with
the seed that brings it back: `--seed S --only NUMBER`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.agent.running import Agent, Agents, configuration
from tests.faults.storms.histories import STEPS, STYLES, History
from tests.faults.storms.watching import statuses, violations

SETTLE_SECONDS: Final = 3.0
"""After the last step: what needs two looks two seconds apart has been seen by then."""

PATIENCE_SECONDS: Final = 15.0
TURNS: Final = (6, 14)
BATCH: Final = 50


@dataclass
class Failure:
    """One history that was not known as it was."""

    history: History
    what: list[str]
    log: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        history = self.history
        stamped = "stamped" if history.is_stamped else "unstamped"
        head = f"history {history.number} (seed {history.seed}; {history.style}, keep {history.keep}, {stamped})"
        steps = "\n    ".join(history.log)
        return "\n".join([f"FAILED {head}", *(f"  {what}" for what in self.what), f"    {steps}", *self.log])


@dataclass
class Batch:
    """Some histories under one agent, which is restarted and killed among them.

    Attributes:
        home: A directory of its own.
        watch: How the agent watches: auto or poll.
        patience: Seconds until everything must be known.
    """

    home: Path
    histories: Sequence[History]
    seed: str
    watch: str = "auto"
    patience: float = PATIENCE_SECONDS

    def play(self) -> list[Failure]:
        """Let everything happen; returns what was not known as it was."""
        dice = random.Random(self.seed)
        agents = Agents(self.home)
        lines = ["defaults:", "  poll_interval: 100ms", "  pending_grace: 1s", f"  watch: {self.watch}"]
        config = configuration(self.home / "auditwatch.yml", [history.key for history in self.histories], *lines)
        try:
            agent = _watching(agents.start("-c", config))
            for history in self.histories:
                history.begin_watched()
            for _ in range(dice.choice([1, 2, 3])):
                self._steps(dice, dice.randrange(*TURNS), is_watched=True)
                end = dice.choice([agent.stop, agent.kill])
                self._note(end.__name__)
                end()
                self._steps(dice, dice.choice([0, 1, 2, 4]), is_watched=False)
                agent = agents.start("-c", config)
                self._note("start")
            self._steps(dice, dice.randrange(*TURNS), is_watched=True)
            for history in self.histories:
                history.end()
            return self._judged(agent)
        finally:
            agents.end_all()

    def _note(self, what: str) -> None:
        for history in self.histories:
            history.note(f"-- the agent: {what}")

    def _steps(self, dice: random.Random, turns: int, *, is_watched: bool) -> None:
        for _ in range(turns):
            for history in dice.sample(self.histories, len(self.histories)):
                history.step(is_watched)
            time.sleep(dice.choice([0.0, 0.1, 0.3]))  # the pace of what happens: faster and slower than looks

    def _judged(self, agent: Agent) -> list[Failure]:
        settled, deadline = time.monotonic() + SETTLE_SECONDS, time.monotonic() + self.patience
        while True:
            found = list(self._failures(agent))
            now = time.monotonic()
            if now > deadline or (now > settled and not found):
                return found
            time.sleep(0.2)  # polls another process, with a deadline; both answers may change until it has settled

    def _failures(self, agent: Agent) -> Iterator[Failure]:
        status, rows = statuses(agent), violations(agent)
        for history in self.histories:
            what = list(wrong(history, status[history.name]))
            alarms = [f"false alarm: {row['kind']} ({row['segment']}: {row['detail']})" for row in rows[history.name]]
            if what or alarms:
                segments = [f"  {s['name']}: {s['lines']} lines" for s in status[history.name]["segments"]]
                yield Failure(history, [*alarms, *what], segments)


def _watching(agent: Agent) -> Agent:
    """The agent once it has judged what was there; what it cannot finish will show in the end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if all(found["first_seen"] and not found["bytes"]["unverified"] for found in statuses(agent).values()):
            break
        time.sleep(0.1)  # polls another process, with a deadline that is no failure here
    return agent


def wrong(history: History, status: dict[str, Any]) -> Iterator[str]:
    """What the agent says of a trail against what lies there."""
    truth = history.truth()
    if status["lines"] != truth.lines:
        yield f"{status['lines']} lines are judged, {truth.lines} lie there"
    held = status["bytes"]["active"] + status["bytes"]["segments"]
    if held != truth.data_bytes:
        yield f"{held} bytes are known, {truth.data_bytes} lie there"
    found = status["corrupt_lines"]["open"]
    if not truth.damaged <= found <= (history.planted if history.expired else truth.damaged):
        yield f"{found} damaged lines are open, {truth.damaged} lie there, {history.planted} were planted"
    if status["corrupt_lines"]["paging"] > history.planted_since:
        yield f"{status['corrupt_lines']['paging']} damaged lines page, {history.planted_since} are new"
    appended = status["appended"]["lines"]
    if appended > history.appended or (appended < history.appended and not history.expired):
        yield f"{appended} lines count as appended, {history.appended} were"
    if status["trouble"]:
        yield f"trouble: {status['trouble']['message']}"


@dataclass
class Storm:
    """All batches.

    Attributes:
        only: Numbers of the histories to play, the others being left out; all if empty.
        styles: Names of the rotators.
    """

    histories: int
    seed: int
    batch: int = BATCH
    only: tuple[int, ...] = ()
    styles: tuple[str, ...] = tuple(STYLES)
    steps: tuple[str, ...] = tuple(STEPS)
    keeps: tuple[int, ...] = (2, 3, 5, 1000, 1000)
    watch: str = "auto"
    played: Counter[str] = field(default_factory=Counter)

    def play(self, home: Path) -> Iterator[Failure]:
        """Each failure as it is found."""
        for first in range(0, self.histories, self.batch):
            numbers = range(first, min(first + self.batch, self.histories))
            asked = [number for number in numbers if not self.only or number in self.only]
            if not asked:
                continue
            directory = home / f"batch{first}"
            histories = [History(n, self.seed, directory / f"h{n}", self.styles, self.steps, self.keeps) for n in asked]
            yield from Batch(directory, histories, f"{self.seed}/{first}", self.watch).play()
            self.played.update(history.style for history in histories)
            shutil.rmtree(directory)


def main(arguments: Sequence[str]) -> int:
    """Play a storm, print what failed."""
    parser = argparse.ArgumentParser(prog="tests.faults.storms.legitimate")
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--only", type=int, nargs="*", default=[])
    parser.add_argument("--styles", default="", help="only rotators whose name contains this")
    parser.add_argument("--steps", nargs="*", default=list(STEPS), choices=STEPS, help="what may happen")
    parser.add_argument("--without", nargs="*", default=[], choices=STEPS, help="what may not")
    parser.add_argument("--keep", type=int, nargs="*", default=[2, 3, 5, 1000, 1000], help="closed files that are left")
    parser.add_argument("--watch", choices=["auto", "poll"], default="auto")
    parser.add_argument("--quiet", action="store_true", help="only what failed, without the steps")
    asked = parser.parse_args(arguments)
    styles = tuple(name for name in STYLES if asked.styles in name)
    steps = tuple(step for step in asked.steps if step not in asked.without)
    storm = Storm(
        asked.histories, asked.seed, asked.batch, tuple(asked.only), styles, steps, tuple(asked.keep), asked.watch
    )
    failures = []
    with tempfile.TemporaryDirectory(prefix="legitimate-storm-") as home:
        for failure in storm.play(Path(home)):
            failures.append(failure)
            text = str(failure)
            sys.stdout.write((text.partition("\n    ")[0] if asked.quiet else text) + "\n")
            sys.stdout.flush()
    _print_table(storm, failures)
    return 1 if failures else 0


def _print_table(storm: Storm, failures: Sequence[Failure]) -> None:
    failed = Counter(failure.history.style for failure in failures)
    lines = [f"| {style} | {count} | {failed[style]} |\n" for style, count in sorted(storm.played.items())]
    total = f"| all (seed {storm.seed}) | {storm.played.total()} | {failed.total()} |\n"
    sys.stdout.write("".join(["\n| rotated by | histories | failed |\n|---|---|---|\n", *lines, total]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
