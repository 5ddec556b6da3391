"""What reaches standard error."""

from __future__ import annotations

import logging

import pytest

from auditwatch.cli import logs


@pytest.fixture(autouse=True)
def _loggers_as_before():
    root, own = logging.getLogger(), logging.getLogger("auditwatch")
    before = (root.handlers[:], root.level, own.level, logging.raiseExceptions)
    yield
    root.handlers[:], root.level, own.level, logging.raiseExceptions = before


def said(capsys) -> list[str]:
    return [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]


def test_what_another_package_says_again_and_again_is_told_once_a_minute(capsys):
    logs.reset()
    now = [1000.0]
    make = logging.getLogRecordFactory()

    def at_now(*args, **kwargs):
        record = make(*args, **kwargs)
        record.created = now[0]
        return record

    logging.setLogRecordFactory(at_now)
    try:
        for now[0] in (1000.0, 1000.5, 1059.9, 1060.1):
            logging.getLogger("watchdog.observers").warning("overflow of %s", "queue")
        logging.getLogger("watchdog.observers").warning("something else")
    finally:
        logging.setLogRecordFactory(make)
    assert said(capsys) == ["WARNING overflow of queue", "WARNING overflow of queue", "WARNING something else"]


def test_our_own_lines_are_all_told(capsys):
    logs.reset()
    for _ in range(3):
        logging.getLogger("auditwatch.agent").warning("torn")
    assert said(capsys) == ["WARNING torn"] * 3


def test_no_more_messages_are_remembered_than_are_needed(capsys):
    logs.reset()
    for number in range(250):
        logging.getLogger("other").warning(str(number))
    (handler,) = logging.getLogger().handlers
    (seldom,) = handler.filters
    assert len(seldom._passed) == 100
    assert len(said(capsys)) == 250
