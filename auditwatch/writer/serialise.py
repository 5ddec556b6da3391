"""One record to one line of bytes, before any lock is taken.

orjson does the work. The standard library takes over where orjson would lose something: integers beyond 64 bits,
keys and values of subclasses, unpaired surrogates. It also has the last word where orjson may have written `null`
for a number that is not finite.
"""

from __future__ import annotations

import json
import marshal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from enum import Enum
from types import CoroutineType, NoneType
from typing import TYPE_CHECKING, Any, Final, TypeGuard
from uuid import UUID

import orjson

from auditwatch.trail.limits import MAX_DEPTH
from auditwatch.trail.own import RESERVED
from auditwatch.writer.culprit import culprit
from auditwatch.writer.failures import UnserialisableError
from auditwatch.writer.timestamp import utc_text

if TYPE_CHECKING:
    from decimal import Decimal

# A dataclass stands for its fields; orjson alone would skip names with an underscore and add other attributes.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_APPEND_NEWLINE


class Serialiser:
    """Turns records into lines.

    Args:
        timestamp_field: Member that is put first if a record has none; None to leave it out.
        default: As for `json.dumps`: called with a value of an unknown type, returns one of a known type.
        dumps: Replaces the serialisation; what it returns is checked.
    """

    __slots__ = ("_default", "_dumps", "_field", "_may_make_numbers", "_standard")

    def __init__(
        self,
        timestamp_field: str | None,
        default: Callable[[Any], Any] | None,
        dumps: Callable[[Any], bytes | str] | None,
    ) -> None:
        self._field = timestamp_field
        self._default = default
        self._may_make_numbers = not (default is None or default is str or default is repr)
        self._dumps = dumps
        self._standard = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=self.known
        )

    def line(self, record: object) -> bytes:
        """The line of a record with its newline.

        Raises:
            UnserialisableError: If the record is not a JSON object, or holds something that JSON or this trail cannot.
        """
        members = record if type(record) is dict else _members(record)
        if not RESERVED.isdisjoint(members):
            raise UnserialisableError("_seq, _prev and _auditwatch are reserved for the writer: rename the member")
        if self._field is not None and self._field not in members:
            members = {self._field: utc_text(time.time_ns()), **members}
        if self._dumps is not None:
            return self.checked(_bytes_of(_answer(self._dumps, members, "dumps")))
        try:
            return self.encoded(members)
        except UnserialisableError as error:
            raise self._explained(error, members) from error.__cause__

    def encoded(self, members: Mapping[str, object]) -> bytes:
        """As `line`, of members that are complete: `dumps` is not asked, and errors do not say where.

        Raises:
            UnserialisableError: If they hold something that JSON cannot.
        """
        try:
            line = orjson.dumps(members, self.known, _OPTIONS)
        except TypeError as error:
            if error.__cause__ is not None:  # what `known` raised, or a signal handler in the middle of it
                raise error.__cause__ from error.__cause__.__cause__
            return self._standard_line(members)
        # NaN and Infinity silently become null, so only a line with a null (`in` costs half as much again) needs a
        # second look.
        if line.find(b"null") >= 0 and (self._may_make_numbers or _may_hold_odd_number(members)):
            self._standard_line(members)
        return line

    def _explained(self, error: UnserialisableError, members: Mapping[str, object]) -> UnserialisableError:
        """The error with the place in the record, and with the one cause where there are several like it."""
        if error.__cause__ is not None:
            return error
        found = culprit(members, self._stand_in)
        if found is None and self._default is not None:
            found = f"{error}, because of what default= returns"
        return error if found is None else UnserialisableError(found)

    @staticmethod
    def checked(line: bytes) -> bytes:
        """The line with a newline added, if it is one whole JSON object and holds no newline.

        Raises:
            UnserialisableError: If it is not, or if it has a member that is reserved for the writer.
        """
        if b"\n" in line:
            raise UnserialisableError("the line holds a newline")
        record = _parsed(line)
        if not isinstance(record, dict):
            raise UnserialisableError("the line is not a JSON object")
        if not RESERVED.isdisjoint(record):
            raise UnserialisableError("_seq, _prev and _auditwatch are reserved for the writer: rename the member")
        if line.count(b"[") + line.count(b"{") > MAX_DEPTH:
            _refuse_depth(record)
        return line + b"\n"

    def _standard_line(self, members: Mapping[str, object]) -> bytes:
        try:
            text = self._standard.encode(members)
            self._refuse_odd_keys(members)
        except UnserialisableError:
            raise
        except ValueError:
            raise UnserialisableError("a number is not finite, or the record contains itself") from None
        except TypeError:
            raise UnserialisableError("a key is of a type that JSON does not know") from None
        except RecursionError:
            raise UnserialisableError(f"the record is nested more than {MAX_DEPTH} levels deep") from None
        # Unpaired surrogates cannot be encoded; as \udXXX they are grammatical, and only strings can hold them.
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def known(self, value: object) -> object:
        """What stands for a value that JSON does not know: by our rules, or else by the caller's `default`."""
        plain = self._by_rule(value)
        return plain if plain is not value else self._asked(value)

    def _stand_in(self, value: object) -> object:
        """As `known`, but `default` is not asked: it may answer something else the second time."""
        plain = self._by_rule(value)
        return plain if plain is not value or self._default is not None else self._asked(value)

    @staticmethod
    def _by_rule(value: object) -> object:
        """What stands for a value by our rules; the value itself if there is no such rule."""
        if isinstance(value, datetime) and value.tzinfo is None:
            raise UnserialisableError("a datetime has no time zone: use datetime.now(timezone.utc)")
        if isinstance(value, (date, time_of_day)):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        if _is_decimal(value):
            return _number_text(value)
        return _plain(value)

    def _refuse_odd_keys(self, record: Mapping[str, object]) -> None:
        """The standard library turns keys like 1, None and True into strings, which may produce one key twice."""
        level: list[object] = [record]
        for _ in range(MAX_DEPTH):
            level = [child for value in level for child in self._children(value)]
            if not level:
                return
        raise UnserialisableError(f"the record is nested more than {MAX_DEPTH} levels deep")

    def _children(self, value: object) -> Iterator[object]:
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise UnserialisableError("a key is not a string")
            yield from value.values()
        elif isinstance(value, (list, tuple)):
            yield from value
        elif not isinstance(value, (str, int, float, NoneType)):
            yield self.known(value)

    def _asked(self, value: object) -> object:
        if self._default is None:
            name = type(value).__name__
            raise UnserialisableError(f"a value is of type {name}, which JSON does not know: see default=")
        return _answer(self._default, value, "default")


def _may_hold_odd_number(members: Any) -> bool:
    """Whether there may be a number among them that is not finite; False is certain.

    The first version of marshal writes each number as text with its length before it, at the speed of C: a fifteenth of
    the price of a second serialisation. What it does not know is looked at more closely.
    """
    try:
        data = marshal.dumps(members, 1)
    except ValueError:
        return True
    return data.find(b"\x03nan") >= 0 or data.find(b"\x03inf") >= 0 or data.find(b"\x04-inf") >= 0


def _answer(hook: Callable[[Any], Any], value: object, name: str) -> object:
    """What a caller's function returns.

    Raises:
        UnserialisableError: If it raises an Exception, which is then the cause. Its text may hold the record.
    """
    try:
        answer = hook(value)
        if isinstance(answer, CoroutineType):
            answer.close()  # or else Python warns, before anybody sees the error, that it was never awaited
    except MemoryError:
        raise
    except Exception as error:
        raise UnserialisableError(f"{name}= raised {type(error).__name__}") from error
    if isinstance(answer, CoroutineType):
        raise UnserialisableError(f"{name}= returned a coroutine: it must not be async")
    return answer


def _parsed(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except ValueError:
        pass  # orjson refuses what the grammar allows: 1e400 and unpaired surrogates
    try:
        return json.loads(line.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise UnserialisableError("the line is not JSON in UTF-8") from None


def _refuse_depth(record: object) -> None:
    level = [record]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _inside(value)]
    if any(isinstance(value, (dict, list)) for value in level):
        raise UnserialisableError(f"the record is nested more than {MAX_DEPTH} levels deep")


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse_constant(name: str) -> object:
    raise UnserialisableError(f"{name} is not JSON")


def _members(record: object) -> Mapping[str, object]:
    plain = _plain(record)
    if isinstance(plain, dict):
        return plain
    raise UnserialisableError(f"a record is a mapping or a dataclass instance, not {type(record).__name__}")


def _plain(value: object) -> object:
    """What users expect to stand for a value; the value itself if there is no such rule."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    return float(value) if isinstance(value, float) else value


def _is_decimal(value: object) -> TypeGuard[Decimal]:
    # A program that never imported it has no Decimal, and is spared the millisecond.
    decimal = sys.modules.get("decimal")
    return decimal is not None and isinstance(value, decimal.Decimal)


def _number_text(value: Decimal) -> str:
    if not value.is_finite():
        raise UnserialisableError("a number is not finite")
    return str(value)


def _bytes_of(line: object) -> bytes:
    if isinstance(line, str):
        return line.encode("utf-8", "backslashreplace")
    if isinstance(line, bytes):
        return line
    raise UnserialisableError(f"dumps= returned {type(line).__name__}, not bytes or str")
