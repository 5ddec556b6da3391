"""What a prober looks at on a trail's file system: glance, counters, look. Plain calls; values in, values out."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from auditwatch.agent.held import Held, path_of
from auditwatch.agent.place import Place, print_of
from auditwatch.errors import Unreadable
from auditwatch.files.archives import is_archive
from auditwatch.files.counters import read_counters
from auditwatch.files.opening import opened
from auditwatch.files.reading import fingerprint, reader
from auditwatch.files.segments import segment_files
from auditwatch.host.births import born_ns, file_id, is_one_file
from auditwatch.host.clock import Clock
from auditwatch.ledger.events import Counted, FileSight, Observed
from auditwatch.ledger.identity import Expectation
from auditwatch.ledger.segment import Segment
from auditwatch.ledger.succession import oldest_first
from auditwatch.ledger.writes import Counts
from auditwatch.trail.counters import Counters
from auditwatch.trail.sketch import overlap
from auditwatch.trail.verdict import Trouble

Known = Sequence[tuple[Segment, Expectation]]
"""Closed segments and what identifies them."""

SETTLED_SECONDS: Final = 0.1
"""A file that changed this recently may change again with the same mtime: file system clocks tick every 10 ms."""

COMPARED_BYTES: Final = 128 << 20
"""Most bytes of two files that one look compares; hashing both takes an eighth of a second."""


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
            kept = _kept(place, held, expected, descriptor)
            former = None if kept is None else _former(place, kept, expected)
            if kept is not None and former is not None and former.name:
                active = replace(active, repeats_all=_repeats_all(descriptor, kept, expected))
    except Unreadable as error:
        if error.reason == "missing":
            kept = _kept(place, held, expected, None)
            former = None if kept is None else _former(place, kept, expected)
        else:
            trouble = Trouble.of(error)
    if directory != _device(os.path.dirname(place.path)):
        directory = 0  # it went away, or came, in between
    if closed is None:
        return Observed(clock(), active, trouble, None, former, directory=directory)
    went = () if former is None or former.name else (held.last_directory,)
    files = segment_files(place.path, place.patterns, _elsewhere(place, *went, _target(place), *place.directories))
    found = dict.fromkeys((*files.found, *place.remembered))
    others = oldest_first(os.path.basename(place.path), _neighbours(place, found, expected, closed))
    return Observed(clock(), active, trouble, others, former, directory=directory, unlisted=files.unlisted)


def _elsewhere(place: Place, *directories: str) -> tuple[str, ...]:
    own = os.path.realpath(os.path.dirname(place.path))
    return tuple(directory for directory in dict.fromkeys(directories) if directory and directory != own)


def _target(place: Place) -> str:
    """The directory in which the file at the path really is: where a link that moves left its former file."""
    return os.path.dirname(os.path.realpath(place.path)) if place.follow_symlink else ""


def _kept(place: Place, held: Held, expected: Expectation, at_path: int | None) -> int | None:
    """The descriptor of the active segment's own file if that is no longer at the path; it stays held."""
    own, known = os.path.dirname(place.path), (expected.device, expected.inode, expected.born_ns)
    descriptor = held.settle(known, at_path)
    is_there = at_path is not None and is_one_file(file_id(at_path), known)
    if descriptor is None and expected.inode and not held.is_holding and not is_there:  # after a start
        found = (held.find(known, directory) for directory in (own, *_elsewhere(place, _target(place))))
        descriptor = next((one for one in found if one is not None), None)
    return descriptor


def _former(place: Place, kept: int, expected: Expectation) -> FileSight:
    directory, name = os.path.split(path_of(kept))
    own = os.path.realpath(os.path.dirname(place.path))
    return replace(_sight(kept, "", expected), name=name, directory="" if directory == own else directory)


def _repeats_all(descriptor: int, kept: int, expected: Expectation) -> bool:
    """Whether both files begin with the same bytes, as far as they were judged; of large ones that is not known."""
    position = expected.marker_offset + expected.marker_length
    if not 0 < position <= COMPARED_BYTES or position > min(os.fstat(one).st_size for one in (descriptor, kept)):
        return False
    return fingerprint(descriptor, 0, position) == fingerprint(kept, 0, position)


def _compared(descriptor: int, sight: FileSight, expected: Expectation) -> FileSight:
    """Another file than the known one shows what it has in common with it."""
    found, known = ((one.device, one.inode, one.born_ns) for one in (sight, expected))
    if not expected.sketch.lines or is_one_file(found, known):
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
    read_at = reader(descriptor)
    marker_end = expected.marker_offset + expected.marker_length
    return FileSight(
        name=name,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        modified=status.st_mtime_ns / 1e9,
        born_ns=born_ns(descriptor),
        head=print_of(read_at, 0, expected.head_length) if status.st_size >= expected.head_length else None,
        marker=print_of(read_at, expected.marker_offset, expected.marker_length)
        if status.st_size >= marker_end
        else None,
    )
