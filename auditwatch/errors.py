"""Every error that auditwatch raises on purpose: one class a cause, each with its exit status.

    AuditwatchError                        3  could not check or do
    |-- UsageError                         2  the command line asks for what cannot be
    |   |-- ConfigError                    2  the configuration file, all mistakes at once
    |   |-- UnknownFinding                 2  no finding bears this id
    |   |-- OutputTaken                    2  the output directory exists and is not empty, or cannot be one
    |   `-- MissingExtra                   2  a package of an extra is not installed
    |-- Unreadable                         3  a trail that cannot be looked at (reason says which way)
    |-- WorkerDied                         3  a worker process ended before it answered
    |-- StateError                         3  the state directory
    |   |-- StateLocked                    3  another agent holds it
    |   |-- StateNewer                     3  written by a later version
    |   `-- StateUnwritable                3  cannot be written
    |-- ListenError                        3  the address is in use or not ours
    |-- OutputUnwritable                   3  results cannot be written
    |-- AgentSilent                        3  no agent answers at the URL
    |-- NotApplied                         3  the agent did not take the request up in time
    `-- AuditWriteError                    3  the writer could not acknowledge a record
        `-- LockTimeout                    3  somebody else held the lock for too long

Damage is not an error: it is data, and its exit status is 1. Exit statuses are the contract of the command line.
"""

from __future__ import annotations

from typing import Final, Literal

DAMAGED: Final = 1
"""Exit status of a command that looked and found damage."""

Stored = Literal["no", "unknown"]
"""Whether a record that was not acknowledged may be in the trail all the same."""

Reason = Literal[
    "missing",
    "permission",
    "directory",
    "not_regular",
    "symlink",
    "io_error",
    "changed",
    "hung",
    "unsupported",
    "worker_died",
    "not_counters",
]
"""Why something could not be looked at; a closed list, explained in docs/cli.md:

missing        there is no file
permission     this user may not read it, or may not search a directory on the way
directory      it is a directory
not_regular    it is a pipe, a socket or a device
symlink        it is a symbolic link, and following it was not asked for
io_error       the system could not read it, or compressed data is damaged or cut off
changed        it shrank, or another file took its place, while it was being read
hung           its file system is not responding
unsupported    reading it needs a library that is not installed
worker_died    the process that judged it ended before it answered
not_counters   the file where its writers count is not a counters file of this version
"""


class AuditwatchError(Exception):
    """Something could not be checked or done; the message says what, where and what to do."""

    exit_status: int = 3


class UsageError(AuditwatchError):
    """The command line or a file behind it asks for what cannot be."""

    exit_status = 2


class ConfigError(UsageError):
    """The configuration cannot be used.

    Attributes:
        problems: One line a mistake, each with its place, all of them.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnknownFinding(UsageError):
    """No finding bears this id."""


class OutputTaken(UsageError):
    """Results go into a new or empty directory, and this one is neither."""


class MissingExtra(UsageError):
    """A package of an extra is not installed; the message says what to install."""


class Unreadable(AuditwatchError):
    """A trail could not be looked at. This is never damage.

    Attributes:
        reason: Which way.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason, str(self))


class WorkerDied(AuditwatchError):
    """A worker process ended before it answered."""

    reason: Final = "worker_died"


class StateError(AuditwatchError):
    """The state directory cannot be used."""


class StateLocked(StateError):
    """Another agent works with this state directory."""


class StateNewer(StateError):
    """The state was written by a later version of auditwatch."""


class StateUnwritable(StateError):
    """The state directory cannot be created or written."""


class ListenError(AuditwatchError):
    """The listen address is in use or does not belong to this host."""


class OutputUnwritable(AuditwatchError):
    """Results cannot be written; nothing that looks finished is left."""


class AgentSilent(AuditwatchError):
    """No agent answers at the URL, or not as one does."""


class NotApplied(AuditwatchError):
    """A running agent did not take the request up in time; it stays in the inbox."""


class AuditWriteError(AuditwatchError):
    """A record was not acknowledged. The message never holds the record.

    Attributes:
        stored: "no" when nothing of the record is in the trail, "unknown" when that cannot be told.
        errno: The system's error number, where there is one.
        reason: The closed name that metrics use (`auditwatch.trail.counters.REASONS`).
    """

    def __init__(self, message: str, *, stored: Stored, reason: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.stored: Stored = stored
        self.reason = reason
        self.errno = errno

    def __reduce__(self) -> tuple[object, ...]:
        return _write_error, (type(self), str(self), self.stored, self.reason, self.errno)


class LockTimeout(AuditWriteError):
    """Somebody else held the lock for longer than `lock_timeout`; nothing was stored."""


def _write_error(
    cls: type[AuditWriteError], message: str, stored: Stored, reason: str, errno: int | None
) -> AuditWriteError:
    return cls(message, stored=stored, reason=reason, errno=errno)
