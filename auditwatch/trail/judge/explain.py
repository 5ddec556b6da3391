"""Why a line is not whole; only lines that the fast path refused come here.

Every step is linear in the length of the line, no step recurses, and the result depends on the line and the rules only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import msgspec

from auditwatch.trail.judge.depth import STRING, is_unbalanced, too_deep
from auditwatch.trail.judge.field_types import lacks_required
from auditwatch.trail.judge.grammar import Walk, skip_blank, walk_text, walk_value
from auditwatch.trail.judge.json_schema import violates
from auditwatch.trail.judge.native import NATIVE
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import Rules

MAX_TRIES: Final = 64
"""Most places in one damaged line at which a whole record is searched for."""

_decode = msgspec.json.Decoder(msgspec.Raw).decode
_LAST_IN_GLUED = b"{ \t\r"
_MARK = b"\xef\xbb\xbf"
_OBJECT = ord("{")
_HEAD = re.compile(rb'\{[ \t\n\r]*+"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"[ \t\n\r]*+:', re.DOTALL)
_KEYS = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")([ \t\n\r]*+:)?', re.DOTALL)
_KEYS_AND_BRACES = re.compile(_KEYS.pattern + rb"|([{}])", re.DOTALL)
_NULS = re.compile(rb"\x00++")
_WALKED_LINES = 8
"""Bytes walked through in one damaged line at most, as a multiple of its length, so that the work stays linear."""


def explain(line: bytes, rules: Rules) -> Kind | None:
    r"""What is wrong with a line; None if it is whole.

    >>> explain(b'{"a":1}{"b":2}', Rules())
    <Kind.CONCATENATED: 'concatenated'>
    >>> explain(b'{"a":"\\ud800"}', Rules()) is None
    True
    """
    if len(line) > rules.max_line_bytes:
        return Kind.OVERSIZE
    if not line.startswith(_MARK):
        return _explain_unmarked(line, rules)
    kind = _explain_unmarked(_without_marks(line), rules)
    return Kind.BYTE_ORDER_MARK if kind is None else kind


def records_inside(line: bytes) -> int:
    """How many whole objects a damaged line still contains, as far as its bytes alone can tell.

    They are searched for at its start, after another object or NUL bytes, and at record heads where no object can be.

    >>> records_inside(b'{"a":"x{"b":1}{"c":2}')
    2
    """
    line = _without_marks(line)
    if _decodes(line):
        return int(line[skip_blank(line, 0)] == _OBJECT and is_utf8(line))
    return sum(walk.end is not None and is_utf8(line[walk.start : walk.end]) for walk in _tries(line))


def is_utf8(data: bytes) -> bool:
    """Whether these bytes are UTF-8; surrogates and overlong forms are refused."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_duplicate_key(line: bytes) -> bool:
    r"""Whether any object in a line that parses has the same key twice, after decoding escapes.

    >>> has_duplicate_key(b'{"a":1,"b":{"a":2}}'), has_duplicate_key(b'{"a":1,"\\u0061":2}')
    (False, True)
    """
    return may_repeat_key(line) and _repeats_in_one_object(line)


def may_repeat_key(line: bytes) -> bool:
    """Whether a closer look for repeated keys is needed: this quick one may say yes wrongly, but never no."""
    keys = [text for text, colon in _KEYS.findall(line) if colon]
    return len(set(keys)) < len(keys) or any(b"\\" in key for key in keys)


def _repeats_in_one_object(line: bytes) -> bool:
    objects: list[set[str]] = []
    for text, colon, brace in _KEYS_AND_BRACES.findall(line):
        if brace == b"{":
            objects.append(set())
        elif brace:
            objects.pop()
        elif colon:
            key = json.loads(text)
            if key in objects[-1]:
                return True
            objects[-1].add(key)
    return False


def _without_marks(line: bytes) -> bytes:
    at = 0
    while line.startswith(_MARK, at):
        at += len(_MARK)
    return line[at:] if at else line


def _explain_unmarked(line: bytes, rules: Rules) -> Kind | None:
    if skip_blank(line, 0) == len(line):
        return Kind.BLANK
    if b"\x00" in line:
        return Kind.NUL_BYTES
    if too_deep(line):
        return Kind.TOO_DEEP
    utf8 = is_utf8(line)
    if utf8 and _decodes(line):
        return _explain_parsed(line, rules)
    walk = walk_text(line)
    if utf8 and walk.error is None:
        return _explain_parsed(line, rules)
    return _explain_broken(line, walk, utf8)


def _decodes(line: bytes | memoryview) -> bool:
    """Whether the decoder accepts the line. Yes is final and saves the walk; no may be a limit of the decoder.

    A native walk needs no saving.
    """
    if NATIVE is not None:
        return False
    try:
        _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def _explain_parsed(line: bytes, rules: Rules) -> Kind | None:
    if line[skip_blank(line, 0)] != _OBJECT:
        return Kind.NOT_OBJECT
    if rules.require and lacks_required(line, rules.require):
        return Kind.SCHEMA
    if rules.schema and violates(line, rules.schema):
        return Kind.SCHEMA
    if rules.strict and has_duplicate_key(line):
        return Kind.DUPLICATE_KEY
    return None


def _explain_broken(line: bytes, walk: Walk, utf8: bool) -> Kind:
    if utf8 and walk.end is not None and _is_concatenated(line, walk.start):
        return Kind.CONCATENATED
    if walk.error is not None and _misplaced_head(line, walk.start, walk.error) is not None:
        return Kind.INTERLEAVED
    if is_unbalanced(line):
        return Kind.TORN
    return Kind.INVALID_JSON if utf8 else Kind.INVALID_UTF8


def _is_concatenated(line: bytes, at: int) -> bool:
    """Whether the line is whole objects end to end from here on; the caller knows that it is not just one."""
    while at < len(line):
        if line[at] != _OBJECT:
            return False
        end = walk_value(line, at).end
        if end is None:
            return False
        at = skip_blank(line, end)
    return True


@lru_cache(1)
def _misplaced_head(line: bytes, start: int, error: int) -> int | None:
    """Where a record begins that cannot begin there: at the first error, or in a string that begins before it."""
    if NATIVE is not None:
        return NATIVE.head(line, start, error)
    for string in STRING.finditer(line, start):
        if string.start() >= error:
            break
        if line[string.end() - 2] not in _LAST_IN_GLUED:
            continue
        brace = _brace_at_end(line, string)
        if brace is not None and _HEAD.match(line, brace):
            return brace
    return error if _HEAD.match(line, error) else None


def _brace_at_end(line: bytes, string: re.Match[bytes]) -> int | None:
    """The brace that ends a string, white space aside: the quote after it may open the first key of a glued record."""
    if not string[1]:
        return None
    at = string.end() - 2
    while line[at] in b" \t\r":
        at -= 1
    return at if line[at] == _OBJECT else None


def _tries(line: bytes) -> Iterator[Walk]:
    """The values read at each place where a whole record may begin, from left to right."""
    at: int | None = 0
    left = _WALKED_LINES * len(line)
    for _ in range(MAX_TRIES):
        if at is None or left < 0:
            return
        walk = _rest(line, at) or walk_value(line, at)
        left -= _reach(walk) - at
        if walk.start < len(line) and line[walk.start] == _OBJECT:
            yield walk
        at = _next_try(line, at, walk)


def _rest(line: bytes, at: int) -> Walk | None:
    """A quick walk over the rest of the line if it is a single value, as it mostly is after a lost newline."""
    return Walk(skip_blank(line, at), len(line), None) if at and _decodes(memoryview(line)[at:]) else None


def _reach(walk: Walk) -> int:
    return walk.end or walk.error or walk.start


def _next_try(line: bytes, at: int, walk: Walk) -> int | None:
    if walk.end is not None and walk.end < len(line):
        return _after_nuls(line, walk.end) or walk.end
    if walk.error is None:
        return None
    head = _misplaced_head(line, walk.start, walk.error)
    if head is not None and head > at:
        return head
    nul = line.find(b"\x00", at)
    return _after_nuls(line, nul) if nul >= 0 else None


def _after_nuls(line: bytes, at: int) -> int | None:
    nuls = _NULS.match(line, skip_blank(line, at))
    return nuls.end() if nuls else None
