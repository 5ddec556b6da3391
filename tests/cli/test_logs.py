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


def test_ours_are_told_from_info_up_and_those_of_others_from_warning_up(capsys):
    logs.reset()
    for name in ("auditwatch.agent", "watchdog.observers"):
        logging.getLogger(name).info("of little weight")
        logging.getLogger(name).warning("of some weight")
    assert said(capsys) == ["INFO of little weight", "WARNING of some weight", "WARNING of some weight"]
