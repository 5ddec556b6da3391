"""What a log line costs and what becomes of odd ones, with `AuditHandler` and with its peers, in one run.

    python -m benchmarks.loggers

All loggers exist at the same time, write to one file each, and take turns in bursts of a few milliseconds; ratios are
medians over the ratios of the bursts. The time is CPU time of the process. Peers that are not installed
(`pip install --group bench`) are NOT RUN.

A line is *whole* if auditwatch's judge says so, and it has the level and the message where JSON is what the logger
writes; else it is *damaged*, or *lost* if there is none.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from auditwatch import AuditHandler
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.rules import Rules
from benchmarks.producers import DETAILS, logger_with

BURSTS = 31
CALLS = 2_000
SETTLE_SECONDS = 3.5
LINES = 400
LONG = 20_000

Log = Callable[..., Any]
"""Logs a message at level INFO, with members given by name."""


def _by(handler: logging.Handler) -> Log:
    logger = logger_with(handler)
    return lambda message, **members: logger.info(message, extra=members)  # noqa: PLW0108  members become extra=


def _ours(path: str) -> Log:
    return _by(AuditHandler(path))


def _python_json_logger(path: str, module: str, name: str) -> Log:
    formatter = getattr(importlib.import_module(f"pythonjsonlogger.{module}"), name)
    handler = logging.FileHandler(path)
    handler.setFormatter(formatter(["levelname", "name", "message"], timestamp=True))
    return _by(handler)


def _structlog(path: str) -> Log:
    import structlog

    file = open(path, "a")  # noqa: SIM115  it is open as long as its logger
    processors = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.JSONRenderer(),
    ]
    return structlog.wrap_logger(
        structlog.WriteLogger(file), processors=processors, cache_logger_on_first_use=True
    ).info


def _loguru(path: str) -> Log:
    from loguru import logger

    logger.remove()
    logger.add(path, serialize=True)
    return lambda message, **members: logger.bind(**members).info(message)


LOGGERS: dict[str, tuple[str, Callable[[str], Log]]] = {
    "AuditHandler": ("auditwatch", _ours),
    "python-json-logger": ("pythonjsonlogger", lambda path: _python_json_logger(path, "json", "JsonFormatter")),
    "the same with orjson": ("pythonjsonlogger", lambda path: _python_json_logger(path, "orjson", "OrjsonFormatter")),
    "structlog": ("structlog", _structlog),
    "loguru serialize=True": ("loguru", _loguru),
}
"""By name: the module that must be there, and what opens a logger on a file."""


class Unprintable:
    """Raises when it is printed."""

    def __repr__(self) -> str:
        """Raise."""
        raise RuntimeError("no text")


ODD: dict[str, Any] = {
    "NaN": float("nan"),
    "no time zone": datetime(2026, 1, 1),  # noqa: DTZ001  that is the case
    "keys 1, None, (1, 2)": {1: "a", None: "b", (1, 2): "c"},
    "a set": {1},
    "unprintable": Unprintable(),
    "contains itself": [],
    "600 levels": {},
    "unpaired surrogate": "\ud800",
}
ODD["contains itself"].append(ODD["contains itself"])
for _ in range(600):
    ODD["600 levels"] = {"a": ODD["600 levels"]}


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(LOGGERS[name][0]) is not None


def fate(open_logger: Callable[[str], Log], directory: str, value: object) -> str:
    """What became of one log line with this value."""
    path = os.path.join(tempfile.mkdtemp(dir=directory), "trail.jsonl")
    log = open_logger(path)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            log("TRADE_APPROVED", value=value)
        except Exception as error:  # noqa: BLE001  the program gets it
            return f"raised {type(error).__name__}"
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        line = file.read()
        if line:
            return "whole" if Judge(Rules()).kind_of(line.removesuffix(b"\n")) is None else "damaged"
    return "lost"


def _log_many(name: str, path: str, who: int) -> None:
    """In a process of its own: log lines that are longer than a buffer."""
    log = LOGGERS[name][1](path)
    for number in range(LINES):
        log("TRADE_APPROVED", who=who, number=number, text="x" * LONG)


def _log_on_full_disk(name: str, path: str, _who: int) -> None:
    """In a process of its own: log lines until no more fit, and more once there is room again."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    log = LOGGERS[name][1](path)
    with contextlib.redirect_stderr(io.StringIO()):
        for number in range(LINES):
            room = (LINES // 2) * LONG if number < LINES * 3 // 4 else hard
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
            with contextlib.suppress(Exception):  # the program is told: that counts as well
                log("TRADE_APPROVED", number=number, text="x" * LONG)


def lines_of(work: Callable[[str, str, int], None], name: str, directory: str, processes: int) -> str:
    """How many lines processes left in one file, and how many of them are damaged."""
    path = os.path.join(tempfile.mkdtemp(dir=directory), "trail.jsonl")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(name, path, who)) for who in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with open(path, "rb") as file:
        lines = file.read().splitlines()
    judge = Judge(Rules())
    damaged = sum(judge.kind_of(line) is not None for line in lines)
    return f"{len(lines) - damaged} whole, {damaged} damaged"


def measure(directory: str) -> dict[str, list[float]]:
    """Microseconds of CPU time a call, of each burst of each logger that is installed."""
    logs = {name: LOGGERS[name][1](os.path.join(directory, f"{name}.jsonl")) for name in filter(_is_there, LOGGERS)}
    for log in logs.values():
        log("TRADE_APPROVED", details=DETAILS)
    time.sleep(SETTLE_SECONDS)
    found: dict[str, list[float]] = {name: [] for name in logs}
    for _ in range(BURSTS):
        for name, log in logs.items():
            began = time.process_time()
            for _ in range(CALLS):
                log("TRADE_APPROVED", details=DETAILS)
            found[name].append((time.process_time() - began) / CALLS * 1e6)
    return found


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as directory:
        found = measure(directory)
        print(f"{BURSTS} x {CALLS} lines each\n{'logger':<24}{'CPU s / 100,000':>16}{'AuditHandler takes':>20}")
        for name, times in found.items():
            ratio = statistics.median(ours / theirs for ours, theirs in zip(found["AuditHandler"], times, strict=True))
            print(f"{name:<24}{statistics.median(times) / 10:>16.2f}{ratio:>19.2f}x")
        print("\nwhat becomes of a line with")
        for name in found:
            fates = (f"{odd}: {fate(LOGGERS[name][1], directory, value)}" for odd, value in ODD.items())
            print(f"{name}\n    " + "\n    ".join(fates))
        print(
            f"\n4 processes x {LINES} lines of {LONG} bytes; one that has no room from {LINES // 2} to {LINES * 3 // 4}"
        )
        for name in found:
            crowd = lines_of(_log_many, name, directory, 4)
            print(f"{name:<24}{crowd:<32}{lines_of(_log_on_full_disk, name, directory, 1)}")
    for name in LOGGERS:
        if not _is_there(name):
            print(f"{name:<24}NOT RUN: not installed")


if __name__ == "__main__":
    main()
