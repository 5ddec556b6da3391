"""What is in a trail after a fault: judged by auditwatch's validator, counted by the standard library alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auditwatch.files.segments import segment_files
from auditwatch.trail.names import segment_order
from auditwatch.trail.own import Recovered, parse_own
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import Scan
from tests.faults.acknowledgements import Acknowledgements, Outcome

_CHUNK = 1 << 22
LONGEST_LINE = 4 << 20


@dataclass
class Survey:
    """What was found.

    Attributes:
        lines: Newline-ended lines in all segments.
        lost: Acknowledged records that are nowhere.
        duplicates: Records that are there more than once.
        unwanted: Records that are there though the writer said they are not, or that were never begun.
        corrupt: Damaged lines that no recovery record of a writer explains.
        kinds: How many damaged lines of each kind there are, explained ones too.
        ended: Torn pieces that a writer met and ended.
        unended: Segments that do not end in a newline.
    """

    lines: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    unwanted: list[tuple[int, int]] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    unended: int = 0

    @property
    def faults(self) -> dict[str, int]:
        """What must not be, by name; empty if all is well."""
        found = {"lost": self.lost, "duplicate": self.duplicates, "unwanted": self.unwanted, "corrupt": self.corrupt}
        return {name: len(what) for name, what in found.items() if what}


def segments(trail: Path) -> list[Path]:
    """All files of a trail that the agent finds, oldest first."""
    ordered = sorted((segment_order(trail.name, name), name) for _, name in segment_files(str(trail)).found)
    closed = [trail.parent / name for _, name in ordered]
    return [*closed, trail] if trail.exists() else closed


def survey(trail: Path, told: Acknowledgements, safe: Sequence[bytes] | None = None) -> Survey:
    """Compare a trail with what its writers reported about each record.

    Args:
        trail: The active file.
        told: By its writers.
        safe: Outcomes of each writer, of which the acknowledged ones must be there; else those of `told`.
    """
    found = Survey()
    there: Counter[tuple[int, int]] = Counter()
    for path in segments(trail):
        data = path.read_bytes()
        lines = _lines(data)
        _judge(path.name, data, lines, found)
        there.update(_records(lines))
    outcomes = [told.outcomes(writer) for writer in range(told.writers)]
    for writer, told_of in enumerate(outcomes if safe is None else safe):
        acknowledged = {(writer, number) for number, what in enumerate(told_of) if what == Outcome.ACKNOWLEDGED}
        found.lost += sorted(acknowledged - there.keys())
    found.duplicates = sorted(record for record, times in there.items() if times > 1)
    found.unwanted = sorted(record for record in there if not _may_be_there(record, outcomes))
    return found


def chain_breaks(paths: Iterable[Path]) -> list[str]:
    """Where numbers or hashes of stamped lines do not follow on each other, over all files in order."""
    before, last, breaks = "0" * 64, 0, []
    for path in paths:
        for number, line in enumerate(_lines(path.read_bytes()), 1):
            stamp = _stamp(line)
            if stamp is not None and stamp != (last + 1, before):
                breaks.append(f"{path.name}:{number}: number {stamp[0]} behind {last}, {stamp[1]} behind {before}")
            last = stamp[0] if stamp is not None else last
            before = hashlib.sha256(line).hexdigest()
    return breaks


def _stamp(line: bytes) -> tuple[int, str] | None:
    record = _parsed(line)
    return (record["_seq"], record["_prev"]) if record is not None and "_seq" in record else None


def _judge(name: str, data: bytes, lines: list[bytes], found: Survey) -> None:
    scan = Scan(Rules(max_line_bytes=LONGEST_LINE))
    for begin in range(0, len(data), _CHUNK):
        scan.feed(data[begin : begin + _CHUNK])
    report = scan.finish(final=True)
    recoveries = [own for own in map(parse_own, lines) if isinstance(own, Recovered)]
    explained = {(own.offset, own.length, own.sha256) for own in recoveries}
    found.lines += report.lines
    found.unended += report.torn_tail
    found.ended += len(explained)
    found.kinds.update({kind.value: count for kind, count in report.by_kind.items()})
    torn_at = {offset for offset, _, _ in explained}
    for defect in report.defects:
        is_named = (defect.offset, defect.length, defect.sha256) in explained
        # The writer that ended it was killed before it had named it: its own record is the torn piece after it.
        if not is_named and defect.offset + defect.length + 1 not in torn_at:
            found.corrupt.append(f"{name}:{defect.line}: {defect.kind.value}, {defect.length} bytes")


def _records(lines: list[bytes]) -> Iterator[tuple[int, int]]:
    for line in lines:
        record = _parsed(line)
        if record is not None and isinstance(record.get("who"), int):
            yield record["who"], record["number"]


def _parsed(line: bytes) -> dict[str, object] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _lines(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _may_be_there(record: tuple[int, int], outcomes: list[bytes]) -> bool:
    writer, number = record
    if not 0 <= writer < len(outcomes) or number >= len(outcomes[writer]):
        return False
    return outcomes[writer][number] not in (Outcome.NONE, Outcome.NOT_STORED)


def size_of(trail: Path) -> int:
    """Bytes of a file that may not be there yet."""
    try:
        return os.stat(trail).st_size
    except FileNotFoundError:
        return 0
