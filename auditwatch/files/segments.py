"""Where the segments of a trail are: beside it, where patterns say, and where earlier ones went."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditwatch.trail.names import is_unfinished, segments_among

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """The files that may be closed segments of a trail.

    Attributes:
        found: Directory and name of each; the directory is empty beside the trail.
        unlisted: Directories that are there and could not be listed: what is in them is not known.
    """

    found: tuple[tuple[str, str], ...]
    unlisted: tuple[str, ...] = ()


def segment_files(path: str, patterns: Iterable[str] = (), directories: Iterable[str] = ()) -> SegmentFiles:
    """The files that are named like closed segments, beside the trail or elsewhere; each once.

    Args:
        path: Path of the active file, which need not exist.
        patterns: Absolute, with wildcards as the shell has them; what they match needs no particular name. Symbolic
            links to directories are only followed where a pattern has no wildcard.
        directories: Further ones to look in for names.
    """
    own, active = os.path.split(path)
    found: dict[tuple[str, str], None] = {}
    unlisted = []
    for directory in dict.fromkeys(("", *directories)):
        try:
            names = os.listdir(directory or own or ".")
        except FileNotFoundError:
            continue
        except OSError:
            unlisted.append(directory)
            continue
        found |= dict.fromkeys((directory, name) for name in segments_among(active, names))
    for match in (match for pattern in patterns for match in matching(pattern)):
        directory, name = os.path.split(match)
        if match != path and not is_unfinished(name):
            found[("" if directory == own else directory), name] = None
    return SegmentFiles(tuple(found), tuple(unlisted))


def matching(pattern: str) -> Iterator[str]:
    """The paths that match an absolute pattern, without those of hidden files unless it names them as hidden.

    A directory that cannot be listed matches nothing.
    """
    first, *rest = pattern.strip("/").split("/")
    yield from _below("/", first, rest)


def _below(directory: str, part: str, rest: list[str]) -> Iterator[str]:
    for name in _names(directory, part, is_last=not rest):
        path = os.path.join(directory, name)
        if rest:
            yield from _below(path, rest[0], rest[1:])
        else:
            yield path


def _names(directory: str, part: str, *, is_last: bool) -> list[str]:
    if not _WILD & set(part):
        return [part]
    try:
        with os.scandir(directory) as entries:
            wanted = [entry for entry in entries if _is_match(entry.name, part)]
            return sorted(entry.name for entry in wanted if is_last or entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _is_match(name: str, part: str) -> bool:
    return fnmatch.fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))
