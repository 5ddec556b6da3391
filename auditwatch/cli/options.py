"""Options that several commands share, so that they are named and explained once."""

from __future__ import annotations

from typing import Final

import click

EXAMPLE_URL: Final = "http://127.0.0.1:9973"

state_dir = click.option(
    "--state-dir",
    metavar="DIR",
    help="The agent's state directory. Default: $STATE_DIRECTORY, else /var/lib/auditwatch as root, else "
    "$XDG_STATE_HOME/auditwatch; if nothing is there, that of this user's only agent.",
)
url = click.option(
    "--url", metavar="URL", help=f"Ask the agent at this address, such as {EXAMPLE_URL}, not that of a state directory."
)
output_format = click.option(
    "--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
exit_code = click.option("--exit-code", is_flag=True, help="Exit with status 1 if anything is open.")
listen_address = click.option(
    "--web.listen-address",
    "listen_address",
    metavar="HOST:PORT",
    help="Where to serve the page and the metrics.  [default: 127.0.0.1:9973]",
)
