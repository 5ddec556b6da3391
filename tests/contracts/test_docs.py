"""The documents say what the program does: every command, option, key and default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from auditwatch.cli.main import COMMANDS, auditwatch
from auditwatch.config.keys import json_schema
from auditwatch.config.yaml_reader import read_yaml
from auditwatch.errors import Reason
from auditwatch.trail.causes import CAUSES
from auditwatch.trail.kinds import Kind
from auditwatch.trail.verdict import Basis

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def leaves() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = auditwatch.get_command(click.Context(auditwatch), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", inner) for below, inner in command.commands.items())
        else:
            yield name, command


LEAVES = dict(leaves())
SECTIONS = dict(
    re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (ROOT / "docs/cli.md").read_text(), re.MULTILINE | re.DOTALL)
)
EVERYWHERE = {"--log.format", "--log.level", "--help"}


def options(command: click.Command) -> set[str]:
    given = [param for param in command.params if isinstance(param, click.Option)]
    return {name for option in given for name in option.opts} - EVERYWHERE


def rows(document: str) -> dict[str, str]:
    """Key to default, as the tables say."""
    text = (ROOT / document).read_text()
    return {key: default.strip("` ") for key, default in re.findall(r"^\| `([^`]+)` \| ([^|]*)\|", text, re.MULTILINE)}


def properties(model: str) -> dict[str, Any]:
    schema: Any = json_schema()
    found: dict[str, Any] = schema["$defs"][model]["properties"] if model else schema["properties"]
    return found


def test_the_page_has_a_section_for_every_command_and_for_nothing_else() -> None:
    assert list(SECTIONS) == list(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_a_section_names_every_option_and_no_other(name: str) -> None:
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z.-]*", SECTIONS[name]))
    assert named == options(LEAVES[name])


def test_the_page_lists_every_reason_for_not_looking_with_the_words_of_the_code() -> None:
    listed = re.search(
        r"^\| reason \| meaning \|\n(.*?)\n\n", (ROOT / "docs/cli.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert listed is not None
    documented = re.findall(r"^\| `(\w+)` \| (.+) \|$", listed[1], re.MULTILINE)
    assert [reason for reason, _ in documented] == list(get_args(Reason))
    source = (ROOT / "auditwatch/errors.py").read_text()
    assert [reason for reason, meaning in documented if f"{reason:<13}" not in source or meaning not in source] == []


def test_the_status_page_lists_every_basis() -> None:
    listed = re.search(r"^\| `basis` \| .*? of (.*?);", (ROOT / "docs/http.md").read_text(), re.MULTILINE)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == list(Basis)


def test_the_readme_names_every_command() -> None:
    assert [name for name in COMMANDS if not re.search(rf"(auditwatch |`|make ){name}\b", README)] == []


def test_the_readme_names_every_kind_in_their_order() -> None:
    (listed,) = [paragraph for paragraph in README.split("\n\n") if "`oversize`" in paragraph]
    assert [word for word in re.findall(r"`(\w+)`", listed) if word in set(Kind)] == list(Kind)


def test_the_configuration_page_has_every_key_with_its_default() -> None:
    documented = rows("docs/configuration.md")
    known = {f"trails[].{key}": value for key, value in properties("TrailKeys").items()}
    known |= {f"web.{key}": value for key, value in properties("WebKeys").items()}
    known |= {f"rehash_budget.{key}": value for key, value in properties("RehashBudgetKeys").items()}
    known |= {"state_dir": properties("")["state_dir"], "defaults": {}}
    known |= schedule_keys()
    assert set(documented) == set(known)
    wrong = {key for key, value in known.items() if read_yaml(documented[key].encode()).value != value.get("default")}
    assert wrong == set()


def schedule_keys() -> dict[str, Any]:
    sample = properties("TrailKeys")["sample"]["anyOf"][0]["properties"]
    full = properties("TrailKeys")["full"]["anyOf"][0]["properties"]
    assert {key: sample[key] for key in full} == full
    found: dict[str, Any] = sample
    return found


def test_defaults_take_every_key_of_a_trail_but_its_own() -> None:
    own = {"name", "path", "segments", "keep", "rotation", "failure_log"}
    assert set(properties("DefaultKeys")) == set(properties("TrailKeys")) - own


def test_what_is_advised_against_damage_is_there_to_be_done() -> None:
    named = {word for cause in CAUSES.values() for word in re.findall(r"`([a-z_]+)", cause.remedy)}
    keys = re.findall(r"^\| `trails\[\]\.([a-z_]+)` \| (?!.*Not supported yet)", CONFIGURATION, re.MULTILINE)
    assert {"acknowledge", "tolerate"} <= named <= {*COMMANDS, *keys}
