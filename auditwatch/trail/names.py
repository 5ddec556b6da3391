"""Names: trail names from paths, names of segments beside the active file, hostile file names made safe to print."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Final

SegmentOrder = tuple[int, int, str, str]
"""A sort key: it puts the segments of a trail in order, from the oldest to the active one."""

COMPRESSED: Final = (".gz", ".zst", ".xz", ".bz2")
"""Endings of compressed segments."""

_STRANGERS: Final = (
    *(".tmp", ".temp", ".part", ".new", ".swp", ".swo", ".swx", "~"),  # still being written, or an editor's own
    *(".bak", ".orig", ".rej"),  # copies that people and tools make of a file that stays
    *(".tar", ".tgz", ".zip"),  # several files in one
)
"""Endings that no rotation gives."""

_NUMBERED, _DATED, _COUNTED, _ACTIVE = range(4)
_OURS = re.compile(r"-(\d{8}T\d{12}Z)-(\d{10})\Z", re.ASCII)
_DATE_OR_COUNT = re.compile(r"[-_.]\d[\w.:+-]*\Z", re.ASCII)
_SHORTEST_DATE: Final = 8
"""Digits of a date (YYYYMMDD); with fewer digits it is a count."""


def trail_name(path: str) -> str:
    """A name for the trail at this path that is fit for a metric label.

    >>> trail_name("/var/log/Audit Trail.jsonl"), trail_name("7.jsonl")
    ('audit_trail', 'trail_7')
    """
    name = re.sub(r"[^a-z0-9_-]", "_", _stem(_file_name(path))[0].lower())
    return name if re.match(r"[a-z]", name) else f"trail_{name.lstrip('_-')}".rstrip("_")


def distinct_names(paths: Iterable[str]) -> list[str]:
    """A name for each path; repeated names get -2, -3 and so on.

    >>> distinct_names(["a/x.jsonl", "b/x.jsonl", "c/x-2.jsonl"])
    ['x', 'x-2', 'x-2-2']
    """
    names: dict[str, None] = {}
    for path in paths:
        names[_untaken(trail_name(path), names)] = None
    return list(names)


def segment_order(active_name: str, candidate: str) -> SegmentOrder | None:
    """The place of a file among the segments of a trail; None if it is not one of them.

    Args:
        active_name: Name of the active file, without its directory.
        candidate: Name of a file in the same directory.

    >>> names = ["a.jsonl", "a.jsonl.1", "a.jsonl.2.gz", "a-20250101.jsonl", "b.jsonl"]
    >>> sorted((n for n in names if segment_order("a.jsonl", n)), key=lambda n: segment_order("a.jsonl", n))
    ['a-20250101.jsonl', 'a.jsonl.2.gz', 'a.jsonl.1', 'a.jsonl']
    """
    if candidate == active_name:
        return _ACTIVE, 0, "", candidate
    mark = None if is_unfinished(candidate) else _mark(active_name, uncompressed(candidate))
    return None if mark is None else _order_of(mark, candidate)


def segments_among(active_name: str, candidates: Iterable[str]) -> list[str]:
    """Those names that are names of closed segments, quickly: a directory may hold thousands of other files.

    >>> segments_among("a.jsonl", ["a.jsonl", "a.jsonl.1", "a-20250101.jsonl", "ab.jsonl", "b.jsonl.1"])
    ['a.jsonl.1', 'a-20250101.jsonl']
    """
    stem, _ = _stem(active_name)
    alike = (name for name in candidates if name.startswith(stem) and name != active_name)
    return [name for name in alike if segment_order(active_name, name)]


def is_unfinished(name: str) -> bool:
    """Whether no segment has such a name: it is a file in the making, an editor's, a backup, or an archive of several.

    >>> is_unfinished("a.jsonl.1.gz.tmp"), is_unfinished("a.jsonl.1.gz")
    (True, False)
    """
    return uncompressed(name).endswith(_STRANGERS)


def segment_name(active_name: str, closed: str, number: int) -> str:
    """The name that our writer gives a closed segment.

    Args:
        active_name: Name of the active file, without its directory.
        closed: When the segment was closed, in UTC: `YYYYMMDDTHHMMSSffffffZ`.
        number: Number of the segment, from 1.

    >>> segment_name("audit.jsonl", "20251007T000000000001Z", 7)
    'audit-20251007T000000000001Z-0000000007.jsonl'
    """
    stem, extension = _stem(active_name)
    return f"{stem}-{closed}-{number:010}{extension}"


def segment_number(name: str) -> int | None:
    """The number that our writer gave a closed segment, whether since compressed or not; None for other names.

    >>> segment_number("a-20260101T000000000000Z-0000000007.jsonl.gz"), segment_number("a.jsonl.1")
    (7, None)
    """
    ours = _OURS.search(_stem(uncompressed(name))[0])
    return int(ours[2]) if ours else None


def uncompressed(name: str) -> str:
    """The name without the endings of compressed files.

    >>> uncompressed("a.jsonl.1.gz")
    'a.jsonl.1'
    """
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name


def printable(name: str) -> str:
    r"""A file name made safe for a terminal or a log line: control characters and undecodable bytes are escaped.

    >>> print(printable("a\x1b[2J\udcff\n"))
    a\x1b[2J\xff\x0a
    """
    return "".join(char if char.isprintable() else _escaped(char) for char in name)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        code -= 0xDC00
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def _file_name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _stem(name: str) -> tuple[str, str]:
    """The name without its extension, and the extension with its dot; a leading dot does not begin an extension."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem else (name, "")


def _untaken(name: str, taken: Container[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def _mark(active_name: str, plain: str) -> str | None:
    """What distinguishes a closed segment's name from the active file's; None if it is not a segment's name."""
    is_backup = plain.endswith(".backup")
    plain = plain.removesuffix(".backup")
    stem, extension = _stem(active_name)
    mark = _between(plain, active_name, "")
    if mark is None:
        mark = _between(plain, stem, extension)
    if mark is None and is_backup:
        mark = _between(plain, stem, "")
    if mark == "":
        return mark if is_backup else None
    return mark if mark is not None and _DATE_OR_COUNT.match(mark) else None


def _between(name: str, start: str, end: str) -> str | None:
    if len(name) < len(start) + len(end) or not (name.startswith(start) and name.endswith(end)):
        return None
    return name[len(start) : len(name) - len(end)]


def _order_of(mark: str, candidate: str) -> SegmentOrder:
    ours = _OURS.match(mark)
    if ours:
        return _NUMBERED, int(ours[2]), ours[1], candidate
    digits = re.sub(r"\D", "", mark)
    if len(digits) >= _SHORTEST_DATE:
        return _DATED, 0, digits, candidate
    count = int(digits or "0")
    return _COUNTED, -count if mark.startswith(".") else count, "", candidate
