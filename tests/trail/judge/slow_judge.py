"""The kinds once more, written from the table of the specification and from nothing else: slow, plain, byte by byte.

It shares no code with `auditwatch.trail`, so that the two can be held against each other. The rules are the default
ones, and `max_line_bytes`, `strict` and `require` where given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from tests.trail.judge.slow_fields import slow_lacks

BLANK = b" \t\n\r"
MAX_DEPTH = 512
HEX = b"0123456789abcdefABCDEF"
NOTHING: Mapping[str, str] = MappingProxyType({})


def slow_kind(
    line: bytes, max_line_bytes: int = 1 << 20, *, strict: bool = False, require: Mapping[str, str] = NOTHING
) -> str | None:
    """The kind of a line, given without its newline; None if it is whole."""
    if len(line) > max_line_bytes:
        return "oversize"
    if line.startswith(b"\xef\xbb\xbf"):
        rest = slow_kind(line[3:], max_line_bytes, strict=strict, require=require)
        return "byte_order_mark" if rest is None else rest
    if not line.strip(BLANK):
        return "blank"
    if 0 in line:
        return "nul_bytes"
    levels, open_string, strings = lexed(line)
    if deepest(levels) > MAX_DEPTH:
        return "too_deep"
    _, error = read(line, 0)
    utf8 = is_utf8(line)
    if utf8 and error is None:
        return kind_of_parsed(line, strict=strict, require=require)
    if utf8 and is_concatenated(line):
        return "concatenated"
    if has_misplaced_head(line, strings, len(line) if error is None else error):
        return "interleaved"
    if open_string or (levels and (levels[-1] != 0 or min(levels) < 0)):
        return "torn"
    return "invalid_json" if utf8 else "invalid_utf8"


def kind_of_parsed(line: bytes, *, strict: bool, require: Mapping[str, str]) -> str | None:
    """The kind of a line that is one JSON text."""
    repeated = False

    def pairs(members: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in members}) < len(members)
        return dict(members)

    value = json.loads(line, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    if not isinstance(value, dict):
        return "not_object"
    if require and slow_lacks(line, require):
        return "schema"
    return "duplicate_key" if strict and repeated else None


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def lexed(line: bytes) -> tuple[list[int], bool, list[tuple[int, int]]]:
    """Levels after each bracket outside strings; whether a string is open at the end; where each string lies."""
    levels, level, at, begun = [], 0, 0, -1
    strings = []
    while at < len(line):
        byte = line[at : at + 1]
        if begun >= 0:
            if byte == b"\\":
                at += 1
            elif byte == b'"':
                strings.append((begun, at))
                begun = -1
        elif byte == b'"':
            begun = at + 1
        elif byte in b"[{":
            level += 1
            levels.append(level)
        elif byte in b"]}":
            level -= 1
            levels.append(level)
        at += 1
    if begun >= 0:
        strings.append((begun, len(line)))
    return levels, begun >= 0, strings


def deepest(levels: list[int]) -> int:
    """Most levels open at once; what is closed without having been opened closes nothing."""
    depth = most = before = 0
    for level in levels:
        depth = max(0, depth + level - before)
        before, most = level, max(most, depth)
    return most


def is_concatenated(line: bytes) -> bool:
    """Whether these are two or more whole objects, end to end."""
    at, objects = 0, 0
    while at < len(line):
        while at < len(line) and line[at] in BLANK:
            at += 1
        if at == len(line):
            break
        end, _ = read(line, at)
        if line[at : at + 1] != b"{" or end is None:
            return False
        at, objects = end, objects + 1
    return objects > 1


def has_misplaced_head(line: bytes, strings: list[tuple[int, int]], error: int) -> bool:
    """Whether a record head stands at the first error, or in a string that begins before it."""
    if is_head(line, error):
        return True
    for first, last in strings:
        if first - 1 >= error:
            return False
        if any(is_head(line, at) for at in range(first, last)):  # after a backslash too: an escape may have been cut
            return True
    return False


def is_head(line: bytes, at: int) -> bool:
    """`{`, a key in quotes, and `:` begin here, with nothing but white space between them."""
    if line[at : at + 1] != b"{":
        return False
    at = behind_blank(line, at + 1)
    if line[at : at + 1] != b'"':
        return False
    at += 1
    while line[at : at + 1] != b'"':
        if at >= len(line) or line[at] < 0x20:
            return False
        at += 2 if line[at : at + 1] == b"\\" else 1
    return line[behind_blank(line, at + 1) :][:1] == b":"


def behind_blank(line: bytes, at: int) -> int:
    while at < len(line) and line[at] in BLANK:
        at += 1
    return at


# The grammar of RFC 8259 as a table of states: which bytes may come, and which state each leads to. Bytes from 0x80 on
# may stand in strings; whether they are UTF-8 is another question.
DIGITS = b"0123456789"
TABLE: dict[str, list[tuple[bytes, str]]] = {
    "minus": [(b"0", "zero"), (b"123456789", "integer")],
    "zero": [(b".", "point"), (b"eE", "exponent")],
    "integer": [(DIGITS, "integer"), (b".", "point"), (b"eE", "exponent")],
    "point": [(DIGITS, "fraction")],
    "fraction": [(DIGITS, "fraction"), (b"eE", "exponent")],
    "exponent": [(b"+-", "sign"), (DIGITS, "power")],
    "sign": [(DIGITS, "power")],
    "power": [(DIGITS, "power")],
    "escape": [(b'"\\/bfnrt', "string"), (b"u", "hex4")],
    "hex4": [(HEX, "hex3")],
    "hex3": [(HEX, "hex2")],
    "hex2": [(HEX, "hex1")],
    "hex1": [(HEX, "string")],
    "string": [
        (b'"', "done"),
        (b"\\", "escape"),
        (bytes(set(range(0x20, 0x100)) - set(b'"\\')), "string"),
    ],
    **{
        word[at:]: [(word[at : at + 1].encode(), word[at + 1 :] or "done")]
        for word in ("true", "false", "null")
        for at in range(len(word))
    },
}
NUMBERS_MAY_END = {"zero", "integer", "fraction", "power"}
VALUES = [
    (b'"', "string"),
    (b"-", "minus"),
    (b"0", "zero"),
    (b"123456789", "integer"),
    (b"t", "rue"),
    (b"f", "alse"),
    (b"n", "ull"),
    (b"{", "{"),
    (b"[", "["),
]


def read(text: bytes, start: int) -> tuple[int | None, int | None]:
    """Where the first value from `start` on ends, and the first byte that no JSON text can have; None if nowhere."""
    opened: list[str] = []
    state, end = "value", None
    for at in range(start, len(text)):
        byte = text[at : at + 1]
        if state in NUMBERS_MAY_END and step(TABLE[state], byte) is None:
            state = "done"
            if not opened:
                end = at
        if state in TABLE:
            following = step(TABLE[state], byte)
            if following is None:
                return end, at
            state = following
            if state == "done" and opened and opened[-1] == "key":
                opened.pop()
                state = "colon"
            elif state == "done" and not opened:
                end = at + 1
        elif byte not in BLANK:
            following = structure(state, byte, opened)
            if following is None:
                return end, at
            state = following
            if state == "done" and not opened and byte in b"]}":
                end = at + 1
    if state in NUMBERS_MAY_END and not opened:
        return len(text), None
    return (end, None) if state == "done" and not opened else (end, len(text))


def step(row: list[tuple[bytes, str]], byte: bytes) -> str | None:
    return next((state for allowed, state in row if byte in allowed), None)


def structure(state: str, byte: bytes, opened: list[str]) -> str | None:
    """The next state between values, strings and numbers; `opened` is the stack of open brackets, and of a key."""
    if state == "colon":
        return "value" if byte == b":" else None
    if state in {"key or }", "key"}:
        if byte == b'"':
            opened.append("key")
            return "string"
        return closed(opened) if byte == b"}" and state == "key or }" else None
    if state == "done":
        if not opened:
            return None
        if byte == b",":
            return "key" if opened[-1] == "{" else "value"
        return closed(opened) if byte == (b"}" if opened[-1] == "{" else b"]") else None
    if byte == b"]" and state == "value or ]":
        return closed(opened)
    begun = step(VALUES, byte)
    if begun in {"{", "["}:
        opened.append(begun)
        return "key or }" if begun == "{" else "value or ]"
    return begun


def closed(opened: list[str]) -> str:
    opened.pop()
    return "done"
