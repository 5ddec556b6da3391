"""Legitimate histories: whatever programs that mean well do to a trail, and what must be known of it afterwards."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auditwatch import AuditWriter
from tests.faults.storms.rotators import (
    LOGROTATE,
    Cascade,
    Dated,
    Logrotate,
    Ours,
    Rising,
    Rotator,
    compressed,
    content,
)

NAME: Final = "audit.jsonl"
_COPIES: Final = (".bak", ".orig", ".tmp", "~")
AWAY_SECONDS: Final = 1.8

Made = Callable[[Path, Path, int, random.Random], Rotator]


def _logrotate(settings: str) -> Made:
    return lambda trail, home, keep, dice: Logrotate(trail, keep, dice, settings, home)


STYLES: Final[dict[str, Made]] = {
    **{f"logrotate {name}": _logrotate(settings) for name, settings in LOGROTATE.items()},
    "cascade": lambda trail, _, keep, dice: Cascade(trail, keep, dice),
    "cascade, nocreate": lambda trail, _, keep, dice: Cascade(trail, keep, dice, is_created=False),
    "cascade, compress": lambda trail, _, keep, dice: Cascade(trail, keep, dice, is_compressed=True),
    "loguru": lambda trail, _, keep, dice: Dated(trail, keep, dice, "{stem}.%Y-%m-%d_%H-%M-%S_{us}.jsonl"),
    "lumberjack": lambda trail, _, keep, dice: Dated(
        trail, keep, dice, "{stem}-%Y-%m-%dT%H-%M-%S.{ms}.jsonl", is_compressed=True
    ),
    "kube-apiserver": lambda trail, _, keep, dice: Dated(trail, keep, dice, "{stem}-%Y-%m-%dT%H-%M-%S.{ms}.jsonl"),
    "timed": lambda trail, _, keep, dice: Dated(trail, keep, dice, "{name}.%Y-%m-%d_%H-%M-%S.{us}", is_created=False),
    "rising numbers": lambda trail, _, keep, dice: Rising(trail, keep, dice),
    "ours": lambda trail, _, keep, dice: Ours(trail, keep, dice),
    "ours, unstamped": lambda trail, _, keep, dice: Ours(trail, keep, dice, is_stamped=False),
}
"""Who rotates, by name."""


STEPS: Final = {
    "append some": 30,
    "rotate after lines": 12,
    "append in two pieces": 4,
    "plant": 3,
    "append late": 6,
    "touch": 4,
    "change mode": 2,
    "link": 2,
    "copy": 2,
    "save unchanged": 2,
    "compress one": 3,
    "go away": 1,
}
"""What may happen, and how often."""


@dataclass
class Truth:
    """What lies in the files.

    Attributes:
        lines: Newline-ended lines, each file once, however many names it has.
        damaged: Planted lines that are still there.
        data_bytes: Of the content.
    """

    lines: int = 0
    damaged: int = 0
    data_bytes: int = 0


@dataclass
class History:
    """One trail and what happens to it, decided by a seed alone.

    Attributes:
        number: Of the history; it names the trail.
        seed: Of the whole storm.
        home: A directory of its own.
        styles: Names of the rotators to draw from.
        steps: What may happen to it.
        keeps: How many closed files are left after a rotation.
        log: What was done, with the time, for who has to reproduce it.
    """

    number: int
    seed: int
    home: Path
    styles: tuple[str, ...] = tuple(STYLES)
    steps: tuple[str, ...] = tuple(STEPS)
    keeps: tuple[int, ...] = (2, 3, 5, 1000, 1000)
    log: list[str] = field(default_factory=list)
    written: int = 0
    planted: int = 0
    expired: bool = False

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed}/{self.number}")
        self.directory = self.home / "trail"
        self.directory.mkdir(parents=True)
        self.trail = self.directory / NAME
        self.style = self.styles[self.number % len(self.styles)]
        self.keep = self.dice.choice(self.keeps)
        self.rotator = STYLES[self.style](self.trail, self.home, self.keep, self.dice)
        self.is_stamped = self.dice.random() < 0.5 and self.style != "ours, unstamped"
        self._held: int | None = None
        self._away: threading.Timer | None = None
        self._number = 0
        self._append(self.dice.randrange(0, 30))
        self._before = self._planted = 0
        known = self.dice.choice([0, 0, 1, 2])
        if self.style == "rising numbers":  # how counts run is known from a rotation that was seen, not from names
            known = min(known, 1)
        for _ in range(known):  # history from before first sight
            self._append(self.dice.randrange(1, 30))
            self._rotate()

    @property
    def name(self) -> str:
        """Of the trail, for the agent."""
        return f"h{self.number}"

    @property
    def key(self) -> str:
        """The trail's entry in a configuration file; of another place nobody can know before something went there."""
        elsewhere = f", segments: ['{self.directory}/old/{NAME}*']" if "olddir" in self.style else ""
        return f"{{name: {self.name}, path: {self.trail}{elsewhere}}}"

    def begin_watched(self) -> None:
        """From now on, every line counts as appended, and damage as new."""
        self._before, self._planted = self.written, self.planted

    @property
    def appended(self) -> int:
        """Lines that were written since it is watched."""
        return self.written - self._before

    @property
    def planted_since(self) -> int:
        """Damaged lines that were written since it is watched."""
        return self.planted - self._planted

    @property
    def is_away(self) -> bool:
        return self._away is not None and self._away.is_alive()

    def step(self, is_watched: bool) -> None:
        """One thing that happens.

        Args:
            is_watched: Whether an agent runs; if none does, more may happen between two looks.
        """
        if self.is_away:
            return
        for _ in range(self.dice.choice([1, 1, 1, 2, 3])):
            asked = {name: weight for name, weight in STEPS.items() if name in self.steps}
            if not is_watched:
                asked.pop("go away", None)
            (chosen,) = self.dice.choices(list(asked), list(asked.values()))
            getattr(self, f"_{chosen.replace(' ', '_')}")()
            if self.is_away:
                return

    def end(self) -> None:
        """Nothing is left undone."""
        if self._away is not None:
            self._away.join()
        self._let_go()

    def note(self, text: str) -> None:
        now = time.time()
        self.log.append(f"{time.strftime('%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03} {text}")

    def _record(self) -> dict[str, object]:
        self._number += 1
        return {"event": "TRADE_APPROVED", "n": self._number, "by": f"{self.name}-{self.dice.randrange(1 << 40):x}"}

    def _line(self) -> bytes:
        record = self._record()
        return b'{"event":"TRADE_APPROVED","n":%d,"by":"%s"}\n' % (record["n"], str(record["by"]).encode())

    def _append(self, lines: int) -> None:
        before = self._active_lines()
        if self.is_stamped:
            with AuditWriter(self.trail, stamp=True) as writer:
                for _ in range(lines):
                    writer.append(self._record())
        else:
            self._write(b"".join(self._line() for _ in range(lines)))
        written = self._active_lines() - before  # our writer begins a segment with a line of its own
        self.written += written
        self.note(f"append {written}")

    def _active_lines(self) -> int:
        return self.trail.read_bytes().count(b"\n") if self.trail.exists() else 0

    def _write(self, data: bytes) -> None:
        descriptor = os.open(self.trail, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            assert os.write(descriptor, data) == len(data)
        finally:
            os.close(descriptor)

    def _append_some(self) -> None:
        self._append(self.dice.randrange(1, 40))

    def _append_in_two_pieces(self) -> None:
        line = self._line()
        if self.is_stamped:
            return
        cut = self.dice.randrange(1, len(line) - 1)
        self._write(line[:cut])
        time.sleep(self.dice.choice([0.0, 0.02, 0.15]))  # how slow this producer is: looks fall in between
        self._write(line[cut:])
        self.written += 1
        self.note("append one line in two pieces")

    def _plant(self) -> None:
        """Damage that is really there."""
        self._number += 1
        self._write(b'{"planted":"%s-%d","x":{"event":"KILL", "n"\n' % (self.name.encode(), self._number))
        self.planted += 1
        self.written += 1
        self.note("plant a damaged line")

    def _rotate_after_lines(self) -> None:
        if self.dice.random() < 0.8:
            self._append(self.dice.randrange(1, 20))
        self._rotate()

    def _rotate(self) -> None:
        self._let_go()
        if self.trail.exists():
            self._held = os.open(self.trail, os.O_WRONLY | os.O_APPEND)
        before = self.truth().lines
        if not self.rotator.rotate():
            return
        if isinstance(self.rotator, Ours):  # it fills the file up until it is due
            self.written += self.truth().lines - before
        self.rotator.retain()
        self.expired |= self.truth().lines < before
        self.note(f"rotate ({self.style}, keep {self.keep}); {len(self._files())} files now")

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _append_late(self) -> None:
        """A producer that still has the renamed file open; one whose file was compressed away would lose its lines."""
        if self._held is None or self.is_stamped:
            return
        if not any(os.path.samestat(os.fstat(self._held), path.stat()) for path in self._files()):
            return  # it lives on under a link elsewhere at most, which is no part of the trail
        lines = self.dice.randrange(1, 5)
        os.write(self._held, b"".join(self._line() for _ in range(lines)))
        self.written += lines
        self.note(f"append {lines} late")

    def _some_file(self) -> Path | None:
        found = self._files()
        return self.dice.choice(found) if found else None

    def _touch(self) -> None:
        path = self._some_file()
        if path is not None:
            at = time.time() + self.dice.choice([0, 0, -86400, 86400, 3600 * 24 * 400])
            os.utime(path, (at, at))
            self.note(f"touch {path.name} {at - time.time():+.0f} s")

    def _change_mode(self) -> None:
        path = self._some_file()
        if path is not None:
            path.chmod(self.dice.choice([0o600, 0o640, 0o644]))
            self.note(f"chmod {path.name}")

    def _link(self) -> None:
        """A second name for a file: outside the trail's directory, or beside it."""
        path = self._some_file()
        if path is None:
            return
        (self.home / "elsewhere").mkdir(exist_ok=True)
        place = self.dice.choice([self.home / "elsewhere" / path.name, Path(f"{path}.bak")])
        if not place.exists():
            os.link(path, place)
            self.note(f"link {path.name} {place.parent.name}/{place.name}")

    def _copy(self) -> None:
        path = self._some_file()
        if path is None:
            return
        backup = Path(f"{path}{self.dice.choice(_COPIES)}")
        if not backup.exists():  # it may be a second name of a segment: that must not be written to
            shutil.copy2(path, backup)
            self.note(f"copy {path.name} to {backup.name}")

    def _save_unchanged(self) -> None:
        """An editor's save, or a restore of what was there: other inode, same bytes."""
        if not self.trail.exists():
            return
        self._let_go()
        new = self.trail.with_name(f".{NAME}.save")
        new.write_bytes(self.trail.read_bytes())
        new.rename(self.trail)
        self.note("save unchanged under a new inode")

    def _compress_one(self) -> None:
        """A cron job that compresses, later than the rotation."""
        if not isinstance(self.rotator, Dated | Ours | Cascade):
            return
        plain = [path for path in self.rotator.closed() if path.suffix != ".gz"]
        if plain:
            self._let_go()
            path = self.dice.choice(plain)
            compressed(path)
            self.note(f"compress {path.name}")

    def _go_away(self) -> None:
        """As a volume does that is mounted anew; on time, whatever else happens meanwhile."""
        self._let_go()
        self.directory.rename(self.home / "away")
        self.note("the directory goes away")
        self._away = threading.Timer(AWAY_SECONDS, self._come_back)
        self._away.start()

    def _come_back(self) -> None:
        (self.home / "away").rename(self.directory)
        self.note("the directory is back")

    def _files(self) -> list[Path]:
        """The files of the trail, copies left out."""
        found = sorted(path for path in self.directory.rglob("*") if path.is_file())
        return [path for path in found if path.name.startswith("audit") and not path.name.endswith(_COPIES)]

    def truth(self) -> Truth:
        """Count what lies there, with nothing of auditwatch."""
        truth, inodes = Truth(), set()
        for path in self._files():
            status = path.stat()
            if (status.st_dev, status.st_ino) in inodes:
                continue
            inodes.add((status.st_dev, status.st_ino))
            data = content(path)
            truth.lines += data.count(b"\n")
            truth.damaged += data.count(b'{"planted":')
            truth.data_bytes += len(data)
        return truth
