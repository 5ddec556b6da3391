"""The configuration: strict, all mistakes at once, each with its line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from auditwatch.config.keys import json_schema
from auditwatch.config.settings import Config, Schedule, config_from_arguments, load_config, state_directory
from auditwatch.errors import ConfigError
from auditwatch.trail.kinds import Kind
from auditwatch.trail.rules import FieldType, Rules

DAY = 86400.0


def loaded(tmp_path: Path, text: str) -> Config:
    (tmp_path / "a.yml").write_text(text)
    return load_config(str(tmp_path / "a.yml"))


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    return [problem.removeprefix(f"{tmp_path}/a.yml:") for problem in caught.value.problems]


def test_the_example_of_the_design_is_read_to_the_letter(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
state_dir: /var/lib/auditwatch
web: {listen_address: "127.0.0.1:9973", config_file: null}
defaults: {max_line_bytes: 1MiB, pending_grace: 30s, poll_interval: 1s, wake_interval: 50ms, watch: auto,
  workers: 1, full_window: null}
trails:
  - name: risk
    path: /var/log/trading/audit_trail.jsonl
    require: {timestamp: datetime, event: string}
    tolerate: [blank]
    expect_append_every: 15m
    sequence: auto
    full: {every: 7d}
    sample: {every: 1d, lines: 100}
    follow_symlink: true
""",
    )
    (trail,) = config.trails
    assert (config.state_dir, config.web.listen_address) == ("/var/lib/auditwatch", "127.0.0.1:9973")
    assert (trail.name, trail.path) == ("risk", "/var/log/trading/audit_trail.jsonl")
    required = (("event", FieldType.STRING), ("timestamp", FieldType.DATETIME))
    assert trail.rules == Rules(1 << 20, required, False, frozenset({Kind.BLANK}))
    assert (trail.pending_grace_seconds, trail.poll_interval_seconds, trail.watch, trail.workers) == (30, 1, "auto", 1)
    assert (trail.expect_append_seconds, trail.follow_symlink, trail.sequence) == (900, True, "auto")
    assert (trail.full, trail.sample, trail.sample_lines) == (Schedule(7 * DAY), Schedule(DAY), 100)


def test_a_bare_path_gets_the_defaults(tmp_path: Path) -> None:
    by_file = loaded(tmp_path, "trails: [{path: /x/a.jsonl}]").trails
    assert config_from_arguments(["/x/a.jsonl"]).trails == by_file


def test_patterns_of_segments_are_relative_to_the_file(tmp_path: Path) -> None:
    (trail,) = loaded(tmp_path, 'trails: [{path: a.jsonl, segments: ["old/a-*.jsonl*", /arch/*/a.jsonl.gz]}]').trails
    assert trail.segments == (f"{tmp_path}/old/a-*.jsonl*", "/arch/*/a.jsonl.gz")


def test_a_trail_overrides_the_defaults_key_by_key(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "defaults: {workers: 2, strict: true, full: off}\n"
        "trails: [{path: /a, workers: 3}, {path: /b, full: {every: 1d}, strict: false}]",
    )
    first, second = config.trails
    assert (first.workers, first.rules.strict, first.full) == (3, True, Schedule())
    assert (second.workers, second.rules.strict, second.full) == (2, False, Schedule(DAY))


def test_a_schedule_is_an_interval_a_cron_line_or_off(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        'trails: [{path: /a, full: {cron: "15 3 * * sun", timezone: Europe/London}, sample: off},'
        " {path: /b, sample: {lines: 7, cover_in: 30}}]",
    )
    first, second = config.trails
    assert (first.full, first.sample) == (Schedule(None, "15 3 * * sun", "Europe/London"), Schedule())
    assert (second.sample, second.sample_lines, second.sample_cover_in) == (Schedule(DAY), 7, 30)
    assert first.sample_cover_in == 0


def test_all_mistakes_are_said_at_once_each_with_line_key_and_remedy(tmp_path: Path) -> None:
    text = """
state_dir: 7
web: {listen_adress: "127.0.0.1:9973"}
defaults:
  max_line_bytes: 1MB
  watch: sometimes
trails:
  - name: Risk
    path: a.jsonl
    path: b.jsonl
    full: {cron: "15 3 * * 0"}
  - require: {timestamp: date}
"""
    assert problems(tmp_path, text) == [
        "2: state_dir: must be text; put it in quotes",
        "3: web.listen_adress: unknown key; did you mean listen_address?",
        "5: defaults.max_line_bytes: is not a size such as 512KiB, 1MiB or 1GiB",
        "6: defaults.watch: must be one of 'auto', 'events' or 'poll'",
        (
            "8: trails[0].name: is not a name such as risk-1: a lower-case letter, then lower-case letters, digits, "
            "_ or -; at most 100"
        ),
        "10: trails[0].path: appears twice, first in line 9; remove one of them",
        (
            "11: trails[0].full.cron: gives weekdays as numbers, and 0 is Sunday in some crons but Monday in others; "
            "use names: sun or mon-fri"
        ),
        (
            "12: trails[1].require.timestamp: must be one of 'string', 'integer', 'number', 'boolean', 'object', "
            "'array', 'any', 'datetime' or 'datetime_naive'"
        ),
        "12: trails[1].path: is missing; add it",
    ]


@pytest.mark.parametrize(
    ("trail", "words"),
    [
        ("poll_interval: 1ms", "must be between 10ms and 1h"),
        ("poll_interval: 10", "is not a duration"),
        ("workers: 0", "must be between 1 and 64"),
        ("workers: '2'", "must be a whole number"),
        ("max_line_bytes: 2GiB", "must be between 1 byte and 1GiB"),
        ("strict: yes", "must be true or false"),
        ("tolerate: blank", "must be a list"),
        ("tolerate: [blanks]", "must be one of 'oversize', 'blank'"),
        ("sample: {every: 1d, lines: 0}", "must be between 1 and 1000000"),
        ("sample: {cover_in: 0}", "must be between 1 and 1000"),
        ("sample: {cover_in: 1001}", "must be between 1 and 1000"),
        ("sample: {cover_in: 1.5}", "must be a whole number"),
        ("full: {cover_in: 30}", "unknown key"),
        ("sample: {every: 1d, cron: '0 0 * * *'}", "has both every and cron"),
        ("full: null", "is empty"),
        ("full: on", "must contain keys"),
        ("full: {cron: '0 0 30 feb *'}", "never comes due"),
        ("full: {cron: '0 0 * *'}", "must have five fields"),
        ("full: {cron: '0 25 * * *'}", "is not a cron expression"),
        ("full: {cron: '0 0 * * */2'}", "gives weekdays as numbers"),
        ("full: {cron: '0 0 * * *', timezone: Nowhere/Town}", "is not a time zone"),
        ("full: {cron: '0 0 * * *', timezone: ../../etc/passwd}", "is not a time zone"),
        ("full: {every: 1d, timezone: UTC}", "only makes sense with cron"),
        ("full: {every: 0}", "must be between 1s and 100y"),
        ("path: ''", "is not a path"),
        ("nonsense: 1", "unknown key; known here: "),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(trail: str, words: str, tmp_path: Path) -> None:
    path = "" if trail.startswith("path") else "    path: /x\n"
    found = problems(tmp_path, f"trails:\n  - name: x\n{path}    {trail}\n")
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("web", "config_file: web.yml"),
        ("trail", "failure_log: {path: app.log}"),
        ("trail", "sequence: required"),
    ],
)
def test_a_key_of_a_later_version_is_refused_and_not_ignored(place: str, key: str, tmp_path: Path) -> None:
    trail = f", {key}" if place == "trail" else ""
    head = "" if place == "trail" else f"{place}: {{{key}}}\n"
    (found,) = problems(tmp_path, f"{head}trails: [{{path: /x{trail}}}]\n")
    assert "not supported yet by this version" in found


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1:9973", "host:port", "h:99999", "h:-1", "h:", ":٣", "[::1]", "h:999999999999"]
)
def test_what_is_no_listen_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--web\.listen-address: is not HOST:PORT"):
        config_from_arguments(["/x"], listen_address=address)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:9973", "localhost:65535", ":9973"])
def test_a_listen_address_on_the_command_line_overrides_the_file(address: str, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("web: {listen_address: '1.2.3.4:1'}\ntrails: [{path: /x}]")
    assert load_config(str(tmp_path / "a.yml"), listen_address=address).web.listen_address == address


def test_names_come_from_paths_and_give_way_to_chosen_ones(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("trails: [{path: /1/risk.jsonl}, {path: /2/risk.jsonl}, {path: /3, name: risk}]")
    config = load_config(str(tmp_path / "a.yml"), ["mine=/4/x.jsonl", "/5/Risk.jsonl"])
    assert [trail.name for trail in config.trails] == ["risk-2", "risk-3", "risk", "mine", "risk-4"]


def test_trails_that_share_a_name_or_a_path_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "trails:\n- {name: a, path: /x}\n- {name: a, path: /y}\n- {name: b, path: /x}\n")
    assert found == [
        "3: trails[1].name: 'a' is already used in line 2; change one of them",
        "4: trails[2].path: '/x' is already used in line 2; change one of them",
    ]
    with pytest.raises(ConfigError, match="two trails have the name 'a'"):
        config_from_arguments(["a=/x", "a=/y"])
    with pytest.raises(ConfigError, match="two trails have the path '/x'"):
        config_from_arguments(["a=/x", "b=/x"])


@pytest.mark.parametrize("argument", ["Risk=/x", "=/x", "a b=/x", "a=", "1=/x"])
def test_a_bad_argument_is_one_clear_line(argument: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_arguments([argument])
    assert len(caught.value.problems) == 1
    assert repr(argument) in caught.value.problems[0]


def test_a_path_may_hold_an_equals_sign(tmp_path: Path) -> None:
    assert config_from_arguments(["./a=b.jsonl"]).trails[0].path == os.path.abspath("a=b.jsonl")
    assert config_from_arguments(["x=/a=b"]).trails[0].path == "/a=b"


def test_relative_paths_count_from_the_file_and_on_the_command_line_from_where_one_is(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("state_dir: state\ntrails: [{path: logs/../a.jsonl}]")
    config = load_config(str(tmp_path / "a.yml"), ["b.jsonl"])
    assert [trail.path for trail in config.trails] == [str(tmp_path / "a.jsonl"), os.path.abspath("b.jsonl")]
    assert config.state_dir == str(tmp_path / "state")


def test_without_a_trail_there_is_nothing_to_watch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trail to watch"):
        config_from_arguments([])
    with pytest.raises(ConfigError, match="no trail to watch"):
        loaded(tmp_path, "")


@pytest.mark.parametrize("text", ["- a\n", "text\n", "7\n"])
def test_a_file_that_holds_no_keys_is_one_problem(text: str, tmp_path: Path) -> None:
    assert problems(tmp_path, text) == ["1: must contain keys, as in {key: value}"]


def test_a_file_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    for path, words in [(tmp_path / "none.yml", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(ConfigError, match=words):
            load_config(str(path))
    (tmp_path / "large.yml").write_bytes(b"#" * (5 << 20))
    with pytest.raises(ConfigError, match="is larger than"):
        load_config(str(tmp_path / "large.yml"))


def test_the_digest_changes_with_a_setting_and_not_with_the_form(tmp_path: Path) -> None:
    first = loaded(tmp_path, "trails: [{path: /x, workers: 2, tolerate: [blank, torn]}]")
    same = loaded(
        tmp_path, "# said otherwise\ndefaults: {workers: 2}\ntrails:\n- tolerate: [torn, blank]\n  path: /x\n"
    )
    other = loaded(tmp_path, "trails: [{path: /x, workers: 3, tolerate: [blank, torn]}]")
    assert first.digest == same.digest != other.digest
    assert 0 < first.digest < 1 << 48


@pytest.mark.parametrize(
    ("given", "environ", "uid", "directory"),
    [
        ("/chosen", {"STATE_DIRECTORY": "/systemd"}, 0, "/chosen"),
        (None, {"STATE_DIRECTORY": "/systemd:/second"}, 1000, "/systemd"),
        (None, {}, 0, "/var/lib/auditwatch"),
        (None, {"XDG_STATE_HOME": "/xdg", "HOME": "/home/ann"}, 1000, "/xdg/auditwatch"),
        (None, {"XDG_STATE_HOME": "relative", "HOME": "/home/ann"}, 1000, "/home/ann/.local/state/auditwatch"),
        (None, {"HOME": "/home/ann"}, 1000, "/home/ann/.local/state/auditwatch"),
    ],
)
def test_the_state_directory_is_chosen_in_order(
    given: str | None, environ: dict[str, str], uid: int, directory: str
) -> None:
    assert state_directory(config_from_arguments(["/x"], state_dir=given), environ, uid) == directory


def test_the_schema_is_json_and_knows_every_key() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert set(schema["properties"]) == {"state_dir", "web", "rehash_budget", "defaults", "trails"}
    assert schema["additionalProperties"] is False
    assert {"name", "path", "full", "sample", "require"} <= set(schema["$defs"]["TrailKeys"]["properties"])
