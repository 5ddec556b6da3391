"""What records become, and what is refused rather than changed."""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditwatch import AuditWriteError, AuditWriter
from auditwatch.writer.failures import UnserialisableError
from auditwatch.writer.serialise import Serialiser

PLAIN = Serialiser(None, None, None)


def body(record: Any, serialiser: Serialiser = PLAIN) -> str:
    line = serialiser.line(record)
    assert line.endswith(b"\n")
    return line[:-1].decode()


NAIVE = datetime(2025, 10, 7)  # noqa: DTZ001  what must be refused


@dataclasses.dataclass
class Order:
    """An order, one field of it private."""

    symbol: str
    _owner: str
    limit: Any = None


class Side(enum.Enum):
    """A side."""

    BUY = "buy"


class Level(enum.IntEnum):
    """A level."""

    HIGH = 3


class Key(enum.StrEnum):
    """A key."""

    EVENT = "event"


class Price(float):
    """A float that is not exactly one."""


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**64, "18446744073709551616"),
        (-(2**200), str(-(2**200))),
        (Decimal("1.10"), '"1.10"'),
        (datetime(2025, 10, 7, tzinfo=UTC), '"2025-10-07T00:00:00+00:00"'),
        (datetime(2025, 10, 7, 1, tzinfo=timezone(timedelta(hours=2))), '"2025-10-07T01:00:00+02:00"'),
        (date(2025, 10, 7), '"2025-10-07"'),
        (time(1, 2), '"01:02:00"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Side.BUY, '"buy"'),
        (Level.HIGH, "3"),
        (Price(1.5), "1.5"),
        (Point(1, 2), "[1,2]"),
        ((1, None), "[1,null]"),
        (OrderedDict(b=1), '{"b":1}'),
        (MappingProxyType({"b": 1}), '{"b":1}'),
        (Order("X", "me"), '{"symbol":"X","_owner":"me","limit":null}'),
        ("\ud800", '"\\ud800"'),
        ("\u2028\n", '"\u2028\\n"'),
        (float("1e300"), "1e300"),
    ],
)
@pytest.mark.parametrize("beside", [1, 2**70])
def test_a_value_becomes(value, text, beside):
    assert json.loads(body({"a": value, "n": beside})) == json.loads(f'{{"a":{text},"n":{beside}}}')


@pytest.mark.parametrize(
    "value",
    [
        float("nan"), float("inf"), [None, [float("-inf")]], {"deep": {"er": float("nan")}}, Decimal("NaN"),
        Price("nan"), Order("X", "me", float("nan")), NAIVE, {1: 2}, {None: 1}, {True: 1},
        {"a": [{1: 2}]}, Order("X", "me", {1: 2}), {1, 2}, b"bytes", object(), Order,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("beside", [1, 2**70])
def test_a_value_is_refused_alone_and_beside_a_large_integer(value, beside):
    with pytest.raises(UnserialisableError):
        PLAIN.line({"a": value, "n": beside})


def test_a_record_that_contains_itself_is_refused():
    record: dict[str, Any] = {}
    record["me"] = record
    with pytest.raises(UnserialisableError):
        PLAIN.line(record)


@pytest.mark.parametrize(("levels", "fits"), [(200, True), (511, True), (513, False), (100_000, False)])
def test_a_record_may_be_as_deep_as_the_judge_allows(levels, fits):
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    if fits:
        assert json.loads(body({"a": value}))
    else:
        with pytest.raises(UnserialisableError, match="deep"):
            PLAIN.line({"a": value})


@pytest.mark.parametrize("name", ["_seq", "_prev", "_auditwatch"])
def test_members_of_the_writer_itself_are_refused_at_the_top_only(name):
    with pytest.raises(UnserialisableError, match="reserved for the writer: rename the member"):
        PLAIN.line({name: 1})
    assert body({"a": {name: 1}}) == f'{{"a":{{"{name}":1}}}}'


@pytest.mark.parametrize("record", [None, 5, "x", [1], [("a", 1)], Order])
def test_what_is_no_mapping_is_no_record(record):
    with pytest.raises(UnserialisableError, match="mapping"):
        PLAIN.line(record)


def test_a_dataclass_and_any_mapping_are_records():
    assert body(Order("X", "me", 1)) == '{"symbol":"X","_owner":"me","limit":1}'
    assert body(MappingProxyType({"a": 1})) == '{"a":1}'


def test_keys_of_a_string_subclass_are_strings():
    assert body({Key.EVENT: 1}) == '{"event":1}'


def test_default_is_asked_for_unknown_types_only():
    asked = []
    serialiser = Serialiser(None, lambda value: asked.append(value) or sorted(value), None)
    assert body({"a": {2, 1}, "b": Decimal(1)}, serialiser) == '{"a":[1,2],"b":"1"}'
    assert asked == [{1, 2}]


def test_default_cannot_bring_in_what_is_refused():
    with pytest.raises(UnserialisableError, match="finite"):
        Serialiser(None, lambda _: float("nan"), None).line({"a": {1}})


def test_naive_datetimes_raise_also_with_a_default_that_takes_everything():
    with pytest.raises(UnserialisableError, match="time zone"):
        Serialiser(None, str, None).line({"a": NAIVE})


def test_dumps_replaces_the_serialiser_and_is_checked():
    assert body({"a": 1}, Serialiser(None, None, json.dumps)) == '{"a": 1}'
    assert list(json.loads(body({"a": 1}, Serialiser("at", None, json.dumps)))) == ["at", "a"]


@pytest.mark.parametrize("output", ['{"a": NaN}', "[1]", '{"a":1', '{"a":1}\n', b'{"a":"\xff"}', 5, '{"_seq":1}'])
def test_what_dumps_makes_must_be_one_line(output):
    with pytest.raises(UnserialisableError):
        Serialiser(None, None, lambda _: output).line({"a": 1})


class Treacherous:
    """Raises when it is looked at."""

    def __str__(self) -> str:
        raise KeyError("the secret")


@pytest.mark.parametrize(
    ("hooks", "cause"),
    [
        ({"default": str}, KeyError),
        ({"dumps": str}, type(None)),
        ({"default": lambda _: 1 / 0}, ZeroDivisionError),
        ({"dumps": lambda _: 1 / 0}, ZeroDivisionError),
    ],
)
def test_whatever_a_hook_raises_becomes_the_cause_of_one_error_without_its_text(tmp_path, hooks, cause):
    with AuditWriter(tmp_path / "a", **hooks) as writer, pytest.raises(AuditWriteError) as caught:
        writer.append({"secret": Treacherous()})
    assert caught.value.reason == "unserialisable"
    assert "secret" not in str(caught.value)
    assert type(caught.value.__cause__) is cause
    assert getattr(caught.value.__cause__, "__cause__", None) is None


def test_an_interrupt_in_a_hook_is_not_swallowed(tmp_path):
    def interrupt(value):
        raise KeyboardInterrupt

    with AuditWriter(tmp_path / "a", default=interrupt) as writer, pytest.raises(KeyboardInterrupt):
        writer.append({"a": {1}})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(st.dictionaries(st.text().filter(lambda key: key not in ("_seq", "_prev", "_auditwatch")), values))
def test_whatever_json_can_say_is_read_back_as_it_was(record):
    assert json.loads(body(record)) == record


@given(st.dictionaries(st.text(alphabet=st.characters(categories=["Cs", "L"]), min_size=1), values))
def test_text_that_utf8_cannot_say_is_read_back_as_it_was(record):
    assert json.loads(body(record)) == record


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("default", [None, str, repr, lambda value: [value]])
def test_a_number_that_is_not_finite_is_found_beside_none_and_beside_text_that_looks_like_it(odd, default):
    serialiser = Serialiser(None, default, None)
    with pytest.raises(UnserialisableError, match="finite"):
        serialiser.line({"a": None, "b": [{"c": odd}]})
    text = {"a": None, "b": "\x03nan", "c": "null", "d": "\x04-inf", "e": 1.5, "f": 2**70}
    assert json.loads(serialiser.line(text)) == text


def test_a_number_that_a_hook_makes_is_looked_at_though_its_value_is_plain_to_marshal():
    with pytest.raises(UnserialisableError, match="finite"):
        Serialiser(None, lambda _: float("nan"), None).line({"a": {1}, "b": b"x"})


CYCLE: dict[str, Any] = {"a": 1}
CYCLE["details"] = [CYCLE]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"details": {"legs": [1, 2, 3, {"qty": float("nan")}]}}, "details.legs[3].qty: a number is not finite"),
        ({"qty": Decimal("inf")}, "qty: a number is not finite"),
        ({"at": [NAIVE]}, "at[0]: a datetime has no time zone: use datetime.now(timezone.utc)"),
        ({"a": {"IBAN DE89 3704": {1}}}, "a[?]: a value is of type set, which JSON does not know: see default="),
        ({"a": [{5: 1}]}, "a[0]: a key is not a string"),
        ({5: 1}, "a key is not a string"),
        (CYCLE, "details[0]: the record contains itself"),
        ({"wei": 10**5000}, "wei: an integer has more than 4300 digits (sys.set_int_max_str_digits)"),
        ({"order": Order("X", "me", float("inf"))}, "order.limit: a number is not finite"),
        ({"a": None, "b": 2**70, "c": float("nan")}, "c: a number is not finite"),
    ],
)
def test_the_error_names_the_place_and_one_cause(record, message):
    with pytest.raises(UnserialisableError) as caught:
        PLAIN.line(record)
    assert str(caught.value) == message


@pytest.mark.parametrize("default", [lambda value: [value], lambda _: {1}, lambda _: float("nan")])
def test_a_hook_that_does_not_end_or_makes_what_cannot_be_written_is_named(default):
    with pytest.raises(UnserialisableError, match="because of what default= returns"):
        Serialiser(None, default, None).line({"a": {1}, "b": None})
