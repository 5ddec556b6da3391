"""The settings of a writer: checked once, then frozen, and all that a pickled writer carries."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

from auditwatch.errors import AuditWriteError

Durability = Literal["process", "interval", "power"]
Reentrant = Literal["raise", "after"]
OnFailure = Literal["raise"] | Callable[[AuditWriteError], None]


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
            ValueError: If not.
        """
        if not self.lock_timeout >= 0:
            raise ValueError(f"lock_timeout must be 0 or a positive number of seconds, not {self.lock_timeout!r}")
        if self.max_line_bytes < 2:
            raise ValueError(f"max_line_bytes must be at least 2, not {self.max_line_bytes!r}")
        if self.default is not None and self.dumps is not None:
            raise ValueError("default= belongs to the built-in serialiser: with dumps= it would never be called")
        if self.on_failure != "raise" and not callable(self.on_failure):
            raise ValueError('on_failure must be "raise" or a callable that takes the error')
        self._check_files()
        return self

    def _check_files(self) -> None:
        if self.durability not in get_args(Durability):
            raise ValueError(f"durability must be one of {', '.join(get_args(Durability))}, not {self.durability!r}")
        if self.reentrant not in get_args(Reentrant):
            raise ValueError(f"reentrant must be one of {', '.join(get_args(Reentrant))}, not {self.reentrant!r}")
        for name in ("sync_interval", "rotate_bytes", "rotate_every", "ballast_bytes"):
            number = getattr(self, name)
            if number is not None and not 0 < number < float("inf"):
                raise ValueError(f"{name} must be a number above 0, not {number!r}")


def absolute(path: str | os.PathLike[str]) -> str:
    """The absolute path: if the program changes its directory later, the trail must not move."""
    return os.path.abspath(os.fspath(path))
