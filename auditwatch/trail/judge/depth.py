"""How deeply a line nests: exactly, byte by byte, or quickly for lines that are known to parse."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from itertools import accumulate, count
from operator import sub
from typing import Final

from auditwatch.trail.judge.native import NATIVE
from auditwatch.trail.limits import MAX_DEPTH

SHORTEST_TOO_DEEP: Final = 2 * (MAX_DEPTH + 1)
"""A line that parses needs this many bytes to open and close one level too many."""

_SHORTEST_OF_OBJECTS: Final = 5 * MAX_DEPTH + 2
"""The same for a line with objects only: `{"":` and `}` for each, but `{}` for the innermost."""

STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+("?)', re.DOTALL)
"""A string; its group is empty if the line ends before the string does."""

_OUTSIDE = re.compile(rb'(?:[^"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")+', re.DOTALL)
_PLAIN_STRING = re.compile(rb'"[^"]*+"')
_NO_BRACKET = bytes(set(range(256)) - set(b"{}[]"))
_NO_STRUCTURE = bytes(set(range(256)) - set(b'{}[]"'))
_NO_OPENER = bytes(set(range(256)) - set(b"{[\n"))
_STEPS = bytes.maketrans(b"{[}]", b"\x02\x02\x00\x00")
_WINDOW_BYTES: Final = 1 << 16
_PASSES: Final = 8
_LONG: Final = 1 << 14


def too_deep(line: bytes) -> bool:
    """Whether a line, parsing or not, nests deeper than `MAX_DEPTH` outside strings."""
    if line.count(b"{") + line.count(b"[") <= MAX_DEPTH:
        return False
    if NATIVE is not None:
        return NATIVE.levels(line)[0] > MAX_DEPTH
    levels = levels_of(line)
    floor = accumulate(levels, min, initial=0)
    next(floor)
    return max(map(sub, levels, floor), default=0) > MAX_DEPTH


def is_unbalanced(line: bytes) -> bool:
    r"""Whether a line ends within a string, or does not close exactly what it opens.

    >>> is_unbalanced(b'{"a":['), is_unbalanced(b'{"a":"]"}')
    (True, False)
    """
    if NATIVE is not None:
        _, is_balanced, is_open = NATIVE.levels(line)
        return is_open or not is_balanced
    if any(not string[1] for string in STRING.finditer(line)):
        return True
    levels = levels_of(line)
    return bool(levels) and (levels[-1] != 0 or min(levels) < 0)


def shortest_too_deep(text: bytes) -> int:
    """How many bytes a line of this text needs to be too deep, if it parses."""
    return SHORTEST_TOO_DEEP if b"[" in text else _SHORTEST_OF_OBJECTS


def may_be_too_deep(lines: list[bytes]) -> Iterator[int]:
    """Indexes of lines that need a closer look with `too_deep`; the others are fine if they parse."""
    text = b"\n".join(lines)
    if len(text) > _LONG * len(lines):  # long lines have many brackets anyway: counting them first does not help
        yield from (index for index, line in enumerate(lines) if not _is_flat(line))
        return
    openers = text.translate(None, _NO_OPENER).split(b"\n")
    if max(map(len, openers)) > MAX_DEPTH:
        yield from (
            index for index, found in enumerate(openers) if len(found) > MAX_DEPTH and not _is_flat(lines[index])
        )


def levels_of(line: bytes) -> array[int]:
    """The level of nesting after each bracket outside strings; below 0 where more were closed than opened."""
    steps = b"".join(_brackets_outside(line)).translate(_STEPS)
    return array("l", map(sub, accumulate(steps), count(1)))


def _is_flat(line: bytes) -> bool:
    """Whether a line that parses stays within `MAX_DEPTH`, as far as a few quick passes can tell.

    First everything except brackets and quotes is removed, then strings, then pairs of brackets. Each pass removes two
    levels at most, and the rest cannot have more levels than opening brackets.
    """
    if b"\\" in line:
        line = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = line.translate(None, _NO_STRUCTURE)
    for quotes in (b'""""""""', b'""'):  # an even number of adjacent quotes: the rest stays inside or outside strings
        left = left.replace(quotes, b"")
    left = _PLAIN_STRING.sub(b"", left)
    for passed in range(_PASSES):
        if left.count(b"{") + left.count(b"[") + 2 * passed <= MAX_DEPTH:
            return True
        left = left.replace(b"{}", b"").replace(b"[]", b"")
    return False


def _brackets_outside(line: bytes) -> Iterator[bytes]:
    """The brackets outside strings, a window at a time: removing all strings at once takes 40 times their memory."""
    at = 0
    while at < len(line):
        window = _OUTSIDE.match(line, at, at + _WINDOW_BYTES) or STRING.match(line, at)
        end = window.end() if window else at + 1
        yield STRING.sub(b"", line[at:end]).translate(None, _NO_BRACKET)
        at = end
