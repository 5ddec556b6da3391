"""`auditwatch config`: whether a configuration file is valid, and what it may contain."""

from __future__ import annotations

import json

import click

from auditwatch.trail.words import count_text


@click.group("config", no_args_is_help=False)
def command() -> None:
    """Check the configuration file, or print its schema."""


@command.command("check")
@click.argument("file", default="auditwatch.yml")
def check(file: str) -> None:
    """Check whether FILE can be used; all mistakes are reported at once.

    Looks only at the file, not at the trails: a missing trail is a state, not an error.
    """
    from auditwatch.config.settings import load_config  # pydantic takes 200 ms, --help needs none

    config = load_config(file)
    for trail in config.trails:
        click.echo(f"{trail.name}: {trail.path}")
    click.echo(f"{file}: fine, {count_text(len(config.trails), 'trail')}")


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from auditwatch.config.keys import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
