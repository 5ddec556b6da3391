"""Is this still the file we judged? Decided by the bytes; device and inode are hints, because both are reused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from auditwatch.ledger.events import FileSight
from auditwatch.ledger.segment import Fingerprint, Segment
from auditwatch.ledger.state import Suspicion, TrailState
from auditwatch.trail.kinds import Violation
from auditwatch.trail.names import uncompressed
from auditwatch.trail.sketch import FEWEST_LINES, NO_SKETCH, Overlap, Sketch

FINGERPRINT_BYTES: Final = 4096
"""Most bytes that the head covers, and the marker too."""

DECISIVE_BYTES: Final = 64
"""A head shorter than this says too little, because many trails begin with the same few bytes: the inode decides."""


COPY_BYTES: Final = 4096
"""A file of so many bytes is a copy if a segment begins with them, even if few of its lines differ."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Where a look at the active file should take its fingerprints, so that they can be compared.

    Attributes:
        head_length: How many first bytes to cover.
        marker_offset: Where the marker begins; it is `marker_length` bytes long.
        device: Of the known file, like `inode` and `born_ns`.
        sketch: What another file at its path should be compared with.
    """

    head_length: int = 0
    marker_offset: int = 0
    marker_length: int = 0
    device: int = 0
    inode: int = 0
    born_ns: int = 0
    sketch: Sketch = NO_SKETCH


def expectation(segment: Segment | None) -> Expectation:
    """What a look should compare; nothing if nothing was judged yet."""
    if segment is None:
        return Expectation()
    anchor = segment.anchor
    return Expectation(
        anchor.head.length,
        anchor.position - anchor.marker.length,
        anchor.marker.length,
        segment.device,
        segment.inode,
        segment.born_ns,
        segment.sketch,
    )


def expected_at_path(state: TrailState) -> Expectation:
    """What the file at the path should be compared with: the active segment, or, if the next is awaited, the last."""
    if state.active is not None or not state.closed:
        return expectation(state.active)
    return Expectation(sketch=state.closed[-1].sketch)


def expected_neighbours(state: TrailState) -> tuple[tuple[Segment, Expectation], ...]:
    """What an unknown plain neighbour should be compared with: closed segments, which may have another inode now."""
    closed = (s for s in state.closed if not s.packed and not s.vanished and s.anchor.position)
    return tuple((segment, expectation(segment)) for segment in closed)


def expectations(state: TrailState) -> dict[int, Expectation]:
    """What a compressed neighbour should be compared with: every segment that has history, by its number."""
    return {segment.number: expectation(segment) for segment in state.segments if segment.anchor.position}


def is_same_inode(segment: Segment | FileSight, sight: FileSight) -> bool:
    """Whether device and inode are the ones last seen, and not given to another file that was born later."""
    is_as_old = segment.born_ns == sight.born_ns or not (segment.born_ns and sight.born_ns)
    return is_as_old and (segment.device, segment.inode) == (sight.device, sight.inode)


def fault(segment: Segment, sight: FileSight) -> Suspicion | None:
    """The first violation of history that shows this is not the file we judged; None if it is.

    A segment of which nothing was judged has no history that could be violated.
    """
    if segment.anchor.position == 0:
        return None
    kind = _violation(segment, sight)
    if kind is None:
        return None
    return Suspicion(kind, f"{sight.size} bytes found where {segment.anchor.position} had been judged")


def _violation(segment: Segment, sight: FileSight) -> Violation | None:
    if is_same_inode(segment, sight):
        return _in_place(segment, sight)
    if sight.size and sight.overlap is not None and segment.sketch.is_telling:
        return _by_its_lines(segment, sight, sight.overlap)
    if sight.size == 0 or not _is_same_head(segment, sight):
        return Violation.REPLACED
    if sight.size < segment.anchor.position:
        return Violation.ROLLED_BACK
    if _prints(segment, sight)[1] != segment.anchor.marker:
        return Violation.REWRITTEN
    return None


def _in_place(segment: Segment, sight: FileSight) -> Violation | None:
    if sight.size == 0:
        return Violation.EMPTIED
    if sight.size < segment.anchor.position:
        return Violation.TRUNCATED
    is_as_judged = _prints(segment, sight) == (segment.anchor.head, segment.anchor.marker)
    return None if is_as_judged else Violation.REWRITTEN


def _by_its_lines(segment: Segment, sight: FileSight, common: Overlap) -> Violation | None:
    """What another file at the path is, by all that was judged: the same, an earlier state, an edited copy, or new.

    A shared beginning alone is a header.
    """
    is_in_place = common.in_place == common.comparable > 0 and _is_same_head(segment, sight)
    if sight.size < segment.anchor.position:
        if is_in_place:
            return Violation.ROLLED_BACK
    elif is_in_place and _prints(segment, sight)[1] == segment.anchor.marker:
        return None
    return Violation.REWRITTEN if common.late or common.shared > 1 else Violation.REPLACED


def repetition(segment: Segment, sight: FileSight) -> Suspicion | None:
    """The violation, if the next file of a trail repeats what was judged of this one, perhaps edited; no rotation does.

    It repeats a quarter of the sampled lines, and not only from the first half: files of one trail may begin alike.
    """
    common, lines = sight.overlap, len(segment.sketch.hashes)
    if common is None or not segment.sketch.is_telling or not common.late or common.shared * 4 < lines:
        return None
    return Suspicion(Violation.REPLACED, f"{common.shared} of {lines} lines that were sampled before are repeated")


def _is_same_head(segment: Segment, sight: FileSight) -> bool:
    return _prints(segment, sight)[0] == segment.anchor.head


def _prints(segment: Segment, sight: FileSight) -> tuple[Fingerprint | None, Fingerprint | None]:
    """Head and marker of a file where this segment has them."""
    known = sight.prints.get(segment.number)
    if known is not None:
        return known
    return (None, None) if sight.packed else (sight.head, sight.marker)


def rotated_to(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    """The neighbour that is this segment under a new name; if several have its bytes, the one with its inode."""
    others = tuple(others)
    found = [sight for sight in others if _continues(segment, sight)]
    found = found or [sight for sight in others if is_part(segment, sight)]
    return next((sight for sight in found if is_same_inode(segment, sight)), found[0] if found else None)


def _continues(segment: Segment, sight: FileSight) -> bool:
    if segment.anchor.position == 0:
        return is_same_inode(segment, sight)
    return _violation(segment, sight) is None


def known_as(segments: Iterable[Segment], others: Iterable[FileSight], *, by_name: bool = True) -> dict[int, FileSight]:
    """The neighbours that are these closed segments, by number: one for each, perhaps under a later name.

    A file that is still the same one comes first. Else a compressed file that holds all that was judged; of several
    equal ones, the one that was named after the segment. Else a compressed file that holds the beginning of it.

    Args:
        segments: Whose files are sought.
        others: The neighbours.
        by_name: Whether a name may say what bytes do not tell: not while a rotation gives new names.
    """
    segments, others = tuple(segments), list(others)
    found: dict[int, FileSight] = {}
    named = partial(_archive_of_its_name, by_name=by_name)
    for find in (_same_file, _presumed, named, _archive, _unread, partial(_part, by_name=by_name)):
        for segment in segments:
            sight = None if segment.number in found else find(segment, others)
            if sight is not None:
                found[segment.number] = sight
                others.remove(sight)
    return found


def _same_file(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    """A vanished one must return unchanged."""
    return next((sight for sight in others if is_same_inode(segment, sight) and _fits(segment, sight)), None)


def _presumed(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    """A plain file with its size, head and marker, whatever its inode: a reboot may number devices anew.

    Under the same name it may have grown. If nothing of it was judged yet, its name under another device has to do.
    """
    if segment.packed:
        return None
    if segment.anchor.position == 0:
        return next((s for s in others if not segment.vanished and _is_renumbered(segment, s)), None)
    plain = (s for s in others if not s.packed and segment.number in s.prints)
    alike = (s for s in plain if s.size == segment.size or (s.name == segment.name and s.size > segment.size))
    return next((sight for sight in alike if _violation(segment, sight) is None), None)


def _is_renumbered(segment: Segment, sight: FileSight) -> bool:
    """Whether it is a file of the same name, perhaps grown, on what is another device now."""
    is_named = (sight.name, sight.directory) == (segment.name, segment.directory)
    return is_named and sight.device != segment.device and not sight.packed and sight.size >= segment.size


def _archive(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    return next((sight for sight in others if sight.packed and repeats(segment, sight)), None)


def _unread(segment: Segment, others: Iterable[FileSight]) -> FileSight | None:
    """If nothing of it was judged yet, no bytes tell: a compressed file of its size that no other segment is.

    It may have grown before, if there is one such file alone.
    """
    if segment.anchor.position or segment.packed or segment.vanished or not segment.size:
        return None
    packed = [sight for sight in others if sight.packed]
    grown = packed if len(packed) == 1 and packed[0].size > segment.size else []
    return next((sight for sight in packed if sight.size == segment.size), grown[0] if grown else None)


def _part(segment: Segment, others: Iterable[FileSight], *, by_name: bool) -> FileSight | None:
    """An empty one alone: among others that nobody knows, it may as well be the next segment."""
    by_name = by_name and segment.missing_since is None
    found = next((sight for sight in others if is_part(segment, sight, by_name=by_name)), None)
    is_alone = sum(sight.packed > 0 for sight in others) == 1
    return found if found is None or found.size or is_alone else None


def is_part(segment: Segment, sight: FileSight, *, by_name: bool = True) -> bool:
    """Whether a compressed file seems to be what is left of a segment: it holds less than was judged.

    It was its beginning when it was read, or it begins as the segment did; if it is too short for that to be told, it
    bears the segment's name, if names may say so.
    """
    if not sight.packed or sight.size >= segment.anchor.position:
        return False
    if is_beginning(segment, sight):
        return True
    head, known = _prints(segment, sight)[0], segment.anchor.head
    if known.length >= DECISIVE_BYTES and sight.size >= known.length:
        return head == known
    return by_name and uncompressed(sight.name) == uncompressed(segment.name)


def is_plain_copy(segment: Segment, sight: FileSight) -> bool:
    """Whether a plain neighbour is a copy of the active segment; few or repeating lines prove nothing."""
    return not sight.packed and segment.sketch.is_telling and _continues(segment, sight)


def is_back(segment: Segment, sight: FileSight) -> bool:
    """Whether the file at the path is a vanished segment again; a few first bytes prove nothing."""
    return segment.anchor.position >= DECISIVE_BYTES and fault(segment, sight) is None


def is_beginning(segment: Segment, sight: FileSight) -> bool:
    """Whether the content of a compressed file was the beginning of a segment's file, and is enough to tell."""
    return (segment.device, segment.inode) in sight.begins and _is_telling(segment, sight)


def is_copy(segment: Segment, sight: FileSight) -> bool:
    """Whether a compressed file holds nothing but what a segment holds whose file is there.

    Two equal short segments may well be two, unless they have one name.
    """
    is_equal = sight.size <= segment.size and repeats(segment, sight) and _is_telling(segment, sight)
    return is_equal or is_beginning(segment, sight)


def _is_telling(segment: Segment, sight: FileSight) -> bool:
    has_its_name = uncompressed(sight.name) == uncompressed(segment.name)
    return sight.size >= COPY_BYTES or sight.distinct >= FEWEST_LINES or has_its_name


def _archive_of_its_name(segment: Segment, others: Iterable[FileSight], *, by_name: bool) -> FileSight | None:
    """If nothing of it was judged yet, its name has to do: there is no history that it could violate.

    While a rotation gives new names, an empty file may as well be the next one, empty as well.
    """
    name = uncompressed(segment.name)
    named = [sight for sight in others if sight.packed and uncompressed(sight.name) == name]
    if segment.anchor.position:
        return _archive(segment, named)
    is_equal = by_name or segment.size > 0
    return next(
        (s for s in named if (is_equal and s.size == segment.size) or (by_name and s.size > segment.size)), None
    )


def repeats(segment: Segment, sight: FileSight) -> bool:
    """Whether a compressed file holds all that was judged of a segment."""
    return segment.anchor.position > 0 and fault(segment, sight) is None


def _fits(segment: Segment, sight: FileSight) -> bool:
    if segment.packed or sight.packed:
        return segment.packed == sight.packed
    if segment.vanished:
        return sight.size == segment.size
    is_surely_the_same = bool(segment.born_ns and sight.born_ns)  # then it may even be shorter: somebody cut it
    return is_surely_the_same or sight.size >= segment.anchor.position
