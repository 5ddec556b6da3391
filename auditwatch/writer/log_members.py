"""What a line of a trail says about a log record; whatever is in the record, something can be said."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from auditwatch.trail.own import RESERVED
from auditwatch.writer.lenient import TRUNCATED
from auditwatch.writer.plain import name_of, text_of
from auditwatch.writer.timestamp import utc_text

_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What logging itself puts on a record; everything else came from `extra=`."""

_EXTRA: Final = "extra"
_NOT_FOR_EXTRA: Final = RESERVED | {_EXTRA, "exception", "stack", TRUNCATED}

_FORMATTER: Final = logging.Formatter()

_MOST_LINKS: Final = 20
"""Causes of causes that are described; all are in the traceback."""

_WIDEST_GROUP: Final = 15
"""Exceptions of a group that are described: as many as Python shows."""

# What logging.Formatter puts behind a message, each on a line of its own.
_TRACEBACK: Final = re.compile(r"\n(?:Traceback|  \+ Exception Group Traceback) \(most recent call last\):\n")
_STACK: Final = "\nStack (most recent call last):\n"


def members_of(record: logging.LogRecord, timestamp_field: str | None) -> dict[str, object]:
    """The members of the line for a log record, in their order: no two have one name, and none has a reserved one.

    Args:
        record: As the logger or a queue hands it over.
        timestamp_field: Name of the first member, the time of the log call; None: no such member.
    """
    message, given, trouble = _said(record)
    members: dict[str, object] = {} if timestamp_field is None else {timestamp_field: _time_of(record)}
    members["level"] = record.levelname
    members["logger"] = record.name
    members["message"] = message
    extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
    if extra or given:
        _add(members, given, extra)
    if record.exc_info or record.exc_text or record.stack_info:
        trouble = _trouble(record) | trouble
    return members | trouble if trouble else members


def _time_of(record: logging.LogRecord) -> str:
    try:
        return utc_text(round(record.created * 1e6) * 1000)
    except (TypeError, ValueError, OverflowError, OSError):  # it is not a time: the record was made by hand
        return utc_text(time.time_ns())


def _said(record: logging.LogRecord) -> tuple[str, Mapping[Any, object], dict[str, object]]:
    """The message, the members that were logged in its place or could not be put into it, and what went wrong."""
    said = record.msg
    try:
        if type(said) is not str and not record.args and isinstance(said, Mapping):
            given = dict(said)
            return text_of(given.pop("message", "")), given, {}
        message = record.getMessage()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  it does not fit its arguments, or one cannot be printed
        return text_of(said), {"args": record.args} if record.args else {}, {}
    if record.args is None and vars(record).get("message") == message:
        return _taken_apart(message)
    return message, {}, {}


def _taken_apart(message: str) -> tuple[str, Mapping[Any, object], dict[str, object]]:
    """What `QueueHandler.prepare` made one text of: it appends traceback and stack to the message, and drops both."""
    trouble: dict[str, object] = {}
    message, is_there, stack = message.partition(_STACK)
    if is_there:
        trouble["stack"] = _STACK[1:] + stack
    found = _TRACEBACK.search(message)
    if found:
        trouble = {"exception": {"traceback": message[found.start() + 1 :]}} | trouble
        message = message[: found.start()]
    return message, {}, trouble


def _add(members: dict[str, object], given: Mapping[Any, object], extra: dict[str, object]) -> None:
    """Add members that the program gave; those whose names are taken, or are not strings, go into one object."""
    taken: dict[Any, object] = {}
    for source in (given, extra):
        for name, value in source.items():
            is_free = isinstance(name, str) and name not in members and name not in _NOT_FOR_EXTRA
            (members if is_free else taken)[name] = value
    if taken:
        members[_EXTRA] = taken


def _trouble(record: logging.LogRecord) -> dict[str, object]:
    found: dict[str, object] = {}
    information = record.exc_info
    error = information[1] if isinstance(information, tuple) and len(information) == 3 else None
    if isinstance(error, BaseException):
        text = _traceback(information)
        traceback: dict[str, object] = {} if text is None else {"traceback": text}
        try:
            found["exception"] = _described(error, traceback, set())
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  as above
            found["exception"] = {"type": name_of(error), "message": text_of(error), **traceback}
    elif record.exc_text:  # it came from another process, which kept only the text
        found["exception"] = {"traceback": record.exc_text}
    if record.stack_info:
        found["stack"] = record.stack_info
    return found


def _traceback(information: Any) -> str | None:
    try:
        return _FORMATTER.formatException(information)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  an exception class may raise anywhere
        return None


def _described(error: BaseException, traceback: dict[str, object], above: set[int]) -> dict[str, object]:
    """An exception with its notes, with what caused it, and with what it holds, if it is a group."""
    found: dict[str, object] = {"type": name_of(error), "message": text_of(error)} | traceback
    above = above | {id(error)}
    notes = getattr(error, "__notes__", None)
    if notes:
        found["notes"] = [text_of(note) for note in notes] if isinstance(notes, (list, tuple)) else text_of(notes)
    if len(above) < _MOST_LINKS:
        found |= {
            name: _described(other, {}, above) for name, other in _reasons(error).items() if id(other) not in above
        }
        if isinstance(error, BaseExceptionGroup):
            found["exceptions"] = [_described(one, {}, above) for one in error.exceptions[:_WIDEST_GROUP]]
    return found


def _reasons(error: BaseException) -> dict[str, BaseException]:
    """What Python shows above an exception: its cause, or else what was handled when it was raised."""
    if error.__cause__ is not None:
        return {"cause": error.__cause__}
    if error.__context__ is not None and not error.__suppress_context__:
        return {"context": error.__context__}
    return {}
