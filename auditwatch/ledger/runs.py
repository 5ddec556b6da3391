"""What is remembered of validation runs, whatever they found."""

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
        runs: Finished ones; `errors`: those that could not look.
        last_attempt: When one last began; 0 = never. Likewise `last_success`.
        corrupt_lines: How many damaged lines the last one saw.
        bound: Upper bound of the share of corrupt lines that the last sample supports.
    """

    runs: int = 0
    errors: int = 0
    last_attempt: float = 0.0
    last_success: float = 0.0
    corrupt_lines: int = 0
    bound: float = 1.0
