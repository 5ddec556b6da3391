"""The settings of a writer: checked once, then frozen, and all that a pickled writer carries."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, Final, Literal, NamedTuple, get_args

from auditwatch.errors import AuditWriteError
from auditwatch.trail.own import RESERVED

Durability = Literal["process", "interval", "power"]
Reentrant = Literal["raise", "after"]
OnFailure = Literal["raise"] | Callable[[AuditWriteError], None]


_CO_COROUTINE: Final = 0x80
"""The flag of an `async def` (`inspect.CO_COROUTINE`)."""


class Settings(NamedTuple):
    """The parameters of `AuditWriter`, which says what they mean."""

    path: str
    lock_path: str | None
    lock_timeout: float
    max_line_bytes: int
    timestamp_field: str | None
    default: Callable[[Any], Any] | None
    dumps: Callable[[Any], bytes | str] | None
    on_failure: OnFailure
    file_mode: int
    allow_network: bool
    durability: Durability
    sync_interval: float
    stamp: bool
    rotate_bytes: int | None
    rotate_every: float | None
    ballast_bytes: int | None
    reentrant: Reentrant

    def checked(self) -> Settings:
        """These settings, if a writer can have them.

        Raises:
            ValueError: If not; it names the setting and says what it must be.
        """
        for name, (is_right, must) in _RULES.items():
            value = getattr(self, name)
            if not is_right(value):
                raise ValueError(f"{name} must be {must}, not {value!r}")
        if self.default is not None and self.dumps is not None:
            raise ValueError("default= belongs to the built-in serialiser: with dumps= it would never be called")
        return self


def absolute(path: str | os.PathLike[str], name: str = "path") -> str:
    """The absolute path: if the program changes its directory later, the trail must not move.

    Args:
        path: As it was given.
        name: Of the setting, for messages.

    Raises:
        ValueError: If it cannot be a path of a file.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        remedy = ": use os.fsdecode(path)" if isinstance(text, bytes) else ""
        raise ValueError(f"{name} must be the path of a file as text, not {path!r}{remedy}")
    return os.path.abspath(text)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_seconds(value: object) -> bool:
    """Whether it is a time that one can wait: NaN, infinity and more than 292 years are none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value <= threading.TIMEOUT_MAX  # type: ignore[operator]


def _is_optional(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


def _is_hook(value: object) -> bool:
    """Whether it can be called and answers: a call of an `async def` makes a coroutine, and nothing happens."""
    if not callable(value):
        return False
    codes = [getattr(called, "__code__", None) for called in (value, value.__call__)]
    return not any(isinstance(code, CodeType) and code.co_flags & _CO_COROUTINE for code in codes)


def _may_be_written(mode: object) -> bool:
    return _is_whole(mode, 0) and mode <= 0o777 and mode & 0o600 == 0o600  # type: ignore[operator]


_SECONDS: Final = "a number above 0 (of seconds)"
_BYTES: Final = "a number above 0 (of bytes, as an int)"
_FLAG: Final = "True or False"

_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "lock_timeout": (_is_seconds, "0 or a positive number of seconds"),
    "max_line_bytes": (lambda value: _is_whole(value, 2), "a number of bytes, at least 2"),
    "timestamp_field": (
        _is_optional(lambda name: isinstance(name, str) and name not in RESERVED),
        f"the name of a member, or None, and none of {', '.join(sorted(RESERVED))}",
    ),
    "default": (_is_optional(_is_hook), "a callable that is not async, or None"),
    "dumps": (_is_optional(_is_hook), "a callable that is not async, or None"),
    "on_failure": (
        lambda value: value == "raise" or _is_hook(value),
        '"raise" or a callable that takes the error and is not async',
    ),
    "file_mode": (_may_be_written, "an int like 0o640 that lets the owner read and write"),
    "allow_network": (lambda value: isinstance(value, bool), _FLAG),
    "durability": (lambda value: value in get_args(Durability), f"one of {', '.join(get_args(Durability))}"),
    "sync_interval": (lambda value: _is_seconds(value) and value > 0, _SECONDS),
    "stamp": (lambda value: isinstance(value, bool), _FLAG),
    "rotate_bytes": (_is_optional(lambda value: _is_whole(value, 1)), _BYTES),
    "rotate_every": (_is_optional(lambda value: _is_seconds(value) and value > 0), _SECONDS),
    "ballast_bytes": (_is_optional(lambda value: _is_whole(value, 1)), _BYTES),
    "reentrant": (lambda value: value in get_args(Reentrant), f"one of {', '.join(get_args(Reentrant))}"),
}
"""Of each setting but the paths: whether a value is right, and what it must be."""
