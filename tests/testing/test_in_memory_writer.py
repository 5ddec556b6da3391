"""The double in memory answers every call as the real writer does, and fails on demand."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import os
import pickle
import signal
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from auditwatch import AuditWriteError, AuditWriter, LockTimeout
from auditwatch.testing import InMemoryAuditWriter, failure, read_records
from auditwatch.trail.counters import FAILURES

PATH = "audit_trail.jsonl"


@dataclasses.dataclass
class Trade:
    """A record that is not a mapping."""

    symbol: str
    size: Decimal


class Odd:
    """A value that JSON does not know."""


def hostile(value):
    raise KeyError(value)


CALLS = [
    ("append", {"event": "KILL_SWITCH", "details": {"by": "ops"}}),
    ("append", {}),
    ("append", {"timestamp": "mine"}),
    ("append", Trade("BTC-USD", Decimal("0.10"))),
    ("append", {"wei": 2**70, "when": datetime(2026, 1, 1, tzinfo=UTC), "text": "\ud800é"}),
    ("append", {"price": float("nan")}),
    ("append", {"when": datetime(2026, 1, 1)}),  # noqa: DTZ001  that is what is refused
    ("append", {"odd": Odd()}),
    ("append", {1: 2}),
    ("append", {"_seq": 1}),
    ("append", ["no", "record"]),
    ("append", {"pad": "x" * 500}),
    ("append_many", [{"a": 1}, {"a": 2}]),
    ("append_many", [{"a": 1}, {"a": {1}}, {"a": 3}]),
    ("append_many", []),
    ("append_many", [{"a": 1}, {"pad": "x" * 500}]),
    ("append_line", b'{ "kept" : 1.50 }'),
    ("append_line", b'{"two": 1}{"on": 1}'),
    ("append_line", b'{"new":\n1}'),
    ("append_async", {"later": 1}),
    ("append_async", {"odd": Odd()}),
    ("append_async", {"pad": "x" * 500}),
    ("close",),
    ("append", {"late": 1}),
    ("append_many", [{"late": 1}]),
    ("append_line", b'{"late":1}'),
    ("append_async", {"late": 1}),
    ("close",),
    ("aclose",),
]

SETTINGS = [
    {},
    {"timestamp_field": None},
    {"timestamp_field": "at", "stamp": True},
    {"stamp": True, "max_line_bytes": 200},
    {"max_line_bytes": 300, "default": lambda value: type(value).__name__},
    {"default": hostile},
    {"dumps": lambda record: str(sorted(map(str, record))).replace("'", '"')},
    {"dumps": lambda record: b'{"members":%d}' % len(record)},
    {"on_failure": "collect"},
    {"durability": "power", "lock_timeout": 1, "reentrant": "after"},
]


def outcome(writer, name, *arguments):
    """What a call does, in values that can be compared."""
    try:
        result = getattr(writer, name)(*arguments)
        if inspect.isawaitable(result):
            result = asyncio.run(as_coroutine(result))
    except AuditWriteError as error:
        return type(error), str(error), error.reason, error.stored, error.errno
    return result


async def as_coroutine(awaitable):
    return await awaitable


def played(kind, path, settings):
    """Every outcome of the script, and what on_failure heard."""
    heard = []
    if settings.get("on_failure") == "collect":
        settings = settings | {"on_failure": lambda error: heard.append((str(error), error.reason, error.stored))}
    writer = kind(path, **settings)
    return [outcome(writer, *call) for call in CALLS], heard, writer


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: ",".join(settings) or "defaults")
def test_one_script_of_calls_has_the_same_outcomes_and_lines_with_both(tmp_path, monkeypatch, settings):
    monkeypatch.setattr(time, "time_ns", lambda: 1_759_795_200_000_001_000)
    path = tmp_path / PATH
    outcomes, heard, _ = played(AuditWriter, path, settings)
    outcomes_in_memory, heard_in_memory, double = played(InMemoryAuditWriter, path, settings)
    assert outcomes_in_memory == outcomes
    assert heard_in_memory == heard
    assert double.lines == path.read_bytes().split(b"\n")[:-1]
    assert double.records == read_records(path)
    assert any(isinstance(result, tuple) for result in outcomes) or heard


@pytest.mark.parametrize(
    "wrong", [{"lock_timeout": -1}, {"durability": "none"}, {"on_failure": "ignore"}, {"ballast_bytes": 0}]
)
def test_both_refuse_the_same_parameters_with_the_same_words(tmp_path, wrong):
    said = []
    for kind in (AuditWriter, InMemoryAuditWriter):
        with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
            kind(tmp_path / PATH, **wrong)
        said.append(str(caught.value))
    assert said[0] == said[1]
    with pytest.raises(TypeError, match="unexpected keyword"):
        InMemoryAuditWriter(PATH, no_such_setting=1)


def test_it_has_every_public_member_of_the_true_one_with_its_signature():
    for name, member in vars(AuditWriter).items():
        if not name.startswith("_"):
            assert getattr(InMemoryAuditWriter, name) is member


@pytest.mark.parametrize("reason", FAILURES)
def test_told_to_fail_it_fails_for_that_reason_until_told_otherwise(reason):
    writer = InMemoryAuditWriter(PATH, fail_with=reason)
    with pytest.raises(AuditWriteError) as caught:
        writer.append({"a": 1})
    assert (caught.value.reason, caught.value.stored) == (reason, "no")
    assert isinstance(caught.value, LockTimeout) == (reason == "lock_timeout")
    writer.fail_with = None
    writer.append({"a": 2})
    assert [record["a"] for record in writer.records] == [2]


def test_an_error_of_ones_own_is_raised_as_it_is_each_time_anew():
    error = AuditWriteError("torn", stored="unknown", reason="io_error", errno=5)
    writer = InMemoryAuditWriter(PATH, fail_with=error)
    raised = []
    for call in (lambda: writer.append({"a": 1}), lambda: asyncio.run(writer.append_async({"a": 1}))):
        with pytest.raises(AuditWriteError, match="torn") as caught:
            call()
        raised.append(caught.value)
    assert [(one.stored, one.reason, one.errno) for one in raised] == [("unknown", "io_error", 5)] * 2
    assert len({id(one) for one in [*raised, error]}) == 3


def test_a_bad_record_is_a_bad_record_also_while_it_is_to_fail():
    writer = InMemoryAuditWriter(PATH, fail_with="disk_full")
    with pytest.raises(AuditWriteError) as caught:
        writer.append({"a": {1}})
    assert caught.value.reason == "unserialisable"


def test_a_callable_hears_of_the_failure_that_it_is_told_to_have():
    heard = []
    writer = InMemoryAuditWriter(PATH, on_failure=heard.append, fail_with="quota")
    writer.append({"a": 1})
    assert [error.reason for error in heard] == ["quota"]
    assert writer.lines == []


def test_a_reason_that_no_writer_has_is_refused():
    with pytest.raises(ValueError, match="not 'logged'"):
        failure("logged")


def test_a_true_full_disk_fails_with_the_same_words_as_the_double(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / PATH
    writer = AuditWriter(path)
    monkeypatch.setattr(os, "write", full)
    true = outcome(writer, "append", {"a": 1})
    monkeypatch.undo()
    assert outcome(InMemoryAuditWriter(path, fail_with="disk_full"), "append", {"a": 1}) == true


def test_nothing_is_touched_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with InMemoryAuditWriter(PATH, ballast_bytes=4096, rotate_bytes=10, durability="power", lock_path="lock") as writer:
        writer.append({"a": 1})
        writer.append({"a": 2})
        with pytest.raises(AuditWriteError):
            writer.append({"a": {1}})
    assert os.listdir(tmp_path) == []
    assert len(writer.lines) == 2


def test_an_unpickled_one_has_the_same_settings_and_an_empty_trail():
    writer = InMemoryAuditWriter(PATH, timestamp_field="at")
    writer.append({"a": 1})
    copy = pickle.loads(pickle.dumps(writer))
    copy.append({"a": 2})
    assert [list(record) for record in copy.records] == [["at", "a"]]


@pytest.mark.parametrize(("reentrant", "stored"), [("raise", ["main"]), ("after", ["main", "handler"])])
def test_a_signal_handler_that_appends_is_answered_as_by_the_true_one(reentrant, stored):
    caught = []

    def handler(*_):
        try:
            writer.append({"who": "handler"})
        except AuditWriteError as error:
            caught.append(error.reason)

    class Interrupting(InMemoryAuditWriter):
        @property
        def fail_with(self):
            """Asked for in the middle of an append."""
            if not caught and not handled:
                handled.append(1)
                signal.raise_signal(signal.SIGUSR1)

        @fail_with.setter
        def fail_with(self, value):
            """Not in this test."""

    handled = []
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        writer = Interrupting(PATH, reentrant=reentrant)
        writer.append({"who": "main"})
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [record["who"] for record in writer.records] == stored
    assert caught == ([] if reentrant == "after" else ["other"])


@pytest.mark.parametrize(
    ("data", "told"),
    [(b'{"a":1}\n{"b"', "no newline"), (b'{"a":1}\n{"b"\n', "line 2"), (b"[1]\n", "line 1")],
)
def test_reading_a_trail_fails_for_a_line_that_is_none(tmp_path, data, told):
    path = tmp_path / PATH
    path.write_bytes(data)
    with pytest.raises(AssertionError, match=told):
        read_records(path)
