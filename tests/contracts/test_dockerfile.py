"""The Dockerfile: its commands are commands, it runs as an ordinary user, and it copies what is there."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import Path

from auditwatch.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Name and rest of each instruction, continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def given(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def parsed(words: list[str]) -> None:
    """Let the command line parse the words without running anything."""
    command = importlib.import_module(COMMANDS[words[0]][0]).command
    command.make_context(words[0], list(words[1:])).close()


def test_what_it_runs_is_a_command_with_these_options() -> None:
    (entry,), (default,) = given("ENTRYPOINT"), given("CMD")
    assert json.loads(entry) == ["auditwatch"]
    parsed(json.loads(default))


def test_its_health_check_is_a_command_with_these_options() -> None:
    (check,) = given("HEALTHCHECK")
    program, *words = json.loads(check.partition("CMD ")[2])
    assert program == "auditwatch"
    parsed(words)


def test_it_does_not_run_as_root_and_is_built_in_two_stages_on_a_slim_image() -> None:
    assert given("USER") == ["auditwatch"]
    assert len(given("FROM")) == 2
    assert all("-slim" in image for image in given("FROM"))


def test_it_copies_only_what_is_there_and_enough_to_build() -> None:
    copied = {name for line in given("COPY") if "--from" not in line for name in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "auditwatch", "pyproject.toml"} <= copied


def test_it_is_refused_if_the_native_judge_was_not_built_and_the_compiler_stays_behind() -> None:
    _, build, shipped = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    assert "gcc" in build
    assert "auditwatch --version | grep -q '(native judge)'" in build
    assert "setup.py" in build
    assert "gcc" not in shipped


def test_it_mounts_the_directory_and_says_why() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"-v /\S+:/trails:ro", text)
    assert "pins its inode" in text
