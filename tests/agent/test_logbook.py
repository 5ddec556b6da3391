"""What the agent logs is told at once, and what repeats as a total a minute; nothing is lost at the stop."""

from __future__ import annotations

import logging
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from auditwatch.agent.logbook import Logbook, log_error, log_news, log_trouble, log_warning, logbook_kept
from auditwatch.agent.recorder import News
from auditwatch.ledger.damage import Finding, FindingState
from auditwatch.trail.kinds import Kind
from tests.agent.running import Agents, append, until

MORE = re.compile(r"(\d+) more in the last minute")


class Written(logging.Handler):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class Kept:
    """A logbook by a clock of the test's own."""

    def __init__(self, book: Logbook, written: Written) -> None:
        self.book = book
        self.lines = written.lines
        self.now = 0.0

    def at(self, seconds: float) -> Kept:
        """The time is that; totals that are due are told."""
        self.now = seconds
        self.book.tell_due()
        return self


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def kept(stack: ExitStack) -> Iterator[Kept]:
    root, own, written = logging.getLogger(), logging.getLogger("auditwatch"), Written()
    before, level = root.handlers[:], own.level
    root.handlers[:] = [written]
    own.setLevel(logging.INFO)
    try:
        found = Kept(stack.enter_context(logbook_kept(lambda: found.now)), written)
        yield found
    finally:
        stack.close()
        root.handlers[:] = before
        own.setLevel(level)


def finding(line: int, kind: Kind = Kind.TORN, *, inherited: bool = False) -> Finding:
    return Finding(
        id=f"f{line:010x}",
        line=line,
        offset=10 * line,
        length=9,
        sha256="0" * 64,
        kind=kind,
        records_inside=0,
        state=FindingState.OPEN,
        inherited=inherited,
        first_seen=1.0,
        last_seen=1.0,
    )


def test_the_first_is_told_at_once_and_the_rest_as_a_total_a_minute(kept: Kept) -> None:
    for second in range(60):
        kept.at(second)
        log_news(News("risk", failed={"disk_full": 400}))
    assert kept.lines == ["WARNING risk: 400 failed writes: disk_full 400"]
    kept.at(60)
    (total,) = kept.lines[1:]
    assert total == (
        "WARNING risk: 23600 more in the last minute (23600 failed writes: disk_full); "
        "the latest: 400 failed writes: disk_full 400"
    )
    kept.at(119)
    assert len(kept.lines) == 2


def test_another_reason_and_another_trail_are_told_at_once(kept: Kept) -> None:
    for trail in ("risk", "orders"):
        for reason in ("permission", "missing", "permission"):
            log_trouble(trail, reason, f"{reason} again")
    assert kept.lines == [
        f"WARNING {trail}: {reason} again" for trail in ("risk", "orders") for reason in ("permission", "missing")
    ]


def test_one_total_tells_of_all_reasons_of_a_trail_the_most_frequent_first(kept: Kept) -> None:
    for _ in range(3):
        log_trouble("risk", "hung", "the mount hangs")
    for _ in range(5):
        log_trouble("risk", "io_error", "cannot be read")
    kept.at(60)
    assert kept.lines[2:] == [
        "WARNING risk: 6 more in the last minute (4 io_error, 2 hung); the latest: cannot be read",
    ]


def test_what_comes_again_after_a_silence_is_told_at_once(kept: Kept) -> None:
    log_trouble("risk", "hung", "the mount hangs")
    kept.at(61)
    log_trouble("risk", "hung", "the mount hangs")
    assert kept.lines == ["WARNING risk: the mount hangs"] * 2


def test_a_drip_is_told_once_and_then_by_totals(kept: Kept) -> None:
    for second in range(0, 600, 50):
        kept.at(second)
        log_trouble("risk", "hung", "the mount hangs")
    assert kept.lines[0] == "WARNING risk: the mount hangs"
    assert all(MORE.search(line) for line in kept.lines[1:])
    assert len(kept.lines) <= 10


def test_what_is_held_back_is_told_at_the_stop(kept: Kept, stack: ExitStack) -> None:
    for _ in range(3):
        log_warning("inbox", "a request cannot be read")
    stack.close()
    assert kept.lines[1:] == [
        "WARNING agent: 2 more in the last minute (2 inbox); the latest: a request cannot be read"
    ]


@pytest.mark.parametrize("seed", range(5))
def test_every_event_is_told_once_whatever_comes_when(kept: Kept, stack: ExitStack, seed: int) -> None:
    dice, happened = random.Random(seed), Counter[str]()
    for _ in range(2000):
        kept.at(kept.now + dice.expovariate(0.2))
        trail, number = dice.choice(["risk", "orders"]), dice.randrange(1, 5)
        log_news(News(trail, failed={dice.choice(["disk_full", "io_error", "quota"]): number}))
        happened[trail] += number
    stack.close()
    told = Counter[str]()
    for line in kept.lines:
        _, trail, said = line.split(" ", 2)
        told[trail.rstrip(":")] += int(said.split(" ", 1)[0])
    assert told == happened


def test_of_damaged_lines_the_first_of_each_kind_is_told_with_its_place(kept: Kept) -> None:
    found = [finding(1), finding(2, Kind.INTERLEAVED), *(finding(line) for line in range(3, 100))]
    log_news(News("risk", findings=tuple(found)))
    assert kept.lines == [
        "WARNING risk: interleaved: line 2, offset 20, length 9 (f0000000002)",
        "WARNING risk: torn: line 1, offset 10, length 9 (f0000000001)",
    ]
    kept.at(60)
    (total,) = kept.lines[2:]
    assert total == (
        "WARNING risk: 97 more in the last minute (97 torn); "
        "the latest: torn: line 99, offset 990, length 9 (f0000000063)"
    )


def test_a_long_history_full_of_scars_is_one_line_and_totals(kept: Kept) -> None:
    for second in range(100):
        kept.at(second)
        log_news(News("risk", findings=(finding(second + 1, inherited=True),)))
    assert len(kept.lines) == 2
    assert kept.lines[0] == "INFO risk: 1 damaged line from before watching began"


def test_an_error_that_comes_each_second_is_not_told_each_second(kept: Kept) -> None:
    for second in range(60):
        kept.at(second)
        log_error("risk", ZeroDivisionError())
    assert kept.lines == ["ERROR risk: an error in auditwatch itself; continuing"]
    kept.at(60)
    assert kept.lines[1].startswith("ERROR risk: 59 more in the last minute (59 ZeroDivisionError)")


def test_what_is_no_trouble_is_always_told(kept: Kept) -> None:
    for _ in range(3):
        logging.getLogger("auditwatch").info("SIGHUP: watching risk")
    assert kept.lines == ["INFO SIGHUP: watching risk"] * 3


def test_what_another_package_says_again_and_again_is_counted_too(kept: Kept) -> None:
    for second in range(61):
        kept.at(second)
        logging.getLogger("watchdog.observers").warning("overflow of %s", "queue")
    logging.getLogger("watchdog.observers").warning("something else")
    assert kept.lines == [
        "WARNING overflow of queue",
        "WARNING watchdog.observers: 59 more in the last minute; the latest: overflow of queue",
        "WARNING something else",
    ]


def test_no_more_reasons_are_remembered_than_are_needed(kept: Kept) -> None:
    for number in range(250):
        logging.getLogger("other").warning(str(number))
    assert len(kept.lines) == 250
    (subject,) = kept.book._subjects.values()
    assert len(subject.last) == 100


def test_two_full_disks_for_ten_minutes_under_load_are_at_most_30_lines(kept: Kept, stack: ExitStack) -> None:
    """Failed writes at each look, torn lines, a store that has no room again and again."""
    dice = random.Random(12)
    for tenth in range(6000):
        kept.at(tenth / 10)
        log_news(News("risk", failed={"disk_full": 80}))
        if dice.random() < 0.2:
            log_news(News("risk", findings=(finding(tenth + 1),)))
        if dice.random() < 0.05:
            log_news(News("risk", findings=(finding(tenth + 1, Kind.INTERLEAVED), finding(tenth + 2))))
        if dice.random() < 0.1:
            log_warning("state", "not saved: database or disk is full; kept in memory")
        if tenth % 300 == 0:
            log_trouble("risk", "recorded blocks", "the next full validation will parse blocks: disk is full")
    stack.close()
    assert len(kept.lines) <= 30


def test_a_real_agent_tells_at_its_stop_what_it_held_back(agents: Agents, trail: Path) -> None:
    agent = agents.start(trail).follows(trail)
    for number in range(1, 4):
        append(trail, b"not JSON %d\n" % number)
        until(lambda number=number: agent.value("trail_corrupt_lines") == number)
    said = [line for line in agent.stop().splitlines() if "invalid_json" in line]
    assert len(said) == 2
    assert "WARNING risk: invalid_json: line 4, " in said[0]
    assert "WARNING risk: 2 more in the last minute (2 invalid_json); the latest: invalid_json: line 6, " in said[1]
