"""What a writer acknowledges its judge finds whole, whatever the record, the front and the settings."""

from __future__ import annotations

import itertools
import json
import logging
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditwatch import AuditHandler, AuditWriteError, AuditWriter
from auditwatch.cli.append import command
from auditwatch.trail.judge.judge import Judge
from auditwatch.trail.rules import Rules

EXAMPLES = int(os.environ.get("AUDITWATCH_RECORD_EXAMPLES", "100"))
REFUSALS = [("no", "unserialisable"), ("no", "too_long")]
NAMES = itertools.count()


class Odd(str):
    """A string that is none to orjson."""

    __slots__ = ()


class Nested(dict):
    """A mapping that is no plain one to orjson."""


def deep(levels: int, inner: Any) -> dict[str, Any]:
    """A record with so many levels, itself included."""
    value = inner
    for number in range(levels - 1):
        value = [value] if number % 2 else {"a": value}
    return {"a": value}


keys = st.text(max_size=5) | st.sampled_from(
    ["_seq", "_prev", "_auditwatch", "timestamp", "\ud800", Odd("odd"), "a\nb"]
)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=10)
    | st.binary(max_size=3) | st.decimals() | st.datetimes() | st.uuids()
    | st.sampled_from([datetime.now(UTC), Decimal(1), {1}, Odd("x"), object(), "\udfff\u2028\x00"])
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=2).map(Nested)
        | st.tuples(inner)
        | st.dictionaries(st.integers() | st.none(), inner, max_size=1)
    ),
    max_leaves=8,
)
depths = st.tuples(st.sampled_from([510, 511, 512, 513, 514]), leaves).map(lambda drawn: deep(*drawn))
written = st.dictionaries(keys, values, max_size=4) | depths | values
options = st.fixed_dictionaries(
    {},
    optional={
        "timestamp_field": st.sampled_from([None, "", "at", "\ud800", "a\nb"]),
        "default": st.sampled_from(
            [str, lambda _: float("nan"), lambda _: {1}, lambda value: [value], lambda _: 10**70]
        ),
        "stamp": st.just(True),
        "max_line_bytes": st.sampled_from([2, 150, 400]),
        "durability": st.sampled_from(["process", "interval"]),
        "rotate_bytes": st.sampled_from([1, 300]),
    },
)
hooks = [
    json.dumps, lambda _: '{"a":NaN}', lambda _: b"[]", lambda _: b'{"a":1}\n', lambda _: '{"a":1e999}', lambda _: 5,
    lambda _: b'{"a":"\xff"}', lambda record: json.dumps(record, indent=1), lambda _: "", lambda _: '{"a":"\ud800"}',
    lambda _: json.dumps(deep(512, 1)), lambda _: json.dumps(deep(513, 1)), lambda _: '{"_seq":1}',
    lambda _: "\ufeff{}", lambda _: b'{"a":1}  ', lambda _: b" {}", lambda _: b"{}\r",
    lambda _: b'{"_seq":1,"_seq":2}', lambda _: b'{"\\u005fseq":1}',
]  # fmt: skip
each = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def judged(directory, acknowledged: int, limit: int | None = None) -> None:
    """Every line of every file is whole, and there are as many of the caller's as were acknowledged."""
    judge = Judge(Rules(**({} if limit is None else {"max_line_bytes": limit})))
    count = 0
    for path in directory.glob("*.jsonl"):
        data = path.read_bytes()
        assert not data or data.endswith(b"\n")
        for line in data.split(b"\n")[:-1]:
            own = b'"event":"auditwatch.' in line
            assert own or judge.kind_of(line) is None, (judge.kind_of(line), line)
            count += not own
    assert count == acknowledged


def attempt(append, *arguments: object) -> int:
    """1 if it was acknowledged."""
    try:
        append(*arguments)
    except AuditWriteError as error:
        if (error.stored, error.reason) not in REFUSALS:
            raise
        return 0
    return 1


@each
@given(st.lists(written, max_size=4), options)
def test_append_and_append_many(tmp_path, records, chosen):
    directory = tmp_path / str(next(NAMES))
    directory.mkdir()
    with AuditWriter(directory / "audit.jsonl", **chosen) as writer:
        acknowledged = sum(attempt(writer.append, record) for record in records)
        acknowledged += len(records) * attempt(writer.append_many, records)
    judged(directory, acknowledged, chosen.get("max_line_bytes"))


@pytest.mark.parametrize("hook", hooks)
@pytest.mark.parametrize("stamp", [False, True])
def test_dumps(tmp_path, hook, stamp):
    with AuditWriter(tmp_path / "audit.jsonl", dumps=hook, stamp=stamp) as writer:
        acknowledged = attempt(writer.append, {"a": 1})
    judged(tmp_path, acknowledged)


lines = (
    st.binary(max_size=20)
    | st.dictionaries(keys, st.integers() | st.text(), max_size=3).map(lambda record: json.dumps(record).encode())
    | st.sampled_from([json.dumps(deep(levels, 1)).encode() for levels in (511, 512, 513)])
    | st.sampled_from([b'{"a":1e400}', b'{"a":01}', b'{"a":1,"a":2}', b"{}", b" {}\t", b"{}\r", b'{"a":"\\ud800"}'])
    | st.builds(lambda a, b: b'{"a":' + a + b"}" + b, st.binary(max_size=6), st.sampled_from([b"", b" ", b"{}"]))
)  # fmt: skip


@each
@given(st.lists(lines, max_size=4), options)
def test_append_line_and_the_command(tmp_path, drawn, chosen):
    chosen.pop("default", None)
    directory = tmp_path / str(next(NAMES))
    directory.mkdir()
    with AuditWriter(directory / "audit.jsonl", **chosen) as writer:
        acknowledged = sum(attempt(writer.append_line, line) for line in drawn)
    judged(directory, acknowledged, chosen.get("max_line_bytes"))
    piped = tmp_path / f"{directory.name}.piped"
    piped.mkdir()
    arguments = [str(piped / "audit.jsonl"), *(["--stamp"] if "stamp" in chosen else [])]
    told = CliRunner().invoke(command, arguments, input=b"".join(line + b"\n" for line in drawn), standalone_mode=False)
    assert told.exception is None
    refused = told.stderr.count(": not stored: ")
    judged(piped, sum(line.count(b"\n") + 1 for line in drawn) - refused)


class Unprintable:
    """Raises when it is printed, and as a key has no text either."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Named(Unprintable):
    """Has the text of a member that is reserved for the writer."""

    def __str__(self) -> str:
        return "_seq"


def errors(causes: list[str]) -> Exception | None:
    """An exception with these causes, a note and a group."""
    error: Exception | None = None
    for text in causes:
        later = ExceptionGroup(text, [error]) if error and text else ValueError(text, Unprintable())
        later.add_note(text)
        later.__cause__, error = error, later
    return error


odd_keys = st.integers() | st.none() | st.booleans() | st.floats() | st.binary(max_size=2) | st.builds(Named) | keys
odd = st.builds(Unprintable) | st.just([float("nan"), Unprintable()]) | st.just({1: 1, "1": 2, Named(): 3})
loggable = values | odd | depths | st.dictionaries(odd_keys, odd | leaves, max_size=3) | st.text(max_size=2000)
messages = loggable | st.sampled_from(["%d", "%s %s", "\nTraceback (most recent call last):\n"])
log_records = st.fixed_dictionaries(
    {"msg": messages, "extra_value": loggable},
    optional={
        "args": st.none() | st.tuples() | st.tuples(loggable),
        "exc_info": st.lists(st.text(max_size=5), max_size=4).map(errors).map(lambda error: (type(error), error, None)),
        "created": st.floats(),
        "levelname": st.sampled_from(["INFO", None, 5]),
        "_seq": leaves,
        "truncated": leaves,
        "\ud800": loggable,
    },
)
LEAST = 250
"""Lines of this length have room for the members that are always stored, and for a stamp."""


@each
@given(st.lists(log_records, max_size=4), options)
def test_the_handler_which_loses_nothing_for_its_values(tmp_path, logged, chosen):
    directory = tmp_path / str(next(NAMES))
    directory.mkdir()
    failed = []
    handler = AuditHandler(directory / "audit.jsonl", **chosen)
    handler.handleError = failed.append
    for attributes in logged:
        handler.handle(logging.makeLogRecord(attributes))
    handler.close()
    judged(directory, len(logged) - len(failed), chosen.get("max_line_bytes"))
    assert not failed or chosen.get("max_line_bytes", LEAST) < LEAST
