"""The verdict on a trail in one word, what it is based on, and why a trail could not be checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from auditwatch.errors import Reason, Unreadable, WorkerDied


class Verdict(StrEnum):
    """Worst first: the verdict on several trails is the first of these that any of them has.

    Attributes:
        DAMAGED: Lines are damaged, or order or history was violated.
        UNCHECKED: The trail could not be checked, or not all of it has been. This is not damage.
        WHOLE: Everything that was checked is as it should be; the basis says what was checked.
    """

    DAMAGED = "damaged"
    UNCHECKED = "unchecked"
    WHOLE = "whole"

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The verdict on several trails; unchecked if there are none.

        >>> Verdict.worst([Verdict.WHOLE, Verdict.UNCHECKED])
        <Verdict.UNCHECKED: 'unchecked'>
        """
        found = set(verdicts)
        return next((verdict for verdict in cls if verdict in found), cls.UNCHECKED)


class Basis(StrEnum):
    """What a verdict is based on.

    Attributes:
        FORMAT: Every line was judged.
        RECORDED_HISTORY: Everything that an agent recorded of the trail is still there, byte for byte.
    """

    FORMAT = "format"
    RECORDED_HISTORY = "recorded_history"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something could not be checked: an error as a value."""

    reason: Reason
    message: str

    @classmethod
    def of(cls, error: Unreadable | WorkerDied) -> Trouble:
        """The error as a value."""
        return cls(error.reason, str(error))
