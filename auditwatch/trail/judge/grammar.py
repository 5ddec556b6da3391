"""Where a JSON text ends or first goes wrong, found byte by byte, without recursion and in linear time.

Native code reads values where it was built; the walker here says the same, and also reads what nests more deeply.

Only lines that already failed come here, so this is written for exactness: the verdict must not depend on how deep
the caller's stack is, or on what a fast parser happens to leave unchecked. UTF-8 is not checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from auditwatch.trail.judge.native import NATIVE

# Python before 3.11.5 mishandles possessive groups that contain alternatives (cpython issue 106052), so none are used;
# nothing below can fail once it has begun, so there is no backtracking either.
_BLANK = re.compile(rb"[ \t\n\r]*+")
_TEXT = re.compile(rb'"[^"\\\x00-\x1f]*+')
_ESCAPES = re.compile(rb'(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+){0,1000}')
_CUT_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_CUT_NUMBER = re.compile(rb"-?(?:(?:0|[1-9][0-9]*+)(?:\.(?:[0-9]++(?:[eE][+-]?[0-9]*+)?)?|[eE][+-]?[0-9]*+)?)?")

# What records mostly consist of, many pieces in one match; whatever this refuses, an error included, is read byte by
# byte below. A piece must be followed by something that may follow a value, so that a cut number does not pass for a
# shorter one. The counts limit how much the matcher has to remember.
_BLANKS = r"[ \t\n\r]*+"
_PLAIN_STRING = r"""\"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+){0,64}\""""
_PLAIN = rf"(?:{_PLAIN_STRING}|{_NUMBER.pattern.decode()}|true|false|null)(?=[ \t\n\r,}}\]])"
_KEY = rf"{_BLANKS}{_PLAIN_STRING}{_BLANKS}:{_BLANKS}"
_OPENED = re.compile(rf"\{{{_KEY}".encode())
_NEXT_KEY = re.compile(rf",{_KEY}".encode())
_MEMBERS = re.compile(rf"(?:{_BLANKS},{_KEY}{_PLAIN}){{0,64}}".encode())
_ITEMS = re.compile(rf"(?:{_BLANKS},{_BLANKS}{_PLAIN}){{0,64}}".encode())
_WORDS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_QUOTE, _COLON, _COMMA = b'":,'
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_ARRAY, _CLOSE_ARRAY = b"{}[]"


class GrammarError(Exception):
    """The text cannot continue like this.

    Attributes:
        at: The first byte that cannot stand there in any JSON text; the length of the text if it ends too early.
    """

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


@dataclass(frozen=True, slots=True)
class Walk:
    """One JSON value read from a text.

    Attributes:
        start: Offset of its first byte.
        end: Offset just after its last byte; None if it does not end.
        error: Offset of the first error, in the value or, if the whole text was read, after it; None if there is none.
    """

    start: int
    end: int | None
    error: int | None


@lru_cache(2)  # a damaged line is walked for its kind, and right after that for the records inside it
def walk_value(text: bytes, start: int = 0) -> Walk:
    """Read one value that begins at `start` or after white space there; what follows the value is ignored.

    >>> walk_value(b'{"a":1}{').end
    7
    >>> walk_value(b'{"a":12{').error
    7
    """
    if NATIVE is not None and (read := NATIVE.value(text, start)) is not None:
        first, end, is_whole = read
        return Walk(first, end, None) if is_whole else Walk(first, None, end)
    first = skip_blank(text, start)
    try:
        return Walk(first, _Walker(text).value_end(first), None)
    except GrammarError as error:
        return Walk(first, None, error.at)


def walk_text(text: bytes) -> Walk:
    """Read a text that should be a single value.

    >>> walk_text(b'{"a":1} {').error
    8
    >>> walk_text(b"[1]").error is None
    True
    """
    walk = walk_value(text, 0)
    if walk.end is None:
        return walk
    rest = skip_blank(text, walk.end)
    return walk if rest == len(text) else Walk(walk.start, walk.end, rest)


def skip_blank(text: bytes, at: int) -> int:
    """The offset of the first byte at or after `at` that is not JSON white space."""
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]  # always matches, even if nothing is there


def members(text: bytes) -> dict[bytes, bytes]:
    """The members of a text known to be one object, as raw bytes; for a repeated key, the last value.

    Keys include their quotes. They are in the order of those last values, because keys that differ only in their
    escapes are the same key.

    >>> members(b'{"a": 1, "b": [2, 3], "a": "x"}')
    {b'"b"': b'[2, 3]', b'"a"': b'"x"'}
    """
    walker, at = _Walker(text), skip_blank(text, skip_blank(text, 0) + 1)
    found: dict[bytes, bytes] = {}
    while text[at] != _CLOSE_OBJECT:
        key_end = walker.string_end(at)
        value = skip_blank(text, skip_blank(text, key_end) + 1)
        value_end = walker.value_end(value)
        key = text[at:key_end]
        found.pop(key, None)
        found[key] = text[value:value_end]
        at = skip_blank(text, value_end)
        at = skip_blank(text, at + 1) if text[at] == _COMMA else at
    return found


class _Walker:
    """Reads values of one text; keeps the open brackets in a list instead of on the call stack."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._open: list[int] = []

    def value_end(self, at: int) -> int:
        """The offset just after the value that begins at `at`."""
        self._open.clear()
        at = self._begun(at)
        while self._open:
            at = skip_blank(self._text, self._after_plain(at))
            at = self._after_value(at)
        return at

    def string_end(self, at: int) -> int:
        """The offset just after the string that begins at `at`."""
        text = _TEXT.match(self._text, at)
        if text is None:
            raise GrammarError(at)
        end = self._escapes_end(text.end())
        if self._byte(end) == _QUOTE:
            return end + 1
        cut = _CUT_ESCAPE.match(self._text, end)
        raise GrammarError(cut.end() if cut else end)

    def _after_plain(self, at: int) -> int:
        """The offset after all strings, numbers and words that follow a value in the innermost open bracket."""
        run = _MEMBERS if self._open[-1] == _CLOSE_OBJECT else _ITEMS
        while (plain := run.match(self._text, at)) is not None and plain.end() > at:
            at = plain.end()
        return at

    def _escapes_end(self, at: int) -> int:
        """The offset after all escapes and the text between them; in steps, because a match remembers each escape."""
        while (escapes := _ESCAPES.match(self._text, at)) is not None and escapes.end() > at:
            at = escapes.end()
        return at

    def _byte(self, at: int) -> int:
        return self._text[at] if at < len(self._text) else -1

    def _begun(self, at: int) -> int:
        """The offset after the scalar that begins at `at`, or after the innermost first scalar or empty bracket."""
        while True:
            byte = self._byte(at)
            if byte == _OPEN_OBJECT:
                at, done = self._object_begun(at + 1)
            elif byte == _OPEN_ARRAY:
                at, done = self._array_begun(at + 1)
            else:
                return self._scalar_end(at, byte)
            if done:
                return at

    def _object_begun(self, at: int) -> tuple[int, bool]:
        opened = _OPENED.match(self._text, at - 1)
        if opened is not None:
            self._open.append(_CLOSE_OBJECT)
            return opened.end(), False
        at = skip_blank(self._text, at)
        if self._byte(at) == _CLOSE_OBJECT:
            return at + 1, True
        self._open.append(_CLOSE_OBJECT)
        return self._key_read(at), False

    def _array_begun(self, at: int) -> tuple[int, bool]:
        at = skip_blank(self._text, at)
        if self._byte(at) == _CLOSE_ARRAY:
            return at + 1, True
        self._open.append(_CLOSE_ARRAY)
        return at, False

    def _key_read(self, at: int) -> int:
        at = skip_blank(self._text, self.string_end(at))
        if self._byte(at) != _COLON:
            raise GrammarError(at)
        return skip_blank(self._text, at + 1)

    def _after_value(self, at: int) -> int:
        byte = self._byte(at)
        if byte == self._open[-1]:
            self._open.pop()
            return at + 1
        if byte != _COMMA:
            raise GrammarError(at)
        return self._begun(self._next_value(at))

    def _next_value(self, comma: int) -> int:
        """Where the value after a comma begins; in an object, its key is read first."""
        if self._open[-1] == _CLOSE_ARRAY:
            return skip_blank(self._text, comma + 1)
        key = _NEXT_KEY.match(self._text, comma)
        return key.end() if key else self._key_read(skip_blank(self._text, comma + 1))

    def _scalar_end(self, at: int, byte: int) -> int:
        if byte == _QUOTE:
            return self.string_end(at)
        if byte in _WORDS:
            return self._word_end(at, _WORDS[byte])
        return self._number_end(at)

    def _word_end(self, at: int, word: bytes) -> int:
        for index, byte in enumerate(word):
            if self._byte(at + index) != byte:
                raise GrammarError(at + index)
        return at + len(word)

    def _number_end(self, at: int) -> int:
        match = _NUMBER.match(self._text, at)
        cut = _CUT_NUMBER.match(self._text, at)
        reach = cut.end() if cut else at
        if match is None or match.end() < reach:
            raise GrammarError(reach)
        return match.end()
