"""The tamper storm: every edit of bytes that were judged is found and rightly named, by running and stopped agents.

`python -m tests.faults.storms.tamper --edits 2000` (`make tamper-storm N=2000`) prints a table with a row for each kind
of edit, and what was missed with the seed that brings it back: `--seed S --only NUMBER`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from auditwatch import AuditWriter
from tests.agent.running import Agent, Agents, configuration
from tests.faults.storms.edits import EDITS, Edit, Target
from tests.faults.storms.rotators import compressed
from tests.faults.storms.watching import statuses, violations

NAME: Final = "audit.jsonl"
MODES: Final = ("idle", "growing", "stopped")
"""The agent runs over a quiet trail, over one that grows, or is stopped while the edit is made."""

SETTLE_SECONDS: Final = 3.0
"""After the first word about an edit: a second, wrong one would have come by then."""

PROMISED_SECONDS: Final = 10.0
"""After which an edit of what was judged is named while the agent runs; the table counts those that took longer."""

_PAD: Final = "x" * 180
_OLDER_PART: Final = 0.7


@dataclass
class Templates:
    """Trails to copy: one for each size and kind.

    Attributes:
        home: Where they are made.
    """

    home: Path
    _made: dict[tuple[int, bool], Path] = field(default_factory=dict)

    def copy(self, size: int, is_stamped: bool, directory: Path) -> Path:
        """A trail of so many bytes, with a plain and a compressed closed segment of half its size; its active file."""
        if (size, is_stamped) not in self._made:
            self._made[size, is_stamped] = self._make(size, is_stamped)
        shutil.copytree(self._made[size, is_stamped], directory)
        return directory / NAME

    def _make(self, size: int, is_stamped: bool) -> Path:
        directory = self.home / f"template-{size}-{is_stamped}"
        directory.mkdir(parents=True)
        trail = directory / NAME
        _fill(trail, size // 2, is_stamped)
        trail.rename(f"{trail}.1")
        _fill(trail, size // 2, is_stamped)
        compressed(Path(f"{trail}.1").rename(f"{trail}.2"))
        trail.rename(f"{trail}.1")
        _fill(trail, int(size * _OLDER_PART), is_stamped)
        shutil.copy(trail, directory / "older")
        _fill(trail, size, is_stamped)
        return directory


def _fill(trail: Path, size: int, is_stamped: bool) -> None:
    number = trail.stat().st_size if trail.exists() else 0
    with AuditWriter(trail, stamp=is_stamped) as writer:
        while not trail.exists() or trail.stat().st_size < size:
            missing = size - (trail.stat().st_size if trail.exists() else 0)
            count = min(1000, missing // 400 + 1)
            writer.append_many(
                {"event": "TRADE_APPROVED", "amount": 10_000 + n % 89_999, "n": n, "account": f"A{n:08x}", "text": _PAD}
                for n in range(number, number + count)
            )
            number += count


@dataclass
class Case:
    """One edit of one trail.

    Attributes:
        number: Of the edit in the storm; it names the trail.
        kind: A key of `EDITS`.
        at: When the edit was done.
        known: When the agent first said something.
        kinds: What it says in the end.
        findings: Damaged lines that it found.
        details: Of the violations.
    """

    number: int
    seed: int
    kind: str
    size: int
    is_stamped: bool
    mode: str
    trail: Path
    target: Target
    at: float = 0.0
    known: float = 0.0
    kinds: frozenset[str] = frozenset()
    findings: int = 0
    details: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"t{self.number}"

    @property
    def edit(self) -> Edit:
        return EDITS[self.kind]

    @property
    def names(self) -> frozenset[str]:
        """What it may be called."""
        names = self.edit.names
        if not self.is_stamped and self.edit.unstamped is not None:
            names = self.edit.unstamped
        if self.mode == "growing" and names & {"truncated", "emptied", "rolled_back"}:
            names |= {"rewritten"}  # once it has grown beyond what was judged
        if self.mode == "growing" and names & {"deleted", "emptied"}:
            names |= {"replaced", "truncated"}
        return names

    @property
    def is_detected(self) -> bool:
        return self.known > 0 or not self.names

    @property
    def is_rightly_named(self) -> bool:
        if not self.names:
            return not self.kinds
        also = self.edit.also if self.is_stamped else frozenset()
        return bool(self.kinds & self.names) and self.kinds <= self.names | also

    def do(self) -> None:
        """Edit."""
        self.edit.do(self.target)
        self.at = time.time()

    def grow(self) -> None:
        """What a producer does that knows of nothing."""
        if self.is_stamped:
            with AuditWriter(self.trail, stamp=True) as writer:
                writer.append({"event": "MORE", "amount": 5})
        else:
            descriptor = os.open(self.trail, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(descriptor, b'{"event":"MORE","amount":%d}\n' % time.monotonic_ns())
            os.close(descriptor)

    def take(self, status: dict[str, Any], rows: Sequence[dict[str, Any]], since: float) -> None:
        """What the agent says now."""
        self.kinds = frozenset(row["kind"] for row in rows)
        self.findings = status["corrupt_lines"]["open"]
        self.details = [f"{row['kind']} ({row['segment']}: {row['detail']})" for row in rows]
        if not self.known and (rows or self.findings):
            self.known = max(since, min((row["seen"] for row in rows), default=time.time()))

    def __str__(self) -> str:
        stamped = "stamped" if self.is_stamped else "unstamped"
        said = ", ".join(self.details) or "nothing"
        if self.findings:
            said += f"; {self.findings} damaged lines"
        return (
            f"FAILED edit {self.number} (seed {self.seed}): {self.kind}, {self.size:,} bytes, {stamped}, {self.mode}\n"
            f"  done: {self.target.note or self.kind}\n  wanted: {' or '.join(sorted(self.names)) or 'nothing'}\n"
            f"  said: {said}"
        )


@dataclass
class Batch:
    """Some edits under one agent.

    Attributes:
        home: A directory of its own.
        patience: Seconds that an edit has to be found in.
    """

    home: Path
    cases: Sequence[Case]
    mode: str
    patience: float
    watch: str = "auto"

    def play(self) -> None:
        """Judge everything, edit, and see what is said."""
        agents = Agents(self.home)
        # Without `keep`, the oldest segment may go as soon as as many stay: that is how retention looks.
        entries = [f"{{name: {case.name}, path: {case.trail}, keep: 90d}}" for case in self.cases]
        lines = ["defaults:", "  pending_grace: 2s", f"  watch: {self.watch}"]
        config = configuration(self.home / "auditwatch.yml", entries, *lines)
        try:
            agent = self._judged(agents.start("-c", config))
            if self.mode == "stopped":
                agent.stop()
                self._edit(agent)
                since = time.time()
                agent = agents.start("-c", config)
            else:
                since = 0.0
                self._edit(agent)
            self._watch(agent, since)
        finally:
            agents.end_all()

    def _judged(self, agent: Agent) -> Agent:
        sizes = {case.name: case.trail.stat().st_size for case in self.cases}
        deadline = time.monotonic() + 120
        while True:
            found = statuses(agent)
            if all(found[name]["bytes"]["verified"] > size * 1.9 for name, size in sizes.items()):
                break
            assert time.monotonic() < deadline, "the agent has not read what was there"
            time.sleep(0.1)
        assert not violations(agent)
        time.sleep(1.5)  # it commits growth once a second
        return agent

    def _edit(self, agent: Agent) -> None:
        for case in self.cases:
            case.do()
            if self.mode != "stopped":
                time.sleep(0.05)
                self._look(agent, 0.0)

    def _watch(self, agent: Agent, since: float) -> None:
        deadline, quiet, grown = time.monotonic() + self.patience, 0.0, 0.0
        while time.monotonic() < deadline and not (quiet and time.monotonic() > quiet):
            if self.mode == "growing" and time.monotonic() > grown + 0.5:
                grown = time.monotonic()
                for case in self.cases:
                    case.grow()
            self._look(agent, since)
            if not quiet and all(case.known or not case.names for case in self.cases):
                quiet = time.monotonic() + SETTLE_SECONDS
            time.sleep(0.1)

    def _look(self, agent: Agent, since: float) -> None:
        status, rows = statuses(agent), violations(agent)
        for case in self.cases:
            if case.at:
                case.take(status[case.name], rows[case.name], since)
                case.at = max(case.at, since)


@dataclass
class Storm:
    """All batches.

    Attributes:
        sizes: Of the active files.
        kinds: Of edits.
        only: Numbers of the edits to make, the others being left out; all if empty.
    """

    edits: int
    seed: int
    batch: int = 20
    sizes: tuple[int, ...] = (1_400_000,)
    kinds: tuple[str, ...] = tuple(EDITS)
    modes: tuple[str, ...] = MODES
    only: tuple[int, ...] = ()
    patience: float = 30.0
    watch: str = "auto"

    def play(self, home: Path) -> Iterator[Case]:
        """Each edit, once it is known what became of it."""
        templates = Templates(home / "templates")
        kinds = random.Random(self.seed).sample(self.kinds, len(self.kinds))
        for first in range(0, self.edits, self.batch):
            turn = first // self.batch
            mode, size = self.modes[turn % len(self.modes)], self.sizes[turn // len(self.modes) % len(self.sizes)]
            asked = [n for n in range(first, min(first + self.batch, self.edits)) if not self.only or n in self.only]
            if not asked:
                continue
            directory = home / f"batch{first}"
            directory.mkdir()
            cases = [self._case(n, kinds, size, mode, templates, directory) for n in asked]
            Batch(directory, cases, mode, self.patience, self.watch).play()
            yield from cases
            shutil.rmtree(directory)

    def _case(self, number: int, kinds: Sequence[str], size: int, mode: str, templates: Templates, home: Path) -> Case:
        dice = random.Random(f"{self.seed}/{number}")
        is_stamped = dice.random() < 0.5
        trail = templates.copy(size, is_stamped, home / f"t{number}")
        older = (trail.parent / "older").rename(home / f"older{number}")
        kind = kinds[number % len(kinds)]
        target = Target(trail, older, dice, is_stamped)
        return Case(number, self.seed, kind, size, is_stamped, mode, trail, target)


def table(cases: Sequence[Case]) -> Iterator[str]:
    """A row for each kind of edit."""
    yield "| edit | stamps | edits | found | rightly named | found after, median | slowest | later than 10 s |"
    yield "|---|---|---|---|---|---|---|---|"
    rows: dict[tuple[str, bool], list[Case]] = defaultdict(list)
    for case in cases:
        rows[case.kind, case.is_stamped].append(case)
    for (kind, is_stamped), row in sorted(rows.items()):
        yield _row(f"{kind} | {'yes' if is_stamped else 'no'}", row)
    for mode in MODES:
        yield _row(f"all, {mode} | both", [case for case in cases if case.mode == mode])
    yield _row("all | both", cases)


def _row(name: str, cases: Sequence[Case]) -> str:
    if any(not case.names for case in cases) and len({case.kind for case in cases}) == 1:
        return f"| {name} | {len(cases)} | undetectable: nothing judged has changed | | | | |"
    found = sum(case.is_detected for case in cases)
    named = sum(case.is_rightly_named for case in cases)
    after = [case.known - case.at for case in cases if case.known and case.mode != "stopped"]
    late = sum(seconds > PROMISED_SECONDS for seconds in after)
    times = f"{median(after):.1f} s | {max(after):.1f} s | {late}" if after else "- | - | -"
    return f"| {name} | {len(cases)} | {found} | {named} | {times} |"


def _size(text: str) -> int:
    return int(float(text) * 1_000_000)


def main(arguments: Sequence[str]) -> int:
    """Play a storm, print what was missed and the table."""
    parser = argparse.ArgumentParser(prog="tests.faults.storms.tamper")
    parser.add_argument("--edits", type=int, default=len(EDITS) * 2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--batch", type=int, default=20, help="trails under one agent")
    parser.add_argument("--megabytes", type=_size, nargs="*", default=[1_400_000], help="sizes of the active files")
    parser.add_argument("--kinds", nargs="*", default=list(EDITS), choices=EDITS, metavar="KIND")
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=MODES)
    parser.add_argument("--only", type=int, nargs="*", default=[])
    parser.add_argument("--patience", type=float, default=30.0, help="seconds that an edit has to be found in")
    parser.add_argument("--watch", choices=["auto", "poll"], default="auto")
    asked = parser.parse_args(arguments)
    storm = Storm(
        asked.edits,
        asked.seed,
        asked.batch,
        tuple(asked.megabytes),
        tuple(asked.kinds),
        tuple(asked.modes),
        tuple(asked.only),
        asked.patience,
        asked.watch,
    )
    cases = []
    with tempfile.TemporaryDirectory(prefix="tamper-storm-") as home:
        for case in storm.play(Path(home)):
            cases.append(case)
            if not (case.is_detected and case.is_rightly_named):
                sys.stdout.write(f"{case}\n")
                sys.stdout.flush()
    sys.stdout.write("\n".join(["", *table(cases), f"seed {storm.seed}", ""]))
    return 0 if all(case.is_detected and case.is_rightly_named for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
