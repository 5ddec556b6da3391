"""The outcome of validating one path once, and its form as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

from auditwatch.ledger.runs import Mode
from auditwatch.trail.grid import Share
from auditwatch.trail.ids import finding_id
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.trail.report import Defect, Report
from auditwatch.trail.verdict import Basis, Trouble, Verdict
from auditwatch.validation.once.comparison import Comparison

MAX_FINDINGS: Final = 1000
"""Most findings that an outcome lists individually."""


@dataclass(frozen=True, slots=True)
class Found:
    """One damaged line.

    Attributes:
        id: The id that the agent gives it too, if it knows the trail by the name that follows from its path.
        kind: What is wrong with it.
        segment: Name of the file.
        line: Number of the line, from 1; None if only a sample was read and lines were not counted.
        offset: Offset of its first byte in the file.
        length: Bytes before the newline.
        sha256: Hash of those bytes.
        records_inside: Number of whole objects that it still contains.
    """

    id: str
    kind: Kind
    segment: str
    line: int | None
    offset: int
    length: int
    sha256: str
    records_inside: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a sample was drawn, and what it supports.

    Attributes:
        lines: Lines that were read.
        by: What the parts of the file are equal in.
        seed: Draws the same lines from the same bytes again.
        upper_bound: Highest ratio of corrupt lines that is consistent with the sample, at 95 % confidence.
        cover: The share of blocks that was judged as well, if one was asked for.
        blocks: How many blocks those were.
    """

    lines: int
    by: Literal["bytes", "lines"]
    seed: int
    upper_bound: float
    cover: Share | None = None
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known about one path after checking it, or why it could not be checked.

    Attributes:
        path: The path, as it was given.
        mode: How much was judged.
        report: Counts over everything that was judged.
        findings: The first damaged lines.
        coverage: Share of the newline-ended bytes that was judged; of segments, if not all could be read to their end.
        seconds: How long it took.
        digest: Digest of the file, if asked for.
        sampling: How the sample was drawn, in mode sample.
        trouble: Why the path, or a segment of it, could not be checked; None if all of it was.
        comparison: How the file compares with what an agent recorded, if that was asked for.
        segments: Names of the files in order, if they are one trail.
        torn_in: Names of the segments whose last line has no newline.
        cut_in: Names of compressed segments that cannot be read to their end, and how many bytes of content they gave.
        violations: How many violations of each kind there are; only kinds that occurred.
        witnessed: Number of the record that a witness remembers and what became of it, if that was asked for.
    """

    path: str
    mode: Mode
    report: Report = field(default_factory=Report)
    findings: tuple[Found, ...] = ()
    coverage: float = 0.0
    seconds: float = 0.0
    digest: str | None = None
    sampling: Sampling | None = None
    trouble: Trouble | None = None
    comparison: Comparison | None = None
    segments: tuple[str, ...] = ()
    torn_in: tuple[str, ...] = ()
    cut_in: tuple[tuple[str, int], ...] = ()
    violations: Mapping[Violation, int] = field(default_factory=dict)
    witnessed: tuple[int, str] | None = None

    @property
    def basis(self) -> list[Basis]:
        """What the verdict is based on."""
        if self.trouble is not None:
            return []
        is_as_recorded = self.comparison is not None and self.comparison.is_as_recorded
        return [Basis.FORMAT, *([Basis.RECORDED_HISTORY] if is_as_recorded else [])]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the path; hygiene counts as damage here, tolerated lines do not.

        Damage in one segment is damage, even if another segment could not be checked.
        """
        if self.report.corrupt_lines or self.violations:
            return Verdict.DAMAGED
        return Verdict.UNCHECKED if self.trouble is not None else Verdict.WHOLE

    def as_json(self) -> dict[str, object]:
        """The object that `validate --format json` prints."""
        report, sampling = self.report, self.sampling
        return {
            "path": self.path,
            "mode": self.mode,
            "verdict": self.verdict,
            "basis": self.basis,
            "bytes": report.bytes,
            "lines": report.lines,
            "records": report.records,
            "corrupt_lines": report.corrupt_lines,
            "torn_tail": report.torn_tail,
            "pending_bytes": report.pending_bytes,
            "by_kind": {kind.value: report.by_kind.get(kind, 0) for kind in Kind},
            "violations": {violation.value: self.violations.get(violation, 0) for violation in Violation},
            "findings": [asdict(found) for found in self.findings],
            "findings_total": report.corrupt_lines,
            "coverage": self.coverage,
            "sampled_lines": sampling and sampling.lines,
            "sampled_by": sampling and sampling.by,
            "seed": sampling and sampling.seed,
            "corrupt_ratio_upper_bound": sampling and sampling.upper_bound,
            "seconds": round(self.seconds, 6),
            "digest": self.digest,
            "error": self.trouble and asdict(self.trouble),
        }


def found_in(defects: Iterable[Defect], trail: str, segment: str) -> tuple[Found, ...]:
    """The first findings of one segment.

    Args:
        defects: Defects with places counted from the start of the segment; line 0 means that lines were not counted.
        trail: Name of the trail, for the ids.
        segment: Name of the file.
    """
    return tuple(_found(defect, trail, segment) for defect, _ in zip(defects, range(MAX_FINDINGS), strict=False))


def _found(defect: Defect, trail: str, segment: str) -> Found:
    return Found(
        id=finding_id(trail, defect.offset, defect.sha256),
        kind=defect.kind,
        segment=segment,
        line=defect.line or None,
        offset=defect.offset,
        length=defect.length,
        sha256=defect.sha256,
        records_inside=defect.records_inside,
    )
