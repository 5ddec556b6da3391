"""What the agent says in its log: at once when it first happens, and what repeats as one total a minute.

A full disk fails thousands of writes, and a mount may come and go all night: what is new must not drown in that. What
is logged about the same trail for the same reason within a minute of the last time is only counted, and a total a trail
and minute tells of it; the last of them is told at the stop.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from auditwatch.agent.recorder import News
from auditwatch.trail.words import count_text

TOTAL_SECONDS: Final = 60.0
"""How often repeats are told, and after how long a silence something counts as new again."""

MOST_REASONS: Final = 100
"""The messages of other packages may say anything: beyond that, the reason that came first counts as new again."""

OnTrouble = Callable[[str, str, str], None]
"""Takes the name of a trail, the reason in a word or two, and a message: what could not be done, and why."""

OnWarning = Callable[[str, str], None]
"""Takes the reason in a word or two, and a message: trouble of the agent itself."""

_AGENT: Final = "agent"

log = logging.getLogger("auditwatch")


def log_trouble(trail: str, reason: str, message: str) -> None:
    """Something could not be looked at or done for a trail."""
    _log(logging.WARNING, trail, reason, f"{trail}: {message}")


def log_warning(reason: str, message: str) -> None:
    """Trouble of the agent itself."""
    _log(logging.WARNING, _AGENT, reason, message)


def log_error(task: str, error: Exception) -> None:
    """An error that nobody foresaw, with its traceback where tracebacks are wanted."""
    message = f"{task}: an error in auditwatch itself; continuing"
    _log(logging.ERROR, task, type(error).__name__, message, error=error)


def log_news(news: News) -> None:
    """Places and kinds; never contents, never hashes."""
    if inherited := sum(finding.inherited for finding in news.findings):
        message = f"{news.trail}: {count_text(inherited, 'damaged line')} from before watching began"
        _log(logging.INFO, news.trail, "from before watching began", message, inherited)
    _log_findings(news)
    for reason, number in news.failed.items():
        message = f"{news.trail}: {count_text(number, 'failed write')}: {reason} {number}"
        _log(logging.WARNING, news.trail, f"failed writes: {reason}", message, number)
    for row in news.violations:
        segment, detail = (row.latest_segment, row.latest) if row.latest else (row.segment, row.detail)
        _log(logging.WARNING, news.trail, row.kind, f"{news.trail}: {row.kind}: {segment}: {detail} ({row.id})")


def _log_findings(news: News) -> None:
    """The first of each kind with its place, then the rest of them at once."""
    fresh = sorted((one for one in news.findings if not one.inherited), key=lambda one: one.kind)
    for kind, found in groupby(fresh, key=lambda one: one.kind):
        first, *others = found
        for finding, number in ((first, 1), (others[-1], len(others))) if others else ((first, 1),):
            place = f"line {finding.line}, offset {finding.offset}, length {finding.length}"
            _log(logging.WARNING, news.trail, kind, f"{news.trail}: {kind}: {place} ({finding.id})", number)


def _log(level: int, about: str, reason: str, message: str, number: int = 1, *, error: Exception | None = None) -> None:
    log.log(level, "%s", message, exc_info=error, extra={"occasion": Occasion(about, reason, number)})


@dataclass(frozen=True, slots=True)
class Occasion:
    """What one line of the log tells of.

    Attributes:
        about: The trail, or what else had trouble.
        reason: In a word or two; the same for what repeats.
        number: How many of them.
    """

    about: str
    reason: str
    number: int = 1


@dataclass(slots=True)
class _Subject:
    """What was told about one trail.

    Attributes:
        last: By reason, when it last happened.
        told: When a total was last told, or when the first line was.
        held: By reason, how many were not told yet.
        latest: Of those.
    """

    told: float
    last: dict[str, float] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    latest: logging.LogRecord | None = None


class Logbook(logging.Handler):
    """Passes on what is new, and counts what repeats.

    Args:
        written_by: The handlers that write.
        clock: Seconds of any origin.
    """

    def __init__(self, written_by: Sequence[logging.Handler], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._written_by = written_by
        self._clock = clock
        self._subjects: dict[str, _Subject] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Called with the handler's lock held, from any thread."""
        occasion = _occasion(record)
        if occasion is None or self._is_new(occasion, record):
            self._write(record)

    def _is_new(self, occasion: Occasion, record: logging.LogRecord) -> bool:
        now = self._clock()
        subject = self._subjects.setdefault(occasion.about, _Subject(told=now))
        before = subject.last.get(occasion.reason)
        subject.last[occasion.reason] = now
        if before is None or now - before >= TOTAL_SECONDS:
            if len(subject.last) > MOST_REASONS:
                del subject.last[next(iter(subject.last))]
            return True
        subject.held[occasion.reason] += occasion.number
        subject.latest = record
        return False

    def tell_due(self) -> None:
        """Tell the totals that are a minute old; call it every few seconds."""
        with self._locked():
            now = self._clock()
            for about, subject in list(self._subjects.items()):
                if now - subject.told >= TOTAL_SECONDS:
                    self._tell(about, subject)
                    subject.told = now
                    subject.last = {why: at for why, at in subject.last.items() if now - at < TOTAL_SECONDS}
                    if not subject.last:
                        del self._subjects[about]

    def close(self) -> None:
        """Tell what is left."""
        with self._locked():
            for about, subject in self._subjects.items():
                self._tell(about, subject)
            self._subjects.clear()
        super().close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def _tell(self, about: str, subject: _Subject) -> None:
        if subject.latest is None:
            return
        self._write(_total(about, subject.held, subject.latest))
        subject.held, subject.latest = Counter(), None

    def _write(self, record: logging.LogRecord) -> None:
        for handler in self._written_by:
            if record.levelno >= handler.level:
                handler.handle(record)


def _occasion(record: logging.LogRecord) -> Occasion | None:
    """What the line tells of; None if it is always told. Other packages give none: their messages are their reasons."""
    if record.name.partition(".")[0] == log.name:
        return getattr(record, "occasion", None)
    return Occasion(record.name, str(record.msg))


def _total(about: str, held: Mapping[str, int], latest: logging.LogRecord) -> logging.LogRecord:
    """The line that tells of what was held back; of its reasons where they are ours."""
    is_ours = hasattr(latest, "occasion")
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(held.items(), key=lambda kept: -kept[1]))
    message = latest.getMessage().removeprefix(f"{about}: ")
    total = f"{about}: {sum(held.values())} more in the last minute" + (f" ({reasons})" if is_ours else "")
    fields = {**vars(latest), "msg": f"{total}; the latest: {message}", "args": (), "exc_info": None}
    return logging.makeLogRecord({**fields, "created": time.time()})


@contextmanager
def logbook_kept(clock: Callable[[], float] = time.monotonic) -> Iterator[Logbook]:
    """Everything that is logged meanwhile goes through a logbook; what it holds back is told at the end."""
    root = logging.getLogger()
    before = root.handlers[:]
    book = Logbook(before, clock)
    root.handlers[:] = [book]
    try:
        yield book
    finally:
        root.handlers[:] = before
        book.close()
