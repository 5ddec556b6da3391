"""`auditwatch healthcheck`: 0 when the agent is alive, 1 when it is not; for containers and scripts."""

from __future__ import annotations

import click

from auditwatch.cli import options
from auditwatch.cli.sources import fetch
from auditwatch.errors import AgentSilent


@click.command("healthcheck")
@options.url
def command(url: str | None) -> int:
    """Ask a running agent whether it is alive.

    Says nothing about trails: an agent that has found damage is healthy. Exit status: 0 or 1.
    """
    try:
        fetch(url or options.DEFAULT_URL, "/-/healthy")
    except AgentSilent as error:
        click.echo(f"auditwatch: {error}", err=True)
        return 1
    return 0
