"""Starts other Python processes for the writer's tests, and reads trails back with an independent parser."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditwatch import AuditHandler

ROOT = Path(__file__).parents[2]
PRELUDE = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python process with a script and arguments; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def begin(script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PRELUDE + script, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start: Start) -> Callable[..., str]:
    """Run a script to its end and hand over what it printed; it must succeed."""

    def finish(script: str, *arguments: object) -> str:
        process = start(script, *arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out

    return finish


@pytest.fixture
def attach(trail: Path) -> Iterator[Callable[..., logging.Logger]]:
    """A new logger with a handler on the trail; both are gone afterwards."""
    attached: list[AuditHandler] = []

    def make(**settings: Any) -> logging.Logger:
        handler = AuditHandler(trail, **settings)
        logger = logging.Logger("risk.manager", logging.DEBUG)
        logger.addHandler(handler)
        attached.append(handler)
        return logger

    yield make
    for handler in attached:
        handler.close()


@pytest.fixture
def records() -> Callable[[Path], list[dict[str, Any]]]:
    """All records of a trail; anything that is not one whole object a line fails."""

    def read(path: Path) -> list[dict[str, Any]]:
        data = path.read_bytes()
        assert data == b"" or data.endswith(b"\n")
        found = [json.loads(line) for line in data.split(b"\n")[:-1]]
        assert all(isinstance(record, dict) for record in found)
        return found

    return read
