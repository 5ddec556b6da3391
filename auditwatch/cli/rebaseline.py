"""`auditwatch rebaseline`: what lies there after a planned change is the trail's new history."""

from __future__ import annotations

import time

import click

from auditwatch.cli import options
from auditwatch.cli.asking import ask, login_name, one_line
from auditwatch.cli.sources import agents_directory


@click.command("rebaseline")
@click.argument("trail")
@click.option("--reason", metavar="TEXT", help="Why; kept with the trail.")
@click.option("--by", metavar="WHO", help="Who; your login name by default.")
@click.option("--poll-interval", metavar="DURATION", default="1s", show_default=True, help="The agent's poll_interval.")
@options.state_dir
def command(*, trail: str, reason: str | None, by: str | None, poll_interval: str, state_dir: str | None) -> None:
    """Take what lies there now as the history of TRAIL, after a planned change.

    The agent's open violations of history are acknowledged with the reason. If the start of the file was dropped, the
    agent says how much, and how much of the rest it could prove to be as recorded. Exit status: 2 if no trail has this
    name, 3 if a running agent does not apply the request in time, or none is running.
    """
    from auditwatch.ledger.events import Scope
    from auditwatch.state.inbox import Request, new_request_id

    request = Request(
        id=new_request_id(),
        asked=time.time(),
        scope=Scope.HISTORY,
        by=one_line(by or login_name(), "--by"),
        reason=one_line(reason or "", "--reason"),
        trail=trail,
    )
    ask(agents_directory(state_dir), request, poll_interval)
