"""Requests to the one writer of the state, as files that appear whole or not at all.

`NAME.request` is written by a command, read by the agent, and removed once `NAME.answer` is there. What is not a
request, or could be somebody else's, becomes `NAME.rejected` and stays for a person to look at. The directory belongs
only to the agent (0700), yet nothing in it is trusted: a link, a FIFO or a gigabyte must not stop the agent.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from auditwatch.errors import NotApplied
from auditwatch.ledger.events import Scope
from auditwatch.state.inbox_files import (
    INBOX,
    Disbelieved,
    complaint_about_inbox,
    complaint_about_state,
    made_inbox,
    names_in,
    put_aside,
    read_fields,
    remove,
    write_fields,
)

_MAX_TEXT: Final = 4096
_MAX_PENDING: Final = 1000  # per look
_ANSWER_SECONDS: Final = 3600.0  # an answer that was never collected
_POLL_SECONDS: Final = 0.05
_ID: Final = re.compile(r"[0-9a-f]{32}")
_FINDING: Final = re.compile(r"[a-z][0-9a-f]{1,40}")
_NOT_A_REQUEST: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading JSON that is not a request, or not an answer, raises."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known of a trail when somebody asked: everything that its steps up to this one opened.

    Attributes:
        first_seen: When the trail was first looked at: another time means that its steps were counted anew.
        step: Number of the last step.
    """

    first_seen: float
    step: int


@dataclass(frozen=True, slots=True)
class Request:
    """A request to acknowledge findings, to undo that, or to take what lies there as new history.

    Attributes:
        id: 32 hex digits.
        asked: When, for people: clocks are changed, so it decides nothing.
        ids: Findings and violations, if `scope` is `ids`.
        trail: Name; empty = every trail, unless `scope` is `history`.
        undo: Reopen them instead.
        seen: What the asker saw, by name of the trail: `all` and `inherited` mean what was open then.
        number: Higher than that of every request that was waiting when this one was submitted; `submit` sets it.
    """

    id: str
    asked: float
    scope: Scope
    by: str
    reason: str
    ids: tuple[str, ...] = ()
    trail: str = ""
    undo: bool = False
    seen: Mapping[str, Seen] = field(default_factory=dict)
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        applied: Whether it is now durably part of the state.
        unknown: Ids that name nothing.
        message: One line for the user.
    """

    applied: bool
    unknown: tuple[str, ...] = ()
    message: str = ""


def new_request_id() -> str:
    """An id that no other request has."""
    return uuid.uuid4().hex


def is_finding_id(text: str) -> bool:
    """Whether a finding or violation could have this id.

    >>> is_finding_id("fb83f5ce166"), is_finding_id("../x")
    (True, False)
    """
    return _FINDING.fullmatch(text) is not None


def submit(state_dir: str, request: Request) -> None:
    """Put a request into the inbox, durably, after those that are waiting there.

    Raises:
        StateError: There is no such state directory.
        StateUnwritable: It cannot be written.
    """
    directory = made_inbox(state_dir)
    number = 1 + max((waiting.number for waiting in _waiting(state_dir)), default=0)
    write_fields(directory, f"{request.id}.request", _request_fields(replace(request, number=number)))


def pending(state_dir: str, complain: Callable[[str], None] = lambda _complaint: None) -> list[Request]:
    """Requests without an answer, in the order in which they were made; what is not a request is set aside.

    Args:
        state_dir: The state directory.
        complain: Called at each look with what others could have written or changed, and with what is set aside.
    """
    if (complaint := complaint_about_state(state_dir)) is not None:
        complain(complaint)
    if (complaint := complaint_about_inbox(state_dir)) is not None:
        complain(complaint)
        return []
    directory = os.path.join(state_dir, INBOX)
    found = [_taken(state_dir, name, complain) for name in names_in(directory, ".request")[:_MAX_PENDING]]
    return sorted((request for request in found if request), key=lambda request: (request.number, request.id))


def answer(state_dir: str, request_id: str, given: Answer) -> None:
    """Answer a request, which takes it out of the inbox; call it once the state is stored.

    Raises:
        StateUnwritable: The inbox cannot be written.
    """
    directory = made_inbox(state_dir)
    fields = {"applied": given.applied, "unknown": list(given.unknown), "message": given.message}
    write_fields(directory, f"{request_id}.answer", fields)
    remove(os.path.join(directory, f"{request_id}.request"))
    _forget_old_answers(directory)


def await_answer(
    state_dir: str,
    request_id: str,
    timeout_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Answer:
    """The answer to a request, which is then forgotten.

    Raises:
        NotApplied: There was none in time; the request stays in the inbox.
    """
    deadline = clock() + timeout_seconds
    while (found := _answer_to(state_dir, request_id)) is None:
        if clock() >= deadline:
            raise NotApplied(
                f"the agent did not apply the request within {timeout_seconds:.0f} s; it stays in {state_dir}/{INBOX}"
                " and takes effect as soon as an agent reads it"
            )
        pause(_POLL_SECONDS)
    remove(os.path.join(state_dir, INBOX, f"{request_id}.answer"))
    return found


def _waiting(state_dir: str) -> Iterator[Request]:
    """Requests without an answer; nothing is touched."""
    for name in names_in(os.path.join(state_dir, INBOX), ".request"):
        with suppress(*_NOT_A_REQUEST, OSError):
            yield _request(name.removesuffix(".request"), read_fields(state_dir, name))


def _taken(state_dir: str, name: str, complain: Callable[[str], None]) -> Request | None:
    path = os.path.join(state_dir, INBOX, name)
    try:
        return _request(name.removesuffix(".request"), read_fields(state_dir, name))
    except _NOT_A_REQUEST as error:
        why = str(error) if isinstance(error, Disbelieved) else "is not a request that this version understands"
        aside = put_aside(path)
        then = f"it is now {os.path.basename(aside)}" if aside else "it cannot be renamed either: remove it"
        complain(f"{path} {why}, so it was not applied; {then}")
    except OSError:
        pass  # gone again, or not readable now: the next look will show
    return None


def _answer_to(state_dir: str, request_id: str) -> Answer | None:
    try:
        fields = read_fields(state_dir, f"{request_id}.answer")
        return Answer(fields["applied"] is True, tuple(map(str, fields["unknown"])), str(fields["message"]))
    except OSError:
        return None
    except _NOT_A_REQUEST:
        return Answer(False, (), "the answer cannot be read")


def _request_fields(request: Request) -> dict[str, object]:
    return {
        "asked": request.asked,
        "scope": str(request.scope),
        "by": request.by,
        "reason": request.reason,
        "ids": list(request.ids),
        "trail": request.trail,
        "undo": request.undo,
        "seen": {name: {"first_seen": seen.first_seen, "step": seen.step} for name, seen in request.seen.items()},
        "number": request.number,
    }


def _request(request_id: str, fields: Any) -> Request:
    return Request(
        id=_matching(_ID, request_id),
        asked=_seconds(fields["asked"]),
        scope=Scope(fields["scope"]),
        by=_text(fields["by"]),
        reason=_text(fields["reason"]),
        ids=tuple(_matching(_FINDING, finding) for finding in fields["ids"]),
        trail=_text(fields["trail"]),
        undo=bool(fields["undo"]),
        seen={_text(name): _seen(seen) for name, seen in fields.get("seen", {}).items()},
        number=_count(fields.get("number", 0)),
    )


def _seen(fields: Any) -> Seen:
    return Seen(_seconds(fields["first_seen"]), _count(fields["step"]))


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError("not an id")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():  # it goes into a log line
        raise ValueError("not a short printable text")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ValueError("not a number of something")
    return value


def _seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, (int, float)) else -1.0
    if not 0 <= seconds < 1e11:  # NaN fails too
        raise ValueError("not a time")
    return seconds


def _forget_old_answers(directory: str, now: Callable[[], float] = time.time) -> None:
    for name in names_in(directory, ".answer"):
        path = os.path.join(directory, name)
        try:
            if now() - os.stat(path, follow_symlinks=False).st_mtime > _ANSWER_SECONDS:
                remove(path)
        except OSError:
            continue
