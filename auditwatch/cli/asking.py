"""Asking the one writer of the state: a request goes into the inbox, and its answer is told."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from auditwatch.cli.permissions import check_permission
from auditwatch.cli.sources import silence
from auditwatch.errors import NotApplied, StateLocked, UnknownFinding, UsageError
from auditwatch.trail.names import printable

if TYPE_CHECKING:
    from auditwatch.state.inbox import Answer, Request, Seen

GRACE_SECONDS: Final = 5.0
"""How long beyond a poll interval an agent may take."""

_LONGEST_REASON: Final = 1000

_GROUPS: Final = ("u", "w")
"""What the ids begin with that stand for however many there are."""


def ask(state_dir: str, request: Request, poll_interval: str) -> None:
    """Put a request to the agent, or apply it if there is none, and print what became of it, and that there is none.

    Args:
        state_dir: The agent's.
        request: Still without what its asker sees.
        poll_interval: The agent's, as it is written in its configuration.

    Raises:
        UsageError: The poll interval is not a duration.
        StateError: The state cannot be read or written.
        StateDenied: Not by this user.
        UnknownFinding: There is no such trail or finding.
        NotApplied: It was refused, or not applied in time.
    """
    from auditwatch.config.quantities import duration_seconds

    try:
        timeout = duration_seconds(poll_interval) + GRACE_SECONDS
    except ValueError as error:
        raise UsageError(f"--poll-interval {error}") from None
    check_permission(state_dir, to_ask=True)
    notice = silence(state_dir, "applied to {}")
    answer, is_by_agent = _carried_out(state_dir, replace(request, seen=_seen(state_dir, request)), timeout)
    _report(answer, "" if is_by_agent else notice)


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


def one_line(text: str, needed: str) -> str:
    """A text for the record, in one line.

    Args:
        text: As it was given.
        needed: The option that must give it; empty if it may be missing.

    Raises:
        UsageError: It is missing, too long or not printable.
    """
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


def _carried_out(state_dir: str, request: Request, timeout_seconds: float) -> tuple[Answer, bool]:
    """The answer of the one writer of the state, which is this process if there is no agent; whether there is one."""
    from auditwatch.state.inbox import await_answer, submit

    submit(state_dir, request)
    try:
        _apply(state_dir)
    except StateLocked:
        return await_answer(state_dir, request.id, timeout_seconds), True
    return await_answer(state_dir, request.id, 0.0), False


def _apply(state_dir: str) -> None:
    from auditwatch.agent.offline import apply_pending
    from auditwatch.state.lock import AgentLock

    with AgentLock(state_dir):
        apply_pending(state_dir, lambda complaint: click.echo(printable(f"auditwatch: {complaint}"), err=True))


def _report(answer: Answer, notice: str) -> None:
    if answer.unknown:
        aside = " (no agent answers: this is what its state says)" if notice else ""
        raise UnknownFinding(
            f"{answer.message}{aside}; `auditwatch status` and `auditwatch findings` list what there is"
        )
    if not answer.applied:
        raise NotApplied(answer.message or "not applied")
    if notice:
        click.echo(notice)
    click.echo(answer.message or "done")
