"""Where a trail is, and the descriptors of exactly those of its files that are meant."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from blake3 import blake3

from auditwatch.agent.held import Held
from auditwatch.errors import Unreadable
from auditwatch.files.opening import open_trail
from auditwatch.host.births import file_id, is_one_file
from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.trail.counters import counters_name
from auditwatch.trail.names import segment_order
from auditwatch.trail.sketch import ReadAt


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


def open_segment(place: Place, segment: Segment) -> int:
    """A descriptor of the exact file of a segment; the caller closes it.

    Raises:
        Unreadable: changed, if another file is there now.
    """
    follow_symlink = place.follow_symlink and not segment.closed
    return _opened(place, segment, follow_symlink=follow_symlink)


def open_known(place: Place, segment: Segment, held: Held) -> int:
    """The same as `open_segment`, even if its name is gone, as long as it is held."""
    descriptor = held.duplicate((segment.device, segment.inode, segment.born_ns))
    return open_segment(place, segment) if descriptor is None else descriptor


def open_sight(place: Place, sight: FileSight) -> int:
    """A descriptor of the exact file that was seen; the caller closes it.

    Raises:
        Unreadable: changed, if another file is there now.
    """
    return _opened(place, sight, follow_symlink=False)


def _opened(place: Place, meant: Segment | FileSight, *, follow_symlink: bool) -> int:
    return _checked(open_trail(place.of(meant.name, meant.directory), follow_symlink), meant)


def _checked(descriptor: int, meant: Segment | FileSight) -> int:
    """The descriptor of the very file that is meant: a file system gives an inode that is free to the next one.

    Raises:
        Unreadable: changed; then it is closed.
    """
    if is_one_file(file_id(descriptor), (meant.device, meant.inode, meant.born_ns)):
        return descriptor
    os.close(descriptor)
    raise Unreadable("changed", f"{meant.name}: another file took its place")


def print_of(read_at: ReadAt, offset: int, length: int) -> Fingerprint:
    """The fingerprint of so many bytes from an offset."""
    return Fingerprint(length, blake3(read_at(offset, length)).hexdigest())
