"""What can happen to a trail, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditwatch.ledger.segment import Fingerprint
from auditwatch.ledger.writes import Counts
from auditwatch.trail.grid import BlockDigest
from auditwatch.trail.report import Report
from auditwatch.trail.sketch import Overlap, Sketch
from auditwatch.trail.verdict import Trouble

Prints = tuple[Fingerprint, Fingerprint]
"""Head and marker, where a known segment has them."""


@dataclass(frozen=True, slots=True)
class FileSight:
    """What one look at one file showed.

    Attributes:
        name: File name in its directory.
        modified: Modification time.
        head: Fingerprint of as many first bytes as the known head has; None if the file is shorter or was not opened.
        marker: Fingerprint of the bytes at the place of the known marker; None in the same cases.
        born_ns: When the file was born; 0 if that is not known.
        packed: Bytes of the file if it is compressed, else 0. Then `size` is that of its content, as far as it is read.
        prints: Head and marker of that content for each known segment, by its number.
        overlap: What it has in common with the active segment; None if they were not compared.
        is_cut: Whether that content cannot be read to its end.
        since: When we first saw a compressed file as it is now.
        begins: Device and inode of the uncompressed files that begin with all of that content, when it was read.
        distinct: How many different lines end in its first bytes.
        directory: Path of the directory that it is in; empty for the trail's own.
        repeats_all: Whether all that was judged of the active segment lies in it as in that segment's own file, which
            still has a name.
    """

    name: str
    device: int
    inode: int
    size: int
    modified: float
    head: Fingerprint | None = None
    marker: Fingerprint | None = None
    born_ns: int = 0
    packed: int = 0
    prints: Mapping[int, Prints] = field(default_factory=dict)
    overlap: Overlap | None = None
    is_cut: bool = False
    since: float = 0.0
    begins: tuple[tuple[int, int], ...] = ()
    distinct: int = 0
    directory: str = ""
    repeats_all: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """A look at the trail.

    Attributes:
        active: The file at the trail's path; None if there is no file, or it cannot be read (`trouble`).
        trouble: Why it cannot be read; None if it is only missing.
        others: Files, beside it or elsewhere, that may be its segments, oldest first; None if not looked for.
        former: The active segment's own file, held open, if another or none is at the path now.
        directory: Device of the trail's directory; 0 if the directory is not there.
        is_unpacking: Whether a compressed neighbour is still being read or written: until then, nothing can be missed.
        is_reading: Whether we are still reading one: until then, others that nobody knew have no place in their order.
        unlisted: Directories that could not be listed: nothing in them can be missed.
    """

    at: float
    active: FileSight | None
    trouble: Trouble | None = None
    others: tuple[FileSight, ...] | None = None
    former: FileSight | None = None
    directory: int = 0
    is_unpacking: bool = False
    is_reading: bool = False
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on the bytes after the judged position of a segment: the answer to a `Read`.

    Attributes:
        segment: Number of the segment.
        start: Where the read began; the event is stale unless this is still the judged position.
        read: Where the read ended.
        rules_id: Id of the rules that were used.
        report: The report, with places counted from `start`.
        head: Fingerprint of the first min(4096, judged) bytes, where judged is `start + report.bytes`.
        marker: Fingerprint of the last min(4096, judged) bytes before that position.
        sketch: Sampled lines before that position; None if it is not beyond the anchor.
        digests: Of the blocks that these bytes belong to, each of bytes that were judged, now or before.
        size: Size of the file after the read; None if it was not looked at again, as with compressed segments.
    """

    at: float
    segment: int
    start: int
    read: int
    rules_id: str
    report: Report
    head: Fingerprint
    marker: Fingerprint
    sketch: Sketch | None = None
    digests: tuple[BlockDigest, ...] = ()
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A new verdict on newline-ended lines that were judged before: from a full run, or one that covers some blocks.

    Attributes:
        segment: Number of the segment.
        start: Offset of the first byte, at the start of a line.
        lines_before: Newline-ended lines before `start`.
        rules_id: Id of the rules that were used.
        report: The report, with places counted from `start`.
    """

    at: float
    segment: int
    start: int
    lines_before: int
    rules_id: str
    report: Report


@dataclass(frozen=True, slots=True)
class Rehash:
    """A block that was hashed again.

    Attributes:
        block: As it was remembered when it was hashed; its digest is empty if there was none.
        found: Digest of its bytes now.
        since: When these bytes were last known to be as remembered.
    """

    block: BlockDigest
    found: str
    since: float


@dataclass(frozen=True, slots=True)
class Rehashed:
    """Blocks of a segment were hashed again; for a compressed segment, pieces of its file, or blocks of its content.

    Attributes:
        segment: Number of the segment.
        blocks: In order.
        is_content: Whether a compressed segment was unpacked for it.
        oldest: When the bytes of the segment that were not hashed for the longest time were hashed.
    """

    at: float
    segment: int
    blocks: tuple[Rehash, ...]
    oldest: float = 0.0
    is_content: bool = False


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A known compressed segment, read once more.

    Attributes:
        segment: Number of the segment.
        position: How far it had been judged when it was read; what it is compared with belongs to that.
        packed: Bytes of its file.
        size: Bytes of its content, as far as it is read.
        is_cut: Whether that content cannot be read to its end.
        head: Fingerprint of as many first bytes of the content as the known head has.
        marker: Fingerprint of the content at the place of the known marker.
    """

    at: float
    segment: int
    position: int
    packed: int
    size: int
    is_cut: bool
    head: Fingerprint
    marker: Fingerprint


@dataclass(frozen=True, slots=True)
class Counted:
    """A look at the counters file of the trail's writers.

    Attributes:
        id: The file's random id, in hex.
        counts: What all writers together counted.
        last_failure: When a write last failed; 0 = never.
        trouble: Why no counters file could be read, and then the rest means nothing; empty if one was read.
    """

    at: float
    id: str = ""
    counts: Counts = field(default_factory=Counts)
    last_failure: float = 0.0
    trouble: str = ""


class Scope(StrEnum):
    """What a request applies to; the last is for `Rebaselined`."""

    IDS = "ids"
    ALL = "all"
    INHERITED = "inherited"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An operator acknowledged findings, or undoes that.

    Attributes:
        step: The step of the trail that the operator saw: what a later one opened is not meant, unless its id is named.
        ids: Ids of findings, violations and failed writes, if `scope` is `ids`.
        undo: Whether to open them again instead.
    """

    at: float
    step: int
    scope: Scope
    by: str
    reason: str
    ids: frozenset[str] = frozenset()
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What had been stored of the trail is lost, in whole or in part; the state is what is left of it.

    Attributes:
        place: Name of the file in which that was seen.
        detail: One line for people.
    """

    at: float
    place: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rebaselined:
    """An operator takes what lies at the path as the trail's new history.

    Attributes:
        step: The step of the trail when the file was compared: a violation that a later one opened is not meant.
        proof: What of the former history is still there, in a line.
    """

    at: float
    step: int
    by: str
    reason: str
    proof: str


@dataclass(frozen=True, slots=True)
class Nameless:
    """A file that was the active one has no name any more, and somebody writes to it.

    Attributes:
        size: Bytes that were written to it since; they are in no file that anybody can open.
    """

    at: float
    size: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""

    at: float


Event = (
    Observed
    | Judged
    | Reviewed
    | Rehashed
    | Unpacked
    | Counted
    | Acknowledged
    | Rebaselined
    | Forgotten
    | Nameless
    | Ticked
)
