"""Logging libraries that rotate their own file: no alarm, and each line that is in the files is judged exactly once."""

from __future__ import annotations

import gzip
import logging
import logging.handlers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from concurrent_log_handler import ConcurrentRotatingFileHandler
from loguru import logger

from tests.agent.running import Agent, Agents, records, until

pytestmark = pytest.mark.concurrency

ROTATED_BYTES = 4_000
KEPT = 3

Write = Callable[[str], None]


@contextmanager
def handled(handler: logging.Handler) -> Iterator[Write]:
    """Writes lines as `logging` does, through this handler alone."""
    handler.setFormatter(logging.Formatter("%(message)s"))
    try:
        yield lambda line: handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, line, None, None))
    finally:
        handler.close()


@contextmanager
def by_loguru(trail: Path, compression: str | None) -> Iterator[Write]:
    """Writes lines as loguru does, through one sink alone."""
    number = logger.add(
        trail, format="{message}", rotation=ROTATED_BYTES, retention=KEPT, compression=compression, level="INFO"
    )
    audit = logger.bind(trail=str(trail))
    try:
        yield lambda line: audit.info("{}", line)
    finally:
        logger.remove(number)


PROGRAMS: dict[str, Callable[[Path], contextmanager[Write]]] = {
    "RotatingFileHandler": lambda trail: handled(
        logging.handlers.RotatingFileHandler(trail, maxBytes=ROTATED_BYTES, backupCount=KEPT)
    ),
    "concurrent-log-handler": lambda trail: handled(
        ConcurrentRotatingFileHandler(str(trail), maxBytes=ROTATED_BYTES, backupCount=KEPT)
    ),
    "loguru": lambda trail: by_loguru(trail, None),
    "loguru, gz": lambda trail: by_loguru(trail, "gz"),
}


def lying_there(trail: Path) -> int:
    """Lines of all files, counted with nothing of auditwatch."""
    files = [path for path in trail.parent.iterdir() if path.name.startswith(trail.stem)]
    contents = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in files]
    return sum(data.count(b"\n") for data in contents)


def judged(agent: Agent) -> int:
    """Lines of all files that are there."""
    return int(sum(segment["lines"] for segment in agent.status()["segments"] if segment["bytes"]))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_library_that_rotates_and_deletes_its_own_files(agents: Agents, tmp_path: Path, program: str) -> None:
    trail = tmp_path / "logs" / "risk.jsonl"
    trail.parent.mkdir()
    lines = iter(records(2_000).decode().splitlines())
    written = 0
    with PROGRAMS[program](trail) as write:
        write(next(lines))
        agent = agents.start(trail).follows(trail)
        for turn in range(8):
            for _ in range(80):  # two thirds of a file: some rotations fall between two looks, some do not
                write(next(lines))
                written += 1
            if turn == 3:  # a restart over rotations
                agent.stop()
                for _ in range(80):
                    write(next(lines))
                    written += 1
                agent = agents.start(trail).follows(trail)
            until(lambda: agent.value("trail_appended_lines_total") == written)  # noqa: B023  asked at once
        until(lambda: judged(agent) == lying_there(trail))
    assert (agent.value("trail_violations"), agent.value("trail_corrupt_lines")) == (0, 0)
    assert agent.value("trail_rotations_total") >= 5
    assert agent.value("trail_segments_expired_total") >= 1
