"""The writers that are compared with each other; each is set up to write the same record to one file."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from auditwatch import AuditHandler, AuditWriter
from benchmarks.original import RiskManager

BASE = "original"
"""The writer to which the others are compared."""

DETAILS = {
    "symbol": "BTC-USD",
    "side": "buy",
    "quantity": 0.25,
    "price": 64123.5,
    "limits": {"position": 5, "risk": 0.013},
    "strategy": "momentum",
}


def _nothing() -> None:
    """Do nothing: what was written is already in the file."""


@dataclass(frozen=True, slots=True)
class Producer:
    """One writer, opened.

    Attributes:
        write: Writes one record with this event.
        finish: Returns when everything that was written is in the file.
    """

    write: Callable[[str], Any]
    finish: Callable[[], Any] = _nothing


def ours(**settings: Any) -> Callable[[str], Producer]:
    """This package's writer, with these settings."""

    def make(path: str) -> Producer:
        writer = AuditWriter(path, **settings)
        return Producer(lambda event: writer.append({"event": event, "details": DETAILS}))

    return make


def handler(path: str) -> Producer:
    """This package's logging handler."""
    logger = logger_with(AuditHandler(path))
    return Producer(lambda event: logger.info(event, extra={"event": event, "details": DETAILS}))


def original(path: str) -> Producer:
    """The writer of `origin.md`."""
    manager = RiskManager(path)
    return Producer(lambda event: manager.write(event, DETAILS))


def original_synced(path: str) -> Producer:
    """The writer of `origin.md`, with one fdatasync per record, under its own lock."""
    manager = RiskManager(path)
    manager.write("OPENED", DETAILS)
    descriptor = os.open(path, os.O_RDWR)

    def write(event: str) -> None:
        with manager._lock:  # noqa: SLF001  the original has no public way to sync inside its lock
            manager.write(event, DETAILS)
            os.fdatasync(descriptor)

    return Producer(write)


def file_handler(path: str) -> Producer:
    """The standard library's file handler with a JSON body; it takes no lock between processes."""
    return _formatted(logging.FileHandler(path))


def concurrent_log_handler(path: str) -> Producer:
    """concurrent-log-handler, which locks between processes; it never rotates here."""
    from concurrent_log_handler import ConcurrentRotatingFileHandler

    return _formatted(ConcurrentRotatingFileHandler(path, maxBytes=0))


def loguru_enqueue(path: str) -> Producer:
    """Loguru with enqueue=True: a call only queues, and a thread writes; it takes no lock between processes."""
    from loguru import logger

    logger.remove()
    logger.add(path, format="{message}", enqueue=True, level="INFO")

    def write(event: str) -> None:
        logger.info(json.dumps({"timestamp": datetime.now(UTC).isoformat(), "event": event, "details": DETAILS}))

    return Producer(write, logger.complete)


PRODUCERS: dict[str, dict[str, Callable[[str], Producer]]] = {
    "kill -9": {
        "AuditWriter": ours(),
        "AuditWriter stamp=True": ours(stamp=True),
        "AuditHandler": handler,
        BASE: original,
        "logging.FileHandler": file_handler,
        "concurrent-log-handler": concurrent_log_handler,
        "loguru enqueue=True": loguru_enqueue,
    },
    "power cut": {
        "AuditWriter power": ours(durability="power"),
        "AuditWriter power, stamp": ours(durability="power", stamp=True),
        BASE: original_synced,
    },
}
"""The producers by what an acknowledged record is promised to survive, and by name."""

_MODULES = {"concurrent-log-handler": "concurrent_log_handler", "loguru enqueue=True": "loguru"}


def is_missing(writer: str) -> bool:
    """Whether a peer is not installed."""
    return writer in _MODULES and importlib.util.find_spec(_MODULES[writer]) is None


def _formatted(handler: logging.Handler) -> Producer:
    handler.setFormatter(logging.Formatter('{"timestamp":"%(asctime)s","event":"%(message)s","details":%(details)s}'))
    logger = logger_with(handler)
    return Producer(lambda event: logger.info(event, extra={"details": json.dumps(DETAILS)}))


def logger_with(handler: logging.Handler) -> logging.Logger:
    """A logger that has this handler and no parent."""
    logger = logging.Logger("benchmark")
    logger.addHandler(handler)
    return logger
