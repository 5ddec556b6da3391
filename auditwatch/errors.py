"""Every error that auditwatch raises on purpose: one class per cause, each with its exit status.

    AuditwatchError                        3  could not check or do
    |-- UsageError                         2  the command line asks for something impossible
    |   |-- ConfigError                    2  the configuration cannot be used; reports all mistakes at once
    |   |-- UnknownFinding                 2  no finding has this id
    |   |-- OutputTaken                    2  the output path is not an empty directory and cannot become one
    |   `-- MissingExtra                   2  a package of an extra is not installed
    |-- Unreadable                         3  a trail could not be looked at (reason says why)
    |   `-- CutOff                         3  compressed data cannot be read to its end
    |-- WorkerDied                         3  a worker process ended before it answered
    |-- StateError                         3  the state directory cannot be used
    |   |-- StateLocked                    3  another agent uses it
    |   |-- StateNewer                     3  the state was written by a later version
    |   |-- StateDenied                    3  this user may not look at it, or not write to it
    |   `-- StateUnwritable                3  it cannot be created or written
    |       `-- StateFull                  3  there is no room for it
    |-- ListenError                        3  the listen address is in use or does not belong to this host
    |-- OutputUnwritable                   3  results cannot be written
    |-- AgentSilent                        3  no agent answers at the URL
    |-- NotApplied                         3  the agent did not apply the request in time
    `-- AuditWriteError                    3  the writer could not acknowledge a record
        `-- LockTimeout                    3  another process or thread held the lock for too long

Damage is not an error: it is data, and its exit status is 1. Exit statuses are the contract of the command line.
"""

from __future__ import annotations

from typing import Final, Literal

DAMAGED: Final = 1
"""Exit status of a command that checked and found damage."""

UNKNOWN: Final = 3
"""Exit status of a command that could not check."""

Stored = Literal["no", "unknown"]
"""Whether a record that was not acknowledged may be in the trail nevertheless."""

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
io_error       the system could not read it, or its compressed data is damaged or cut off
changed        it shrank, or another file took its place, while it was being read
hung           its file system is not responding
unsupported    reading it needs a library that is not installed
worker_died    the process that judged it ended before it answered
not_counters   the file where its writers count is not a counters file of this version
"""


class AuditwatchError(Exception):
    """Something could not be checked or done; the message says what, where, and what to do about it."""

    exit_status: int = 3


class UsageError(AuditwatchError):
    """The command line, or a file that it names, asks for something impossible."""

    exit_status = 2


class ConfigError(UsageError):
    """The configuration cannot be used.

    Attributes:
        problems: All mistakes, one line each, with their places.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UnknownFinding(UsageError):
    """No finding has this id."""


class OutputTaken(UsageError):
    """Results are written to a new or empty directory, and this one is neither."""


class MissingExtra(UsageError):
    """A package of an extra is not installed; the message says what to install."""


class Unreadable(AuditwatchError):
    """A trail could not be looked at. This is never damage.

    Attributes:
        reason: Why not.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason, str(self))


class CutOff(Unreadable):
    """The compressed data of a file is damaged or cut off: its bytes are to blame, and reading them again is of no use.

    Of a trail's segment this is damage, `archive_cut`, and what could be read is judged.
    """


class WorkerDied(AuditwatchError):
    """A worker process ended before it answered."""

    reason: Final = "worker_died"


class StateError(AuditwatchError):
    """The state directory cannot be used."""


class StateLocked(StateError):
    """Another agent uses this state directory."""


class StateNewer(StateError):
    """The state was written by a later version of auditwatch."""


class StateDenied(StateError):
    """This user may not look at the state, or not ask its agent; the message says whose it is and what would help."""


class StateUnwritable(StateError):
    """The state directory cannot be created or written."""


class StateFull(StateUnwritable):
    """There is no room for the state: it may be written later."""


class ListenError(AuditwatchError):
    """The listen address is in use or does not belong to this host."""


class OutputUnwritable(AuditwatchError):
    """Results cannot be written; nothing is left that looks finished."""


class AgentSilent(AuditwatchError):
    """No agent answers at the URL, or the answer is not an agent's."""


class NotApplied(AuditwatchError):
    """A running agent did not apply the request in time; the request stays in the inbox."""


class AuditWriteError(AuditwatchError):
    """A record was not acknowledged. The message never contains the record.

    Attributes:
        stored: "no" if nothing of the record is in the trail, "unknown" if that is not certain.
        errno: The system's error number, if there is one.
        reason: The reason as metrics name it, from the closed list `auditwatch.trail.counters.REASONS`.
    """

    def __init__(self, message: str, *, stored: Stored, reason: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.stored: Stored = stored
        self.reason = reason
        self.errno = errno

    def __reduce__(self) -> tuple[object, ...]:
        return _write_error, (type(self), str(self), self.stored, self.reason, self.errno)


class LockTimeout(AuditWriteError):
    """Another process or thread held the lock for longer than `lock_timeout`; nothing was stored."""


def _write_error(
    cls: type[AuditWriteError], message: str, stored: Stored, reason: str, errno: int | None
) -> AuditWriteError:
    return cls(message, stored=stored, reason=reason, errno=errno)
