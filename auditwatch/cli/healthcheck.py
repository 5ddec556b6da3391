"""`auditwatch healthcheck`: 0 when the agent is alive, 1 when it is not; for containers and scripts."""

from __future__ import annotations

from typing import Final

import click

from auditwatch.cli import options
from auditwatch.cli.sources import agents_directory, fetch, fetch_locally
from auditwatch.errors import AgentSilent, StateDenied

_HEALTHY: Final = "/-/healthy"


@click.command("healthcheck")
@options.url
@options.state_dir
def command(url: str | None, state_dir: str | None) -> int:
    """Ask a running agent whether it is alive.

    Says nothing about trails: an agent that has found damage is healthy. Exit status: 0 or 1.
    """
    try:
        found = fetch(url, _HEALTHY) if url else fetch_locally(agents_directory(state_dir), _HEALTHY)
        silent = "no agent answers; is it running?" if found is None else ""
    except (AgentSilent, StateDenied) as error:
        silent = str(error)
    if silent:
        click.echo(f"auditwatch: {silent}", err=True)
    return 1 if silent else 0
