"""`auditwatch acknowledge`: findings have been dealt with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from auditwatch.cli import options
from auditwatch.cli.asking import ask, login_name, one_line
from auditwatch.cli.sources import agents_directory
from auditwatch.errors import UnknownFinding, UsageError

if TYPE_CHECKING:
    from auditwatch.ledger.events import Scope
    from auditwatch.state.inbox import Request


@click.command("acknowledge")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--trail", metavar="NAME", help="Findings of this trail, with --all or --inherited.")
@click.option("--all", "take_all", is_flag=True, help="Everything that is open now; not damage found later.")
@click.option("--inherited", is_flag=True, help="What was already there when the agent first saw the trail.")
@click.option("--undo", metavar="ID", multiple=True, help="Reopen this finding.")
@click.option("--reason", metavar="TEXT", help="Why; kept with the finding.")
@click.option("--by", metavar="WHO", help="Who; your login name by default.")
@click.option("--poll-interval", metavar="DURATION", default="1s", show_default=True, help="The agent's poll_interval.")
@options.state_dir
def command(  # noqa: PLR0913  click passes one argument an option
    *,
    ids: tuple[str, ...],
    trail: str | None,
    take_all: bool,
    inherited: bool,
    undo: tuple[str, ...],
    reason: str | None,
    by: str | None,
    poll_interval: str,
    state_dir: str | None,
) -> None:
    """Acknowledge findings, so that they stop paging.

    The request goes into the agent's inbox; if no agent is running, it is applied at once. Exit status: 2 if no finding
    has this id, 3 if a running agent does not apply the request in time.
    """
    request = _request(ids or undo, trail, _scope(ids, undo, trail, take_all, inherited), by, reason, undo=bool(undo))
    ask(agents_directory(state_dir), request, poll_interval)


def _scope(ids: tuple[str, ...], undo: tuple[str, ...], trail: str | None, take_all: bool, inherited: bool) -> Scope:
    """Which findings are meant; exactly one way of saying so is allowed.

    Raises:
        UsageError: None was used, or several.
    """
    from auditwatch.ledger.events import Scope

    ways = [bool(ids), bool(undo), take_all, inherited]
    if sum(ways) != 1 or (trail is None) != bool(ids or undo):
        raise UsageError("say which findings: ID..., --undo ID, or --trail NAME with --all or --inherited")
    if take_all:
        return Scope.ALL
    return Scope.INHERITED if inherited else Scope.IDS


def _request(
    ids: tuple[str, ...], trail: str | None, scope: Scope, by: str | None, reason: str | None, *, undo: bool
) -> Request:
    from auditwatch.state.inbox import Request, is_finding_id, new_request_id

    if unlike := [given for given in ids if not is_finding_id(given)]:
        raise UnknownFinding(f"no finding has the id {unlike[0]}; `auditwatch findings` lists them")
    return Request(
        id=new_request_id(),
        asked=time.time(),
        scope=scope,
        by=one_line(by or login_name(), "--by"),
        reason=one_line(reason or "", "" if undo else "--reason"),
        ids=ids,
        trail=trail or "",
        undo=undo,
    )
