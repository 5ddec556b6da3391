"""`auditwatch acknowledge`: findings have been dealt with."""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from auditwatch.cli import options
from auditwatch.cli.sources import chosen_state_dir
from auditwatch.errors import NotApplied, StateLocked, UnknownFinding, UsageError
from auditwatch.trail.names import printable

if TYPE_CHECKING:
    from auditwatch.ledger.events import Scope
    from auditwatch.state.inbox import Answer, Request, Seen

GRACE_SECONDS: Final = 5.0
"""How long beyond a poll interval an agent may take."""

_LONGEST_REASON: Final = 1000

_GROUPS: Final = ("u", "w")
"""What the ids begin with that stand for however many there are."""


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
    from auditwatch.config.quantities import duration_seconds

    request = _request(ids or undo, trail, _scope(ids, undo, trail, take_all, inherited), by, reason, undo=bool(undo))
    try:
        timeout = duration_seconds(poll_interval) + GRACE_SECONDS
    except ValueError as error:
        raise UsageError(f"--poll-interval {error}") from None
    directory = chosen_state_dir(state_dir)
    _report(_carried_out(directory, replace(request, seen=_seen(directory, request)), timeout))


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
        by=_one_line(by or login_name(), "--by"),
        reason=_one_line(reason or "", "" if undo else "--reason"),
        ids=ids,
        trail=trail or "",
        undo=undo,
    )


def _seen(state_dir: str, request: Request) -> dict[str, Seen]:
    """What is known now of the trails of which not single findings are meant, but whatever is open.

    Raises:
        StateError: The state cannot be read.
    """
    from auditwatch.ledger.acknowledged import group_ids
    from auditwatch.state.inbox import Seen

    if not request.trail and not any(given.startswith(_GROUPS) for given in request.ids):
        return {}
    from auditwatch.agent.offline import load_snapshot

    unknown = {request.trail: Seen(0.0, 0)} if request.trail else {}
    return unknown | {
        trail.name: Seen(trail.state.first_seen, trail.state.step)
        for trail in load_snapshot(state_dir).trails
        if trail.name == request.trail or group_ids(trail.name) & set(request.ids)
    }


def _one_line(text: str, needed: str) -> str:
    line = " ".join(text.split())
    if not line and needed:
        raise UsageError(f"{needed} is missing: the next person will want to know")
    if not line.isprintable() or len(line) > _LONGEST_REASON:
        raise UsageError(f"{needed or '--reason'} must be printable text of at most {_LONGEST_REASON} characters")
    return line


def login_name() -> str:
    """Who is asking, even through sudo."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return f"uid {os.getuid()}"


def _carried_out(state_dir: str, request: Request, timeout_seconds: float) -> Answer:
    """Submit the request; the one writer of the state answers it, which is this process if there is no agent."""
    from auditwatch.state.inbox import await_answer, submit

    submit(state_dir, request)
    try:
        _apply(state_dir)
    except StateLocked:
        return await_answer(state_dir, request.id, timeout_seconds)
    return await_answer(state_dir, request.id, 0.0)


def _apply(state_dir: str) -> None:
    from auditwatch.agent.offline import apply_pending
    from auditwatch.state.lock import AgentLock

    with AgentLock(state_dir):
        apply_pending(state_dir, lambda complaint: click.echo(printable(f"auditwatch: {complaint}"), err=True))


def _report(answer: Answer) -> None:
    if answer.unknown:
        raise UnknownFinding(f"{answer.message}; `auditwatch status` and `auditwatch findings` list what there is")
    if not answer.applied:
        raise NotApplied(answer.message or "not applied")
    click.echo(answer.message or "done")
