"""What holds for all bytes. Each target takes any bytes and fails if its promise does not hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

from auditwatch.salvage.dissect import Inside, dissect
from auditwatch.salvage.habits import Habits
from auditwatch.salvage.readings import salvage, survey
from auditwatch.salvage.results import Leftover, RecoveredRecord
from auditwatch.trail.judge.explain import MAX_TRIES, records_inside
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.judge.native import NATIVE, NativeSieve
from auditwatch.trail.judge.pure import PureSieve
from auditwatch.trail.judge.sieve import Sieve
from auditwatch.trail.report import Report, merge
from auditwatch.trail.rules import FieldType, Rules
from auditwatch.trail.scan import Scan
from tests.trail.judge.slow_judge import slow_kind

_LINE_BYTES: Final = 200
_RULES: Final = Rules(max_line_bytes=_LINE_BYTES, strict=True)
_LENIENT: Final = Rules(max_line_bytes=_LINE_BYTES)
_STRICT: Final = Judge(Rules(strict=True))
_TYPES: Final = tuple(FieldType)
_HABITS: Final = (
    Habits(),
    Habits(b'"a"'),
    Habits(b'"a"', was_nested=True, is_regular=True),
    Habits(b'"a"', is_nested=True, was_nested=True),
)


def judge(data: bytes) -> None:
    """A line has the kind that a second judge gives it, and the records inside it can be counted."""
    line = data.replace(b"\n", b" ")
    kind = _STRICT.kind_of(line)
    assert kind == slow_kind(line, strict=True)
    assert 0 <= records_inside(line) <= MAX_TRIES
    if kind is None:
        assert isinstance(json.loads(line, parse_int=str, parse_float=str), dict)


_FIELDS: Final = (
    ("a", FieldType.ANY),
    ("b", FieldType.STRING),
    ("n", FieldType.INTEGER),
    ("at", FieldType.DATETIME),
    ("on", FieldType.DATETIME_NAIVE),
)


def sieves(data: bytes) -> None:
    """No sieve passes a line that a slow judge calls damaged. The first byte says how long, and with which fields.

    `fuzz/native.c` takes the same inputs.
    """
    first, text = (data[0] if data else 0), data[1:]
    most, require = (1 << 20 if first < 128 else first - 128), _FIELDS[: first % 6]
    rules = Rules(max_line_bytes=most, require=require)
    fields = {name: kind.value for name, kind in require}
    lines = text.split(b"\n")[:-1]
    damaged = [slow_kind(line, most, require=fields) is not None for line in lines]
    all_sieves: list[Sieve] = [
        PureSieve(rules),
        *(NativeSieve(rules, name) for name in (NATIVE.INSTRUCTIONS if NATIVE else ())),
    ]
    for sieve in all_sieves:
        _sifted(sieve, text, lines, damaged)


def _sifted(sieve: Sieve, text: bytes, lines: list[bytes], damaged: list[bool]) -> None:
    at = index = 0
    for count, end, passes in sieve.sift(text, 0, text.rfind(b"\n") + 1):
        assert end - at == sum(map(len, lines[index : index + count])) + count
        assert count == 1 or passes
        assert not (passes and any(damaged[index : index + count])), (sieve, lines[index : index + count])
        at, index = end, index + count
    assert index == len(lines)


def scan(data: bytes) -> None:
    """The report is the same however the bytes are cut, and agrees with a second judge. The first byte says how."""
    step, trail = 1 + (data[0] if data else 0), data[1:]
    for rules in (_RULES, _LENIENT):
        _scan(trail, step, rules)


def require(data: bytes) -> None:
    """The same as `scan`, but records must have `a` and `b`. The first byte gives their types, and how to cut."""
    step, trail = 1 + (data[0] if data else 0), data[1:]
    rest, a = divmod(step, len(_TYPES))
    strict, b = divmod(rest, len(_TYPES))
    fields = (("a", _TYPES[a]), ("b", _TYPES[b]))
    _scan(trail, step, Rules(max_line_bytes=_LINE_BYTES, strict=strict == 1, require=fields))


def _scan(trail: bytes, step: int, rules: Rules) -> None:
    whole = _scanned([trail], rules)
    assert _scanned([trail[at : at + step] for at in range(0, len(trail), step)], rules) == whole
    lines = [line + b"\n" for line in trail.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    middle = step % len(lines)
    halves = [_scanned([b"".join(half)], rules) for half in (lines[:middle], lines[middle:])]
    assert merge(*halves) == whole
    fields = {name: kind.value for name, kind in rules.require}
    kinds = [slow_kind(line[:-1], _LINE_BYTES, strict=rules.strict, require=fields) for line in lines[:-1]]
    assert [defect.kind.value for defect in whole.defects] == [kind for kind in kinds if kind is not None]
    assert whole.lines == whole.records + whole.corrupt_lines == len(lines) - 1
    for defect in whole.defects:
        body = trail[defect.offset : defect.offset + defect.length]
        assert body == lines[defect.line - 1][:-1]
        assert defect.sha256 == hashlib.sha256(body).hexdigest()


def _scanned(pieces: list[bytes], rules: Rules) -> Report:
    one = Scan(rules)
    for piece in pieces:
        one.feed(piece)
    return one.finish()


def salvaging(data: bytes) -> None:
    """Every byte of a damaged line is in one record or one fragment, or is white space; every record is an object.

    The first byte says whether bytes after the last newline are final, and which habits the trail has.
    """
    flags, trail = (data[0] if data else 0), data[1:]
    _dissected(trail.replace(b"\n", b" "), _HABITS[flags >> 1 & 3], awaited=bool(flags & 8))
    _salvaged(trail, final=bool(flags & 1))


def _dissected(line: bytes, habits: Habits, *, awaited: bool) -> None:
    parts = dissect(line, habits, awaited=awaited)
    edges = [0, *(edge for part in parts for edge in (part.start, part.end)), len(line)]
    assert edges == sorted(edges)
    for end, start in list(pairwise(edges))[::2]:
        assert not line[end:start].strip(b" \t\n\r"), (end, start)
    for part in parts:
        assert part.start < part.end or not line
        if isinstance(part, Inside):
            assert isinstance(json.loads(line[part.start : part.end], parse_int=str, parse_float=str), dict)


def _salvaged(trail: bytes, *, final: bool) -> None:
    descriptor = os.memfd_create("trail")
    try:
        os.write(descriptor, trail)
        sink = _Taken()
        known = survey(descriptor, len(trail), _RULES, final=final)
        salvage(descriptor, known, _RULES, sink, final=final)
    finally:
        os.close(descriptor)
    assert sink.lines == sum(known.by_kind.values())
    places = sorted(sink.places)
    assert all(offset + length <= following for (offset, length), (following, _) in pairwise(places))
    assert all(
        trail[offset : offset + length] in record for record, sources in sink.records for offset, length in sources
    )


class _Taken:
    """Takes what salvage finds, and checks it."""

    def __init__(self) -> None:
        self.lines = 0
        self.places: list[tuple[int, int]] = []
        self.records: list[tuple[bytes, list[tuple[int, int]]]] = []

    def recovered(self, found: RecoveredRecord) -> None:
        """Take one record."""
        assert isinstance(json.loads(found.record, parse_int=str, parse_float=str), dict)
        sources = [(source.offset, source.length) for source in found.sources]
        assert sum(length for _, length in sources) == len(found.record)
        self.places += sources
        self.records.append((found.record, sources))

    def leftover(self, left: Leftover) -> None:
        """Take one piece that is not a record."""
        self.places.append((left.source.offset, left.source.length))

    def replaced(self, start: int, end: int, found: list[RecoveredRecord]) -> None:
        """Take one damaged line."""
        assert start < end
        assert len(found) <= end - start
        self.lines += 1


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "judge": judge,
    "sieves": sieves,
    "scan": scan,
    "require": require,
    "salvage": salvaging,
}


def corpus(directory: str) -> Iterator[bytes]:
    """The inputs that are kept in a directory, in a fixed order."""
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), "rb") as file:
            yield file.read()
