"""`AuditHandler` never loses a line for what is in it: odd values become text, long lines are cut."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import logging.handlers
import pickle
import queue
import sys
from collections import UserDict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from auditwatch import AuditHandler, AuditWriteError


class Unprintable:
    """Raises when it is printed."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Nameless(type):
    """A type that raises when it is named."""

    @property
    def __name__(cls):
        raise RuntimeError("no name")


ANONYMOUS = Nameless("Anonymous", (Unprintable,), {})()


class Proxy(Unprintable):
    """Raises when anybody asks what it is, as a proxy outside of its request does."""

    @property
    def __class__(self):
        raise RuntimeError("working outside of request context")


class Shouting(str):
    """A text that has another text."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.fixture
def trail(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def attach(attach):
    """As ever, with handlers that take no failure."""

    def make(**settings):
        logger = attach(**settings)
        logger.handlers[0].handleError = lambda _: pytest.fail(f"handleError: {sys.exc_info()[1]!r}")
        return logger

    return make


NO_ZONE = datetime(2026, 1, 1, 12, 30)  # noqa: DTZ001  that is the case
CYCLE: dict[str, object] = {"a": 1}
CYCLE["itself"] = [CYCLE]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (float("nan"), "NaN"),
        ([1.5, float("-inf")], [1.5, "-Infinity"]),
        (NO_ZONE, "2026-01-01T12:30:00"),
        ({"when": NO_ZONE, "then": datetime(2026, 1, 1, tzinfo=UTC)},
         {"when": "2026-01-01T12:30:00", "then": "2026-01-01T00:00:00+00:00"}),
        (Decimal("NaN"), "NaN"),
        ({1: "a", "1": "b", None: "c", (1, 2): "d"}, {"1": "a", "1 (2)": "b", "None": "c", "(1, 2)": "d"}),
        ({Unprintable(): 1}, {"<unprintable Unprintable object>": 1}),
        (Unprintable(), "<unprintable Unprintable object>"),
        (Proxy(), "<unprintable Proxy object>"),
        ([Shouting("loud"), UserDict(a={1})], ["loud", {"a": "{1}"}]),
        (CYCLE, {"a": 1, "itself": ["..."]}),
        ({"a": b"\xff", "nan": float("nan")}, {"a": "b'\\xff'", "nan": "NaN"}),
        (10**5000, hex(10**5000)),
        (2**70, 2**70),
        ("\ud800", "\ud800"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_that_json_cannot_hold_becomes_text_and_everything_else_stays(attach, trail, records, value, stored):
    attach().warning("limit %d", 5, extra={"details": value, "price": 1.5})
    (record,) = records(trail)
    assert list(record) == ["timestamp", "level", "logger", "message", "details", "price"]
    assert (record["level"], record["logger"], record["message"]) == ("WARNING", "risk.manager", "limit 5")
    assert (record["details"], record["price"]) == (stored, 1.5)


def test_what_is_nested_too_deep_is_kept_down_to_some_level(attach, trail, records):
    deep: object = "bottom"
    for _ in range(5000):
        deep = {"a": deep}
    attach().info("x", extra={"deep": deep, "b": 1})
    (record,) = records(trail)
    assert record["b"] == 1
    for _ in range(50):
        record = record["deep"] if "deep" in record else record["a"]
    assert isinstance(record, dict)


@pytest.mark.parametrize(
    ("message", "arguments", "stored"),
    [
        ("%d", ("x",), {"message": "%d", "args": ["x"]}),
        ("a", (1, float("nan")), {"message": "a", "args": [1, "NaN"]}),
        ("%s", (Unprintable(),), {"message": "%s", "args": ["<unprintable Unprintable object>"]}),
        (Unprintable(), (), {"message": "<unprintable Unprintable object>"}),
        (ANONYMOUS, (), {"message": "<unprintable Anonymous object>"}),
        (Proxy(), (), {"message": "<unprintable Proxy object>"}),
        (None, (), {"message": "None"}),
    ],
    ids=range(7),
)
def test_a_message_that_cannot_be_made_is_stored_as_it_was_given(attach, trail, records, message, arguments, stored):
    attach().error(message, *arguments)
    (record,) = records(trail)
    del record["timestamp"]
    assert record == {"level": "ERROR", "logger": "risk.manager"} | stored


def test_a_mapping_in_place_of_a_message_is_merged(attach, trail, records):
    logger = attach()
    logger.info({"event": "KILL_SWITCH", "message": "limit reached", "level": 9, "_seq": 1, 5: "five"}, extra={"a": 1})
    logger.info(UserDict(event="TRADE", a=2), extra={"a": 1})
    first, second = records(trail)
    del first["timestamp"], second["timestamp"]
    assert first == {
        "level": "INFO", "logger": "risk.manager", "message": "limit reached", "event": "KILL_SWITCH", "a": 1,
        "extra": {"level": 9, "_seq": 1, "5": "five"},
    }  # fmt: skip
    assert second == {
        "level": "INFO", "logger": "risk.manager", "message": "", "event": "TRADE", "a": 2, "extra": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize("attribute", ["created", "levelname", "name", "exc_info", "exc_text", "stack_info", "args"])
@pytest.mark.parametrize("value", [float("nan"), 10**30, True, (1,), Unprintable()], ids=range(5))
def test_a_record_that_was_made_by_hand_is_stored(attach, trail, records, attribute, value):
    attach().handle(logging.makeLogRecord({"msg": "m", "levelno": 20, attribute: value}))
    (record,) = records(trail)
    assert list(record)[:4] == ["timestamp", "level", "logger", "message"]
    assert record["message"] == "m"


@pytest.mark.parametrize("default", [lambda _: {}["missing"], lambda _: float("nan"), lambda value: [value]])
def test_a_hook_that_does_not_help_loses_no_line(attach, trail, records, default):
    attach(default=default).info("x", extra={"odd": {1}})
    (record,) = records(trail)
    assert (record["message"], "odd" in record) == ("x", True)


@pytest.mark.parametrize("dumps", [json.dumps, lambda _: "[]", lambda _: {}["missing"]])
def test_what_the_serialiser_of_the_program_cannot_write_ours_does(attach, trail, records, dumps):
    attach(dumps=dumps).info("x", extra={"price": float("nan"), "odd": {1}})
    (record,) = records(trail)
    assert (record["message"], record["price"], record["odd"]) == ("x", "NaN", "{1}")


@pytest.mark.parametrize("stamp", [False, True])
def test_a_message_that_is_too_long_is_cut_and_the_line_says_by_how_many_bytes(attach, trail, records, stamp):
    attach(max_line_bytes=500, stamp=stamp).info("é" * 10_000, extra={"price": 5})
    (record,) = records(trail)
    assert (record["level"], record["logger"], record["price"]) == ("INFO", "risk.manager", 5)
    assert len("é".encode()) * (10_000 - len(record["message"])) == record["truncated"]
    assert 480 <= len(trail.read_bytes()) - 1 <= 500


def test_the_longest_texts_and_lists_are_cut_first(attach, trail, records):
    extra = {"short": "s" * 40, "text": "t" * 5000, "list": [{"n": "x" * 300}] * 2, "number": 10**2000}
    attach(max_line_bytes=1000).info("m" * 100, extra=extra)
    (record,) = records(trail)
    assert (record["short"], record["message"], len(record["list"])) == ("s" * 40, "m" * 100, 2)
    assert len(record["text"]) == len(record["number"]) == len(record["list"][0]["n"]) > 120


def test_where_not_all_members_fit_the_message_does(attach, trail, records):
    attach(max_line_bytes=200).info("m" * 100, extra={f"member{number}": number for number in range(1000)})
    (record,) = records(trail)
    assert list(record) == ["timestamp", "level", "logger", "message", "truncated"]
    assert len(record["message"]) > 50


def test_a_member_of_the_program_cannot_pass_for_what_was_cut(attach, trail, records):
    attach().info("x", extra={"truncated": 5})
    assert records(trail)[0]["extra"] == {"truncated": 5}


def raised(make) -> Exception:
    try:
        make()
    except Exception as error:  # noqa: BLE001  whatever it is
        return error
    raise AssertionError


def chained():
    try:
        {}["missing"]
    except KeyError as error:
        error.add_note("looked up in the limits")
        raise ValueError("no limit") from error


def in_the_middle():
    try:
        chained()
    except ValueError:
        raise RuntimeError("while it was handled")  # noqa: B904  that is the case


def suppressed():
    try:
        chained()
    except ValueError:
        raise RuntimeError("alone") from None


def test_an_exception_is_told_with_its_notes_and_with_what_caused_it(attach, trail, records):
    logger = attach()
    for make in (chained, in_the_middle, suppressed):
        logger.error("x", exc_info=raised(make))
    first, second, third = (record["exception"] for record in records(trail))
    cause = {"type": "KeyError", "message": "'missing'", "notes": ["looked up in the limits"]}
    assert "looked up in the limits" in first.pop("traceback")
    assert first == {"type": "ValueError", "message": "no limit", "cause": cause}
    assert second["context"] == first
    assert set(third) == {"type", "message", "traceback"}


def test_a_group_is_told_with_its_exceptions(attach, trail, records):
    attach().error("x", exc_info=ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [raised(chained)])]))
    found = records(trail)[0]["exception"]
    assert [one["message"] for one in found["exceptions"]] == ["a", "one (1 sub-exception)"]
    assert found["exceptions"][1]["exceptions"][0]["cause"]["type"] == "KeyError"


class Mute(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_exceptions_that_raise_turn_in_circles_or_go_on_for_ever_are_told_as_far_as_they_can_be(attach, trail, records):
    mute, circle, long = Mute(), ValueError("c"), ValueError("0")
    mute.__notes__ = [Unprintable(), 5]
    circle.__cause__ = RuntimeError("d")
    circle.__cause__.__cause__ = circle
    for number in range(1, 500):
        later = ValueError(str(number))
        later.__cause__, long = long, later
    for error in (mute, circle, long):
        attach().error("x", exc_info=error)
    first, second, third = (record["exception"] for record in records(trail))
    assert first["message"].startswith("Mute(") or first["message"] == "<unprintable Mute object>"
    assert first["notes"] == ["<unprintable Unprintable object>", "5"]
    assert second["cause"] == {"type": "RuntimeError", "message": "d"}
    assert third["cause"]["cause"]["message"] == "497"


class Noteless(Exception):
    """An exception that raises when its notes are looked at."""

    @property
    def __notes__(self):
        raise RuntimeError("no notes")


def test_an_exception_that_raises_when_it_is_looked_at_is_told_by_type_and_message(attach, trail, records):
    attach().error("x", exc_info=Noteless("m"))
    (record,) = records(trail)
    assert (record["exception"]["type"], record["exception"]["message"]) == ("Noteless", "m")


def test_with_no_room_left_on_the_stack_a_line_is_stored_as_an_object_or_counted(trail, records):
    handler, failed = AuditHandler(trail), []
    handler.handleError = failed.append
    logger = logging.Logger("risk.manager")
    logger.addHandler(handler)

    def log_below(calls):
        if calls:
            log_below(calls - 1)
        else:
            logger.info("x", extra={"price": float("nan")})

    told = 0
    for calls in range(sys.getrecursionlimit() - 150, sys.getrecursionlimit()):
        with contextlib.suppress(RecursionError):
            log_below(calls)
            told += 1
    handler.close()
    assert 0 < len(records(trail)) == told - len(failed)


def through_a_queue(logger, log):
    """Have a `QueueHandler` prepare what is logged, as for another process, and the logger's own handler store it."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    source = logging.Logger("risk.manager")
    source.addHandler(logging.handlers.QueueHandler(records))
    log(source)
    while not records.empty():
        logger.handle(pickle.loads(pickle.dumps(records.get())))


@pytest.mark.parametrize(
    "make", [chained, in_the_middle, lambda: (_ for _ in ()).throw(ExceptionGroup("g", [OSError()]))]
)
def test_the_traceback_survives_a_queue_handler(attach, trail, records, make):
    logger = attach()

    def log(source):
        source.error("failed: %s", "x", exc_info=raised(make), stack_info=True, extra={"a": 1})

    log(logger)
    through_a_queue(logger, log)
    direct, queued = records(trail)
    assert (queued["message"], queued["a"]) == ("failed: x", 1)
    assert queued["stack"].startswith("Stack (most recent call last):\n")
    whole = direct["exception"]["traceback"]
    assert queued["exception"] == {"traceback": whole}


def test_a_message_that_only_looks_like_a_traceback_stays_where_no_queue_was(attach, trail, records):
    text = "told:\nTraceback (most recent call last):\n  nothing"
    attach().error(text)
    assert records(trail)[0]["message"] == text


def test_the_writer_of_a_handler_still_refuses_what_the_program_appends_itself(attach):
    with pytest.raises(AuditWriteError, match="not finite"):
        attach().handlers[0].writer.append({"price": float("nan")})


def test_the_record_is_left_as_it_was_for_other_handlers(attach):
    logger = attach(max_line_bytes=300)
    record = logger.makeRecord(
        "n", logging.INFO, "f", 1, {"a": float("nan"), "b": "x" * 900}, (), None, extra={"c": {1: 2}}
    )
    before = copy.deepcopy(vars(record))
    logger.handle(record)
    assert str(vars(record)) == str(before)
