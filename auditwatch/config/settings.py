"""What the agent is configured to do, as frozen values.

A configuration comes from a file, from the command line, or from both: trails named on the command line follow the
file's `defaults`, and options override the file. All mistakes are reported at once (`ConfigError`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import ValidationError

from auditwatch.config.hours import Hours
from auditwatch.config.keys import DEFAULT_LISTEN_ADDRESS, DefaultKeys, FileKeys, ScheduleKeys, TrailKeys
from auditwatch.config.places import default_state_directory
from auditwatch.config.problems import listed, model_problems, name_problems
from auditwatch.config.yaml_reader import Document, Problem, read_yaml
from auditwatch.errors import ConfigError
from auditwatch.trail.names import distinct_names
from auditwatch.trail.rules import Rules

Watch = Literal["auto", "events", "poll"]

_DAY: Final = 86400.0
_LARGEST_FILE: Final = 4 << 20  # a thousand trails take 100 kB


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a validation is due; never if neither is given.

    Attributes:
        every_seconds: Between two runs.
        cron: Five fields, weekdays by name.
        timezone: Of `cron`.
        window: Hours in which it may run; None: at any time.
    """

    every_seconds: float | None = None
    cron: str | None = None
    timezone: str = "UTC"
    window: Hours | None = None


@dataclass(frozen=True, slots=True)
class TrailConfig:
    """One trail.

    Attributes:
        name: Label of its metrics.
        path: Absolute; symbolic links are not followed here.
        watch: `auto` uses events where the file system delivers them reliably.
        workers: Worker processes for a full validation.
        sample_cover_in: Number of sample runs in which every block is judged again; 0 = no block is.
        expect_append_seconds: A longer silence is reported; 0 = no expectation.
        rehash_seconds: How often every byte that was judged is hashed again.
        sequence: Whether sequence numbers are judged where lines carry them.
        segments: Absolute patterns of closed segments, besides those beside the trail.
        wake_interval_seconds: Between the beginnings of two looks that events ask for.
        hold_seconds: How long after its last growth the active file is held open; None: as long as it is active.
        keep_seconds: How long closed segments are kept; None if the file does not say.
        rotation: `copytruncate` or `discard`, if the trail is rotated like that; else empty.
    """

    name: str
    path: str
    rules: Rules
    pending_grace_seconds: float
    poll_interval_seconds: float
    wake_interval_seconds: float
    watch: Watch
    workers: int
    full: Schedule
    sample: Schedule
    sample_lines: int
    sample_cover_in: int
    expect_append_seconds: float
    follow_symlink: bool
    sequence: Literal["auto", "off"]
    rehash_seconds: float = 3600.0
    keep_seconds: float | None = None
    hold_seconds: float | None = None
    rotation: str = ""
    segments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The listener.

    Attributes:
        listen_address: HOST:PORT, an IPv6 host in brackets; port 0 picks a free one.
        config_file: TLS and passwords; None = plain HTTP, open to anyone who can reach the address.
    """

    listen_address: str = DEFAULT_LISTEN_ADDRESS
    config_file: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the agent is configured with.

    Attributes:
        state_dir: None if not configured: see `state_directory`.
        trails: At least one; names are distinct.
        source: The file it was read from, if any.
        rehash_core_share: CPU seconds a second that hashing history again may take.
        rehash_bytes: Bytes a second that it may read.
        digest: Below 2**48; changes with every setting, but not with the form of the file.
    """

    state_dir: str | None
    web: WebConfig
    trails: tuple[TrailConfig, ...]
    source: str | None = None
    rehash_core_share: float = 0.01
    rehash_bytes: int = 20 << 20
    digest: int = 0


def load_config(
    source: str,
    trails: Sequence[str] = (),
    *,
    state_dir: str | None = None,
    listen_address: str | None = None,
) -> Config:
    """The configuration in a file, with what the command line adds and overrides.

    Args:
        source: Path of the file.
        trails: More trails, each `NAME=PATH` or `PATH`.
        state_dir: Instead of the file's.
        listen_address: Instead of the file's.

    Raises:
        ConfigError: Everything that is wrong with it, one line each.
    """
    keys = _keys_from(source)
    return _configured(keys, source, trails, state_dir, listen_address)


def config_from_arguments(
    trails: Sequence[str], *, state_dir: str | None = None, listen_address: str | None = None
) -> Config:
    """The configuration that a bare command line means: defaults for each trail.

    Args:
        trails: Each `NAME=PATH` or `PATH`.
        state_dir: None leaves the choice to `state_directory`.
        listen_address: HOST:PORT; None is the default.

    Raises:
        ConfigError: Everything that is wrong with it, one line each.
    """
    return _configured(FileKeys(), None, trails, state_dir, listen_address)


def state_directory(config: Config, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> str:
    """Where the agent keeps its state: as configured, else systemd's, else the system's or the user's directory."""
    if config.state_dir:
        return config.state_dir
    return default_state_directory(environ, os.getuid() if uid is None else uid)


def _keys_from(source: str) -> FileKeys:
    document = read_yaml(_file_bytes(source))
    if document.value is None and not document.problems:
        document.value = {}
    keys, problems = _checked(document)
    if keys is None or problems:
        raise ConfigError(listed(source, problems))
    return keys


def _file_bytes(source: str) -> bytes:
    try:
        with open(source, "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError([f"{source}: cannot be read: {error.strerror}"]) from None
    if len(content) > _LARGEST_FILE:
        raise ConfigError([f"{source}: is larger than {_LARGEST_FILE >> 20} MiB; is it a configuration file?"])
    return content


def _checked(document: Document) -> tuple[FileKeys | None, list[Problem]]:
    keys, problems = None, [*document.problems, *name_problems(document)]
    try:
        keys = FileKeys.model_validate(document.value) if document.value is not None else None
    except ValidationError as error:
        flawed = {problem.path for problem in document.problems}
        problems += [found for found in model_problems(document, error.errors()) if found.path not in flawed]
    return keys, problems


def _configured(
    keys: FileKeys, source: str | None, arguments: Sequence[str], state_dir: str | None, listen_address: str | None
) -> Config:
    base = os.path.dirname(os.path.abspath(source)) if source else os.getcwd()
    trails = [*_file_trails(keys, base), *_argument_trails(keys.defaults, arguments)]
    web = _web(keys, listen_address)
    chosen = state_dir or (os.path.join(base, keys.state_dir) if keys.state_dir else None)
    config = Config(
        os.path.abspath(chosen) if chosen else None,
        web,
        tuple(_named(trails)),
        source,
        keys.rehash_budget.core_share,
        keys.rehash_budget.bytes_per_second,
    )
    _check(config)
    return dataclasses.replace(config, digest=_digest(config))


def _web(keys: FileKeys, listen_address: str | None) -> WebConfig:
    if listen_address is None:
        return WebConfig(keys.web.listen_address)
    try:
        return WebConfig(FileKeys.model_validate({"web": {"listen_address": listen_address}}).web.listen_address)
    except ValidationError as error:
        raise ConfigError([f"--web.listen-address: {error.errors()[0]['ctx']['error']}"]) from None


def _file_trails(keys: FileKeys, base: str) -> Iterator[tuple[str | None, TrailConfig]]:
    for trail in keys.trails:
        yield (
            trail.name,
            _own(trail, base, _trail(_absolute(base, trail.path), _inherited(keys.defaults, trail))),
        )


def _argument_trails(defaults: DefaultKeys, arguments: Sequence[str]) -> Iterator[tuple[str | None, TrailConfig]]:
    for argument in arguments:
        name, path = split_argument(argument)
        try:
            TrailKeys.model_validate({"path": path} if name is None else {"path": path, "name": name})
        except ValidationError as error:
            raise ConfigError([f"{argument!r}: {error.errors()[0]['ctx']['error']}"]) from None
        yield name, _trail(os.path.abspath(path), defaults)


def split_argument(argument: str) -> tuple[str | None, str]:
    """Name and path of `NAME=PATH`, or None and the path; a path with a slash before its `=` is all path.

    >>> split_argument("risk=/var/log/a.jsonl"), split_argument("logs/x=1.jsonl")
    (('risk', '/var/log/a.jsonl'), (None, 'logs/x=1.jsonl'))
    """
    name, equals, path = argument.partition("=")
    if not equals or "/" in name or "." in name:
        return None, argument
    return name, path


def _inherited(defaults: DefaultKeys, trail: TrailKeys) -> DefaultKeys:
    own = {key: getattr(trail, key) for key in trail.model_fields_set if key in DefaultKeys.model_fields}
    return defaults.model_copy(update=own)


def _own(keys: TrailKeys, base: str, trail: TrailConfig) -> TrailConfig:
    """The trail with what no default can say."""
    segments = tuple(_absolute(base, pattern) for pattern in keys.segments)
    return dataclasses.replace(trail, keep_seconds=keys.keep, segments=segments, rotation=keys.rotation or "")


def _absolute(base: str, path: str) -> str:
    return os.path.normpath(os.path.join(base, path))


def _trail(path: str, keys: DefaultKeys) -> TrailConfig:
    return TrailConfig(
        name="",
        path=path,
        rules=_rules(keys),
        pending_grace_seconds=keys.pending_grace,
        poll_interval_seconds=keys.poll_interval,
        wake_interval_seconds=keys.wake_interval,
        watch=keys.watch,
        workers=keys.workers,
        full=dataclasses.replace(_schedule(keys.full, 7 * _DAY), window=keys.full_window),
        sample=_schedule(keys.sample, _DAY),
        sample_lines=keys.sample.lines if keys.sample else 0,
        sample_cover_in=(keys.sample.cover_in or 0) if keys.sample else 0,
        expect_append_seconds=keys.expect_append_every or 0.0,
        follow_symlink=keys.follow_symlink,
        sequence=keys.sequence,
        rehash_seconds=keys.rehash,
        hold_seconds=keys.hold,
    )


def _rules(keys: DefaultKeys) -> Rules:
    return Rules(keys.max_line_bytes, tuple(sorted(keys.require.items())), keys.strict, frozenset(keys.tolerate))


def _schedule(keys: ScheduleKeys | None, default_seconds: float) -> Schedule:
    if keys is None:
        return Schedule()
    if keys.cron is not None:
        return Schedule(cron=keys.cron, timezone=keys.timezone)
    return Schedule(every_seconds=keys.every or default_seconds)


def _named(trails: Iterable[tuple[str | None, TrailConfig]]) -> Iterator[TrailConfig]:
    """Given names stay; the others come from the path and give way, whatever the order."""
    pairs = list(trails)
    chosen = [name for name, _ in pairs if name]
    nameless = [trail.path for name, trail in pairs if not name]
    derived = iter(distinct_names([*chosen, *nameless])[len(chosen) :])
    for name, trail in pairs:
        yield dataclasses.replace(trail, name=name or next(derived))


def _check(config: Config) -> None:
    problems = [] if config.trails else ["no trail to watch; name one, for example: auditwatch run logs/audit.jsonl"]
    for what in ("name", "path"):
        values = [getattr(trail, what) for trail in config.trails]
        twice = sorted({value for value in values if values.count(value) > 1})
        problems += [f"two trails have the {what} {value!r}; change one of them" for value in twice]
    if problems:
        raise ConfigError([f"{config.source}: {problem}" if config.source else problem for problem in problems])


def _digest(config: Config) -> int:
    settings = dataclasses.asdict(dataclasses.replace(config, source=None, digest=0))
    canonical = json.dumps(settings, sort_keys=True, default=sorted)
    return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:6], "big")
