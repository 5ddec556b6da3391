"""What a prober does on a trail's file system: glance, look, read. Plain calls; values in, values out."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from auditwatch.agent.held import Held, path_of
from auditwatch.errors import Unreadable
from auditwatch.files.archives import is_archive
from auditwatch.files.counters import read_counters
from auditwatch.files.opening import open_trail, opened
from auditwatch.files.reading import find_newline, fingerprint, read_chunks, reader
from auditwatch.files.segments import segment_files
from auditwatch.host.births import born_ns
from auditwatch.host.clock import Clock
from auditwatch.ledger.blocks import hashed_until
from auditwatch.ledger.effects import Read
from auditwatch.ledger.events import Counted, FileSight, Judged, Observed
from auditwatch.ledger.identity import FINGERPRINT_BYTES, Expectation
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.ledger.succession import oldest_first
from auditwatch.ledger.writes import Counts
from auditwatch.trail.counters import Counters, counters_name
from auditwatch.trail.grid import BlockDigest, BlockHasher
from auditwatch.trail.names import segment_order
from auditwatch.trail.report import Report
from auditwatch.trail.rules import Rules
from auditwatch.trail.scan import scan_all
from auditwatch.trail.sketch import extended, overlap
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.ranges import JudgedArchive, Span, rebuilt

SMALL_READ_BYTES: Final = 1 << 20
"""Reads up to this size are judged where they are read; larger ones go to a worker process."""

Known = Sequence[tuple[Segment, Expectation]]
"""Closed segments and what identifies them."""

SETTLED_SECONDS: Final = 0.1
"""A file that changed this recently may change again with the same mtime: file system clocks tick every 10 ms."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trail is.

    Attributes:
        follow_symlink: Whether the path itself may be a symbolic link.
        patterns: Where more segments are, as configured.
        directories: Where earlier segments went.
        remembered: Directory and name of earlier segments that went elsewhere, whatever they are named.
    """

    path: str
    follow_symlink: bool = False
    patterns: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    remembered: tuple[tuple[str, str], ...] = ()

    def of(self, name: str, directory: str = "") -> str:
        """The path of one of its segments; without a directory it is beside the trail."""
        return os.path.join(directory or os.path.dirname(self.path), name)

    def knowing(self, segments: Iterable[Segment]) -> Place:
        """The same place, with what is known of these segments: directories, and names that no rotation gives."""
        own = os.path.basename(self.path)
        segments = [segment for segment in segments if segment.closed]
        return replace(
            self,
            directories=tuple(sorted({s.directory for s in segments if s.directory})),
            remembered=tuple((s.directory, s.name) for s in segments if not segment_order(own, s.name)),
        )

    @property
    def counters(self) -> Place:
        """Where its writers count."""
        directory, name = os.path.split(self.path)
        return Place(os.path.join(directory, counters_name(name)))


@dataclass(frozen=True, slots=True)
class Glance:
    """What `stat` says: enough to know whether to look.

    Attributes:
        state: "present", "missing", or the system's message.
        changed_ns: When anything about the file changed, its name, links, owner and mode included.
        owners: User and group.
    """

    state: str
    device: int = 0
    inode: int = 0
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    links: int = 0
    mode: int = 0
    owners: tuple[int, int] = (0, 0)


def glance(place: Place) -> Glance:
    """One `stat` of the active file."""
    try:
        status = os.stat(place.path, follow_symlinks=place.follow_symlink)
    except (FileNotFoundError, NotADirectoryError):
        return Glance("missing")
    except (OSError, ValueError) as error:
        return Glance(str(error))
    return Glance(
        "present",
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_nlink,
        status.st_mode,
        (status.st_uid, status.st_gid),
    )


@dataclass(frozen=True, slots=True)
class Count:
    """A look at what the writers of a trail counted.

    Attributes:
        glance: As long as the file looks like this, there is nothing to read; None if it is to be read again.
    """

    event: Counted
    glance: Glance | None


def look_at_counters(place: Place, known: Glance | None, clock: Clock) -> Count | None:
    """What the writers of a trail counted; None if their file looks as it did before.

    Args:
        place: Of the trail.
        known: How the counters file looked.
        clock: Seconds since 1970.
    """
    seen = glance(place.counters)
    if seen == known:
        return None
    try:
        found = read_counters(place.counters.path)
    except Unreadable as error:
        is_missing = error.reason == "missing"
        trouble = "no counters file" if is_missing else str(error)
        return Count(Counted(clock(), trouble=trouble), seen if is_missing else None)
    at = clock()
    is_settled = not found.unsettled and at - seen.modified_ns / 1e9 >= SETTLED_SECONDS
    return Count(_counted(found, at), seen if is_settled else None)


def _counted(found: Counters, at: float) -> Counted:
    total = found.total
    counts = Counts(total.stored, total.failed, total.lock_waits)
    return Counted(at, found.header.id.hex(), counts, total.last_failure_ns / 1e9)


def look(place: Place, expected: Expectation, closed: Known | None, clock: Clock, held: Held) -> Observed:
    """Open the active file and take what identifies it; the same for its neighbours if asked for.

    The file that the ledger knows is held from now on. If it is no longer at the path, it is looked at as well.

    Args:
        place: Of the trail.
        expected: What the active file is compared with, and each neighbour.
        closed: What neighbours may be, under a new inode; None = do not look for any.
        clock: Seconds since 1970.
        held: Of the trail.
    """
    active, former, trouble = None, None, None
    directory = _device(os.path.dirname(place.path))  # first: what is missing from a directory that was there, is gone
    try:
        with opened(place.path, place.follow_symlink) as descriptor:
            active = _compared(descriptor, _sight(descriptor, os.path.basename(place.path), expected), expected)
            former = _former(place, held, expected, descriptor)
    except Unreadable as error:
        if error.reason == "missing":
            former = _former(place, held, expected, None)
        else:
            trouble = Trouble.of(error)
    if directory != _device(os.path.dirname(place.path)):
        directory = 0  # it went away, or came, in between
    if closed is None:
        return Observed(clock(), active, trouble, None, former, directory=directory)
    files = segment_files(place.path, place.patterns, place.directories)
    found = dict.fromkeys((*files.found, *place.remembered))
    others = oldest_first(os.path.basename(place.path), _neighbours(place, found, expected, closed))
    return Observed(clock(), active, trouble, others, former, directory=directory, unlisted=files.unlisted)


def _former(place: Place, held: Held, expected: Expectation, at_path: int | None) -> FileSight | None:
    own, known = os.path.dirname(place.path), (expected.device, expected.inode)
    descriptor = held.settle(known, at_path)
    if descriptor is None and expected.inode and not held.is_holding:  # after a start
        descriptor = held.find(known, own)
    if descriptor is None:
        return None
    sight = _sight(descriptor, "", expected)
    directory, name = os.path.split(path_of(descriptor))
    return replace(sight, name=name, directory="" if directory == os.path.realpath(own) else directory)


def _compared(descriptor: int, sight: FileSight, expected: Expectation) -> FileSight:
    """Another file than the known one shows what it has in common with it."""
    if not expected.sketch.lines or (sight.device, sight.inode) == (expected.device, expected.inode):
        return sight
    return replace(sight, overlap=overlap(expected.sketch, reader(descriptor), sight.size))


def _device(directory: str) -> int:
    try:
        return os.stat(directory or ".").st_dev
    except OSError:
        return 0


def _neighbours(
    place: Place, found: Iterable[tuple[str, str]], expected: Expectation, closed: Known
) -> Iterator[FileSight]:
    """Each file once, even if it has several names."""
    seen, candidates = set(), _Candidates(closed)
    for directory, name in found:
        try:
            with opened(place.of(name, directory)) as descriptor:
                sight = candidates.presumed(descriptor, _neighbour_sight(descriptor, name, expected))
                sight = replace(sight, directory=directory)
        except Unreadable:
            continue  # it cannot be judged now; if it was a segment, the ledger misses it
        if (sight.device, sight.inode) not in seen:
            seen.add((sight.device, sight.inode))
            yield sight


class _Candidates:
    """What an unknown plain neighbour may be: closed segments with its name or its size."""

    def __init__(self, closed: Known) -> None:
        self._inodes = {(segment.device, segment.inode) for segment, _ in closed}
        self._alike: dict[str | int, dict[int, Expectation]] = defaultdict(dict)
        for segment, one in closed:
            self._alike[segment.name][segment.number] = self._alike[segment.size][segment.number] = one

    def presumed(self, descriptor: int, sight: FileSight) -> FileSight:
        """The sight with its prints for each of them."""
        if sight.packed or (sight.device, sight.inode) in self._inodes:
            return sight
        alike = self._alike[sight.name] | self._alike[sight.size]
        bare = {number: _sight(descriptor, "", one) for number, one in alike.items()}
        prints = {number: (one.head, one.marker) for number, one in bare.items() if one.head and one.marker}
        return replace(sight, prints=prints)


def _neighbour_sight(descriptor: int, name: str, expected: Expectation) -> FileSight:
    """A compressed neighbour shows its own size alone: what it holds is for a worker to read."""
    if is_archive(descriptor, name):
        bare = _sight(descriptor, name, Expectation())
        return replace(bare, size=0, head=None, marker=None, packed=max(1, bare.size))
    return _sight(descriptor, name, expected)


def _sight(descriptor: int, name: str, expected: Expectation) -> FileSight:
    status = os.fstat(descriptor)
    marker_end = expected.marker_offset + expected.marker_length
    return FileSight(
        name=name,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        modified=status.st_mtime_ns / 1e9,
        born_ns=born_ns(descriptor),
        head=_print(descriptor, 0, expected.head_length) if status.st_size >= expected.head_length else None,
        marker=_print(descriptor, expected.marker_offset, expected.marker_length)
        if status.st_size >= marker_end
        else None,
    )


def open_segment(place: Place, segment: Segment) -> int:
    """A descriptor of the exact file of a segment; the caller closes it.

    Raises:
        Unreadable: changed, if another file is there now.
    """
    follow_symlink = place.follow_symlink and not segment.closed
    path = place.of(segment.name, segment.directory)
    return _opened_as(path, segment.device, segment.inode, follow_symlink=follow_symlink)


def open_known(place: Place, segment: Segment, held: Held) -> int:
    """The same as `open_segment`, even if its name is gone, as long as it is held."""
    descriptor = held.duplicate((segment.device, segment.inode))
    return open_segment(place, segment) if descriptor is None else descriptor


def open_sight(place: Place, sight: FileSight) -> int:
    """A descriptor of the exact file that was seen; the caller closes it.

    Raises:
        Unreadable: changed, if another file is there now.
    """
    return _opened_as(place.of(sight.name, sight.directory), sight.device, sight.inode, follow_symlink=False)


def _opened_as(path: str, device: int, inode: int, *, follow_symlink: bool) -> int:
    descriptor = open_trail(path, follow_symlink)
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) != (device, inode):
        os.close(descriptor)
        raise Unreadable("changed", f"{os.path.basename(path)}: another file took its place")
    return descriptor


def archive_spans(judged: int) -> tuple[Span, Span]:
    """Where head and marker of a compressed segment are when this much of its content is judged."""
    length = min(FINGERPRINT_BYTES, judged)
    return (0, length), (judged - length, length)


def archive_verdict(segment: Segment, read: Read, found: JudgedArchive, rules: Rules, clock: Clock) -> Judged:
    """The answer to a read of a compressed segment.

    A read that stops before the anchor stops where lines were judged before, by other rules: the anchor holds for it.

    The prints are those of the spans of what is judged now, if that is more than the anchor covers.

    Raises:
        Unreadable: changed, if the file does not hold what it held when it was looked at.
    """
    if (found.size, found.is_cut) != (segment.size, segment.is_cut):
        raise Unreadable("changed", f"{segment.name}: the compressed file was changed while it was read")
    judged = read.start + found.report.bytes
    head, marker = segment.anchor.head, segment.anchor.marker
    if judged == segment.size or judged > segment.anchor.position:
        length = min(FINGERPRINT_BYTES, judged)
        head, marker = (Fingerprint(length, digest.hex()) for digest in found.prints)
    return Judged(
        at=clock(),
        segment=read.segment,
        start=read.start,
        read=judged + found.report.pending_bytes,
        rules_id=rules.reports_id,
        report=found.report,
        head=head,
        marker=marker,
        digests=found.blocks,
    )


def read_small(
    place: Place, segment: Segment, read: Read, rules: Rules, clock: Clock, held: Held, hasher: BlockHasher | None
) -> tuple[Judged, BlockHasher | None]:
    """Judge a few bytes on the spot, and hash the very bytes that were judged.

    Args:
        place: Of the trail.
        segment: Whose bytes to judge.
        read: Which of them.
        rules: What the lines are judged by.
        clock: Seconds since 1970.
        held: The descriptor that is held open.
        hasher: What hashed the bytes before them, if it is still known; it becomes the callee's.

    Returns:
        The verdict, and what hashes the bytes after them; None if earlier bytes were not hashed.

    Raises:
        Unreadable: If the file cannot be read or has been replaced.
    """
    descriptor = open_known(place, segment, held)
    try:
        chunks = list(read_chunks(descriptor, read.start, read.end))
        report = scan_all(chunks, rules, final=read.final)
        hasher = hasher or rebuilt(descriptor, hashed_until(segment), segment.open_block)
        digests = _digests(hasher, read.start, b"".join(chunks)[: report.bytes])
        return conclude(descriptor, segment, read, report, rules, clock, digests), hasher if digests else None
    finally:
        os.close(descriptor)


def _digests(hasher: BlockHasher, start: int, judged: bytes) -> tuple[BlockDigest, ...]:
    """Of the blocks that these bytes belong to; none if bytes before them were not hashed."""
    if start > hasher.position:
        return ()
    hasher.feed(judged[hasher.position - start :])
    return hasher.taken()


def conclude(
    descriptor: int,
    segment: Segment,
    read: Read,
    report: Report,
    rules: Rules,
    clock: Clock,
    digests: tuple[BlockDigest, ...] = (),
) -> Judged:
    """The answer to a read, with the fingerprints of the new position."""
    judged = read.start + report.bytes
    length = min(FINGERPRINT_BYTES, judged)
    known = segment.anchor.position
    return Judged(
        at=clock(),
        segment=read.segment,
        start=read.start,
        read=judged + report.pending_bytes,
        rules_id=rules.reports_id,
        report=report,
        head=_print(descriptor, 0, length),
        marker=_print(descriptor, judged - length, length),
        sketch=extended(segment.sketch, reader(descriptor), known, judged) if judged > known else None,
        digests=digests,
        size=os.fstat(descriptor).st_size,
    )


def ends_no_line(descriptor: int, read: Read) -> bool:
    """Whether nothing since the last read ends the line that is pending."""
    return not read.final and find_newline(descriptor, read.resume, read.end) is None


def _print(descriptor: int, offset: int, length: int) -> Fingerprint:
    return Fingerprint(length, fingerprint(descriptor, offset, length).hex())
