"""What is remembered of validation runs, no matter what they found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """The ways of validating."""

    FULL = "full"
    SAMPLE = "sample"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is remembered of the validation runs of one mode over one trail.

    Attributes:
        runs: Number of finished runs.
        errors: Number of runs that could not check the trail.
        last_attempt: When a run last began; 0 = never.
        last_success: When a run last managed to check the trail, whatever it found; 0 = never.
        corrupt_lines: How many damaged lines the last run saw.
        bound: Upper bound for the share of corrupt lines, as the last sample supports it.
    """

    runs: int = 0
    errors: int = 0
    last_attempt: float = 0.0
    last_success: float = 0.0
    corrupt_lines: int = 0
    bound: float = 1.0
