"""How an error of the system becomes one that says what failed, where and what to do, without the record's contents.

Also the warnings about what goes wrong beside an append.
"""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from typing import Final

from auditwatch.errors import AuditWriteError, Stored

_REASONS: Final = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "quota",
    errno.EFBIG: "quota",  # a limit on the size of files (RLIMIT_FSIZE, or the file system's own)
    errno.EIO: "io_error",
    errno.EROFS: "read_only",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
}

_ADVICE: Final = {
    "disk_full": "make room",
    "quota": "raise the limit or rotate the trail",
    "io_error": "check the disk (dmesg)",
    "read_only": "remount the file system for writing",
    "permission": "the process needs to read and write the file",
    "poisoned": "rotate the trail away and check the disk",
}


class UnserialisableError(ValueError):
    """The record cannot be written as it is; the message names types, never values."""


def reason_of(number: int | None) -> str:
    """The closed name for an error number.

    >>> reason_of(28)
    'disk_full'
    """
    return _REASONS.get(number, "other") if number is not None else "other"


def write_error(path: str, number: int | None, stored: Stored, *, what: str = "not stored") -> AuditWriteError:
    """The error for a record that the system did not accept."""
    reason = reason_of(number)
    cause = os.strerror(number) if number is not None else "fewer bytes were accepted than given"
    advice = f"; {_ADVICE[reason]}" if reason in _ADVICE else ""
    return AuditWriteError(f"{path}: {what}: {cause}{advice}", stored=stored, reason=reason, errno=number)


def refusal(path: str, reason: str, message: str) -> AuditWriteError:
    """The error for a record of which nothing was passed to the system."""
    advice = f"; {_ADVICE[reason]}" if reason in _ADVICE else ""
    return AuditWriteError(f"{path}: {message}{advice}", stored="no", reason=reason)


def unloadable(path: str, error: ImportError) -> AuditWriteError:
    """The error for a record that needs a module that cannot be loaded: now, or ever after as the interpreter ends."""
    return refusal(path, "other", f"not stored: a part of the writer cannot be loaded: {error}")


def copy_of(error: AuditWriteError) -> AuditWriteError:
    """A copy of the error: if several threads raised the same one, their tracebacks would mix."""
    return type(error)(str(error), stored=error.stored, reason=error.reason, errno=error.errno)


def is_from_handler(error: OSError) -> bool:
    """Whether a signal handler raised it, as `TimeoutError` for example, and not the system, which gives numbers.

    >>> is_from_handler(TimeoutError("the task took too long"))
    True
    """
    return error.errno is None


def is_lack_of_threads(error: BaseException) -> bool:
    """Whether `Thread.start` raised it because no thread can be had, or none any more before the program ends.

    >>> is_lack_of_threads(RuntimeError("can't start new thread"))
    True
    """
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("new thread", "after shutdown", "interpreter shutdown")
    )


def warn(message: str) -> None:
    """Warn of what went wrong beside an append; where warnings are errors, drop it: it must not break the append."""
    with suppress(RuntimeWarning):
        warnings.warn(message, RuntimeWarning, stacklevel=3)
