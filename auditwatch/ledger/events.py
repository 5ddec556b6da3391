"""What can happen to a trail, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from auditwatch.ledger.state import Fingerprint
from auditwatch.ledger.writes import Counts
from auditwatch.trail.report import Report
from auditwatch.trail.verdict import Trouble


@dataclass(frozen=True, slots=True)
class FileSight:
    """What one look at one file showed.

    Attributes:
        name: File name in the trail's directory.
        modified: Modification time.
        head: Of as many first bytes as the known head has; None where the file is shorter or was not opened.
        marker: Of the bytes where the known marker lies; None likewise.
    """

    name: str
    device: int
    inode: int
    size: int
    modified: float
    head: Fingerprint | None = None
    marker: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """A look at the trail.

    Attributes:
        active: The file at the trail's path; None where there is none, or it cannot be read (`trouble`).
        trouble: Why it cannot be read; None where it is merely missing.
        others: Files beside it that are named like segments, oldest first; None where nobody looked for them.
    """

    at: float
    active: FileSight | None
    trouble: Trouble | None = None
    others: tuple[FileSight, ...] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on the bytes behind the judged position of a segment: the answer to a `Read`.

    Attributes:
        segment: Number of the segment.
        start: Where the read began: stale unless it is the judged position still.
        read: Where it ended.
        rules_id: Rules it was judged by.
        report: Places counted from `start`.
        head: Of the first min(4096, judged) bytes, judged being `start + report.bytes`.
        marker: Of the last min(4096, judged) bytes before that position.
    """

    at: float
    segment: int
    start: int
    read: int
    rules_id: str
    report: Report
    head: Fingerprint
    marker: Fingerprint


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The verdict on whole lines that were judged before: by a full validation, or one that covers some blocks.

    Attributes:
        segment: Number of the segment.
        start: First byte, at the start of a line.
        lines_before: Newline-ended lines before `start`.
        rules_id: Rules it was judged by.
        report: Places counted from `start`.
    """

    at: float
    segment: int
    start: int
    lines_before: int
    rules_id: str
    report: Report


@dataclass(frozen=True, slots=True)
class Counted:
    """A look at the counters file of the trail's writers.

    Attributes:
        id: The file's random id, in hex.
        counts: What all writers counted together.
        last_failure: When a write last failed; 0 = never.
        trouble: Why no counters file could be read, which leaves the rest without meaning; empty where one could.
    """

    at: float
    id: str = ""
    counts: Counts = field(default_factory=Counts)
    last_failure: float = 0.0
    trouble: str = ""


class Scope(StrEnum):
    """Which findings an acknowledgement means."""

    IDS = "ids"
    ALL = "all"
    INHERITED = "inherited"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody took note of findings, or takes that back.

    Attributes:
        asked: When it was asked: `all` and `inherited` mean what was seen until then.
        ids: Findings and violations, where `scope` is `ids`.
        undo: Open them again instead.
    """

    at: float
    asked: float
    scope: Scope
    by: str
    reason: str
    ids: frozenset[str] = frozenset()
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""

    at: float


Event = Observed | Judged | Reviewed | Counted | Acknowledged | Ticked
