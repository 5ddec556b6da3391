"""The configuration file as pydantic sees it: every key with its type, default and meaning.

`auditwatch config schema` prints this as JSON Schema. The agent itself uses the frozen values of
`auditwatch.config.settings`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from auditwatch.config.cron import cron_expression, timezone_name
from auditwatch.config.hours import HOURS_PATTERN, Hours, hours_of
from auditwatch.config.quantities import DURATION_PATTERN, SIZE_PATTERN, duration_seconds, size_bytes
from auditwatch.host.addresses import parse_address
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import FieldType, is_field_name

NAME_PATTERN = r"^[a-z][a-z0-9_-]*$"
DEFAULT_LISTEN_ADDRESS = "127.0.0.1:9973"
_MAX_LINE_BYTES = 1 << 30


def _within(low: float, high: float, text: str) -> AfterValidator:
    def check(number: float) -> float:
        if not low <= number <= high:
            raise ValueError(f"must be between {text}")
        return number

    return AfterValidator(check)


def _name(name: str) -> str:
    if len(name) > 100 or not name.isascii() or not _is_name(name):
        raise ValueError(
            "is not a name such as risk-1: a lower-case letter, then lower-case letters, digits, _ or -; at most 100"
        )
    return name


def _is_name(name: str) -> bool:
    return name[:1].islower() and name == name.lower() and name.replace("_", "a").replace("-", "a").isalnum()


def _path(path: str) -> str:
    if not path or "\0" in path:
        raise ValueError("is not a path such as /var/log/trading/audit_trail.jsonl")
    return path


def _field_name(name: str) -> str:
    if not is_field_name(name):
        raise ValueError("is not a field's name: it must be printable, without quotes and backslashes")
    return name


def _listen_address(address: str) -> str:
    parse_address(address)
    return address


def _later(value: object) -> None:
    if value is not None:
        raise ValueError("is not supported yet by this version; remove it")


def _sequence(value: object) -> object:
    if value == "required":
        raise ValueError("required is not supported yet by this version; use auto or off")
    return value


def _off(value: object) -> object:
    if value is None:
        raise ValueError('is empty; use {every: 1d}, {cron: "15 3 * * sun"} or off')
    return None if value == "off" else value


Duration = Annotated[
    float, BeforeValidator(duration_seconds), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})
]
Size = Annotated[
    int,
    BeforeValidator(size_bytes),
    _within(1, _MAX_LINE_BYTES, "1 byte and 1GiB"),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer"}]}),
]
PollInterval = Annotated[Duration, _within(0.01, 3600, "10ms and 1h")]
WakeInterval = Annotated[Duration, _within(0, 10, "0s and 10s")]
Interval = Annotated[Duration, _within(1, float("inf"), "1s and 100y")]
HoursOfDay = Annotated[Hours, BeforeValidator(hours_of), WithJsonSchema({"type": "string", "pattern": HOURS_PATTERN})]
NotYet = Annotated[
    None, BeforeValidator(_later), WithJsonSchema({"type": "null", "description": "not supported yet by this version"})
]
Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN, "maxLength": 100})
]
TrailPath = Annotated[str, AfterValidator(_path)]


class _Keys(BaseModel):
    """Only known keys, and no value is converted from one type into another."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class WebKeys(_Keys):
    """The listener for the page and the metrics."""

    listen_address: Annotated[str, AfterValidator(_listen_address)] = Field(
        default=DEFAULT_LISTEN_ADDRESS, description="HOST:PORT; port 0 picks a free one"
    )
    config_file: NotYet = Field(default=None, description="TLS and passwords")


class ScheduleKeys(_Keys):
    """When a validation is due: at an interval or by cron; if neither is given, at the default interval."""

    every: Interval | None = Field(default=None, description="interval between runs; without cron: 7d, samples 1d")
    cron: Annotated[str, AfterValidator(cron_expression)] | None = Field(
        default=None, description="minute hour day month weekday; weekdays by name"
    )
    timezone: Annotated[str, AfterValidator(timezone_name)] = Field(default="UTC", description="of the cron expression")

    @model_validator(mode="after")
    def _is_one_way(self) -> ScheduleKeys:
        if self.every is not None and self.cron is not None:
            raise ValueError("has both every and cron; remove one of them")
        if self.cron is None and "timezone" in self.model_fields_set:
            raise ValueError("a timezone only makes sense with cron; remove it or add cron")
        return self


class SampleKeys(ScheduleKeys):
    """When a sample is due, and how large it is."""

    lines: Annotated[int, _within(1, 1_000_000, "1 and 1000000")] = Field(default=100, description="lines in a sample")
    cover_in: Annotated[int, _within(1, 1000, "1 and 1000")] | None = Field(
        default=None, description="number of runs in which every block of 4 MiB is judged again; by default, none is"
    )


def _schedule_schema(keys: type[ScheduleKeys]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [keys.model_json_schema(), {"const": "off"}]})


class DefaultKeys(_Keys):
    """What applies to each trail that does not say otherwise."""

    max_line_bytes: Size = Field(default="1MiB", description="a longer line is oversize", validate_default=True)
    pending_grace: Duration = Field(
        default="30s",
        description="how long a closed segment must not grow before its unended tail is torn",
        validate_default=True,
    )
    poll_interval: PollInterval = Field(default="1s", description="how often a trail is checked", validate_default=True)
    wake_interval: WakeInterval = Field(
        default="50ms", description="how often a trail that changes all the time is looked at", validate_default=True
    )
    watch: Literal["auto", "events", "poll"] = Field(
        default="auto", description="auto: events where the file system delivers them reliably; poll: never events"
    )
    workers: Annotated[int, _within(1, 64, "1 and 64")] = Field(
        default=1, description="worker processes for a full validation"
    )
    require: dict[Annotated[str, AfterValidator(_field_name)], Annotated[FieldType, Field(strict=False)]] = Field(
        default={}, description="fields, with their types, that every record must have"
    )
    tolerate: list[Annotated[Kind, Field(strict=False)]] = Field(default=[], description="kinds that count as records")
    strict: bool = Field(default=False, description="the same key twice in one object is damage")
    expect_append_every: Interval | None = Field(default=None, description="a longer silence is reported")
    follow_symlink: bool = Field(default=False, description="if false, a trail that is a symbolic link is an error")
    sequence: Annotated[Literal["auto", "off"], BeforeValidator(_sequence)] = Field(
        default="auto", description="auto: sequence numbers are judged where lines carry them; off: never"
    )
    full: Annotated[ScheduleKeys | None, BeforeValidator(_off), _schedule_schema(ScheduleKeys)] = Field(
        default={"every": "7d"}, description="when every line is judged again", validate_default=True
    )
    sample: Annotated[SampleKeys | None, BeforeValidator(_off), _schedule_schema(SampleKeys)] = Field(
        default={"every": "1d", "lines": 100}, description="when random lines are judged again", validate_default=True
    )
    rehash: Interval = Field(
        default="1h", description="how often every byte that was judged is hashed again", validate_default=True
    )
    hold: Duration | None = Field(
        default=None, description="how long after its last growth the active file is held open; 0s: never"
    )
    full_window: HoursOfDay | None = Field(
        default=None,
        description="hours in which a scheduled full validation may run: 22:00-06:00, in UTC or a time zone",
    )


class TrailKeys(DefaultKeys):
    """One trail; whatever it does not set comes from `defaults`."""

    name: Name | None = Field(default=None, description="label of the trail's metrics; taken from the path if absent")
    path: TrailPath = Field(description="path of the file that producers append to; relative to the configuration file")
    segments: list[TrailPath] = Field(
        default=[],
        description="patterns of closed segments in other places: old/audit-*.jsonl*; relative to this file",
    )
    keep: Duration | None = Field(
        default=None, description="how long closed segments are kept; one that goes earlier is missing"
    )
    rotation: Literal["copytruncate", "discard"] | None = Field(
        default=None, description="how else than by renaming the trail is rotated: a warning instead of a violation"
    )
    failure_log: NotYet = Field(default=None, description="a log in which producers report failed writes")


class RehashBudgetKeys(_Keys):
    """What hashing history again may take, over all trails together."""

    core_share: Annotated[float, Field(strict=False), _within(0.0001, 64, "0.0001 and 64")] = Field(
        default=0.01, description="CPU seconds a second: 0.01 is one hundredth of a core"
    )
    bytes_per_second: Annotated[int, BeforeValidator(size_bytes), _within(1, 1 << 40, "1 byte and 1024GiB")] = Field(
        default="20MiB", description="bytes read a second", validate_default=True
    )


class FileKeys(_Keys):
    """The whole configuration file."""

    state_dir: TrailPath | None = Field(default=None, description="where the agent keeps its state")
    web: WebKeys = Field(default_factory=WebKeys)
    rehash_budget: RehashBudgetKeys = Field(default_factory=RehashBudgetKeys)
    defaults: DefaultKeys = Field(default_factory=DefaultKeys)
    trails: list[TrailKeys] = Field(default_factory=list)


def json_schema() -> dict[str, object]:
    """The configuration file as JSON Schema."""
    schema = FileKeys.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "auditwatch configuration"}
