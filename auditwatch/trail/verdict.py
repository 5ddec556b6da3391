"""What is said of a trail in one word, what that rests on, and why nothing can be said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from auditwatch.errors import Reason, Unreadable, WorkerDied


class Verdict(StrEnum):
    """The worst first: of several trails the first of these that is true of any is the verdict on all.

    Attributes:
        DAMAGED: Lines are damaged, or order or history was violated.
        UNCHECKED: It could not be looked at, or not all of it has been. This is not damage.
        WHOLE: All that was looked at is as it should be; the basis says what that covers.
    """

    DAMAGED = "damaged"
    UNCHECKED = "unchecked"
    WHOLE = "whole"

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The verdict on several trails; nothing was checked where there are none.

        >>> Verdict.worst([Verdict.WHOLE, Verdict.UNCHECKED])
        <Verdict.UNCHECKED: 'unchecked'>
        """
        found = set(verdicts)
        return next((verdict for verdict in cls if verdict in found), cls.UNCHECKED)


class Basis(StrEnum):
    """What a verdict rests on.

    Attributes:
        FORMAT: Every line was judged.
        RECORDED_HISTORY: All that an agent recorded of it is still there, byte for byte.
    """

    FORMAT = "format"
    RECORDED_HISTORY = "recorded_history"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be looked at: an error as a value."""

    reason: Reason
    message: str

    @classmethod
    def of(cls, error: Unreadable | WorkerDied) -> Trouble:
        """The error as a value."""
        return cls(error.reason, str(error))
