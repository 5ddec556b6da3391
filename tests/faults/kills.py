"""One round of kills: writers are let loose on a new trail and killed, one more appends, and the trail is surveyed."""

from __future__ import annotations

import os
import random
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.acknowledgements import Acknowledgements, Outcome
from tests.faults.nursery import Nursery, Writer, made_by
from tests.faults.oracle import Survey, size_of, survey

Kill = Callable[[list[int], Path], None]


@dataclass(frozen=True)
class Round:
    """What is played.

    Attributes:
        processes: How many writers at once.
        options: Of each.
        homemade: Whether they are of the known kind.
        pad: Bytes that make each record longer.
        failpoints: At which the first of them dies.
    """

    processes: int
    options: dict[str, Any]
    homemade: bool = False
    pad: int = 100
    failpoints: str = ""

    def play(self, nursery: Nursery, directory: Path, kill: Kill) -> tuple[Survey, int]:
        """Play it in a new directory; what was found, and how many records were acknowledged."""
        directory.mkdir()
        trail, told = directory / "audit.jsonl", Acknowledgements(directory / "told", self.processes + 1)
        pids = nursery.spawn([self._writer(directory, number) for number in range(self.processes)])
        kill(pids, trail)
        # On a machine that leaves the killer no turn, one may come to the end of its records.
        assert set(nursery.reap()) <= {-signal.SIGKILL, 0}
        self._append_once_more(directory, told)
        return survey(trail, told), told.count(Outcome.ACKNOWLEDGED)

    def _writer(self, directory: Path, number: int) -> Writer:
        return Writer(
            str(directory / "audit.jsonl"),
            str(directory / "told"),
            number,
            self.pad,
            self.options,
            homemade=self.homemade,
            failpoints=self.failpoints if number == 0 else "",
            stops=not self.homemade,  # without a lock, they may rename the same file
        )

    def _append_once_more(self, directory: Path, told: Acknowledgements) -> None:
        """The next writer ends what was torn."""
        append = made_by(self._writer(directory, self.processes))
        told.note(self.processes, 0, Outcome.BEGUN)
        append({"who": self.processes, "number": 0})
        told.note(self.processes, 0, Outcome.ACKNOWLEDGED)


def in_turn(step: int, dice: random.Random) -> Kill:
    """Kill one after the other, each when the trail has grown by some bytes more: often in the middle of a write.

    Args:
        step: Most bytes that it grows in between.
        dice: Decide.
    """

    def kill(pids: list[int], trail: Path) -> None:
        for pid in dice.sample(pids, len(pids)):
            start = size_of(trail)
            target = start + dice.randrange(step)
            for _ in range(20_000):  # a bound: a writer without a lock may rename the file for ever
                if not start <= size_of(trail) < target:  # large enough, or rotated
                    break
                os.sched_yield()
            os.kill(pid, signal.SIGKILL)

    return kill


def when_the_first_has_died(pids: list[int], trail: Path) -> None:
    """Kill all others once a failpoint has killed the first."""
    waited = os.pidfd_open(pids[0])
    try:
        assert select.select([waited], [], [], 60)[0], "the failpoint was not reached"
    finally:
        os.close(waited)
        for pid in pids[1:]:
            os.kill(pid, signal.SIGKILL)
