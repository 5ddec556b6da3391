"""Where answers about trails come from: the agent that was named, or the one of a state directory, or that directory.

An agent is asked on the socket in its state directory, whatever address, password or certificate its port has. The
directory is the one that was named, else the one that an agent has by default; if neither an agent nor a state is
there, it is that of the only agent on this host that runs as the same user.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import click

from auditwatch.cli.options import EXAMPLE_URL
from auditwatch.cli.permissions import check_permission
from auditwatch.config.places import AGENT_SOCKET, STEP_NAME, SYSTEM_STATE_DIRECTORY, default_state_directory
from auditwatch.errors import AgentSilent, UsageError
from auditwatch.host.local_sockets import connection_to, directories_with
from auditwatch.trail.names import printable

_TIMEOUT_SECONDS: Final = 10.0
_LARGEST_ANSWER: Final = 256 << 20  # 1,000 trails and 1,000 findings are a few MB
_NOBODY: Final = "no agent answers"


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer about trails.

    Attributes:
        content: As the endpoint gives it.
        notice: That no agent gave it, and how old it is; empty if one did.
    """

    content: dict[str, Any]
    notice: str = ""


def answered(
    url: str | None,
    state_dir: str | None,
    path: str,
    query: Mapping[str, str] | None,
    stored: Callable[[str], dict[str, Any]],
    *,
    only_stored: bool = False,
) -> Answered:
    """What the agent says, or what its state directory says if no agent answers.

    Args:
        url: From the command line: only this agent is asked.
        state_dir: From the command line: only the agent with this state directory is asked.
        path: Of the endpoint.
        query: Parameters of the request.
        stored: Reads the same from a state directory.
        only_stored: Whether the state directory is to be read even if its agent answers.

    Raises:
        UsageError: Both were given, the URL is not one, or there are several agents.
        AgentSilent: The URL was given and no agent answers there.
        StateUnwritable: No agent answers, and there is no state to read.
    """
    if url and state_dir:
        raise UsageError("--url and --state-dir both name an agent: give only one of them")
    if url:
        return Answered(_decoded(url, fetch(url, path, query)))
    directory = agents_directory(state_dir)
    found = fetch_locally(directory, path, query)
    if found is None:
        return Answered(stored(directory), silence(directory, "this is what {} says"))
    return Answered(stored(directory) if only_stored else _decoded(directory, found))


def say(answered: Answered, output_format: str, lines: Iterable[str]) -> None:
    """Print an answer: as text, with the notice first, or as JSON, with the notice among the messages."""
    if output_format == "json":
        if answered.notice:
            click.echo(f"auditwatch: {answered.notice}", err=True)
        click.echo(json.dumps(answered.content, indent=2))
    else:
        click.echo("\n".join([answered.notice, *lines] if answered.notice else lines))


def agents_directory(state_dir: str | None) -> str:
    """The state directory that was named, else the default one, else that of the only agent of this user.

    Raises:
        UsageError: There is nothing in the default one, and there are several agents.
        StateDenied: This user may not look into it; or into the system's, where nothing else is to be looked at.
    """
    if state_dir:
        directory = os.path.abspath(state_dir)
        check_permission(directory)
        return directory
    default = default_state_directory(os.environ, os.getuid())
    check_permission(default)
    if os.path.lexists(os.path.join(default, STEP_NAME)) or _answers(default):
        return default
    others = [directory for directory in directories_with(AGENT_SOCKET) if _answers(directory)]
    if len(others) > 1:
        listed = "".join(f"\n    --state-dir {printable(directory)}" for directory in others)
        raise UsageError(f"{_NOBODY} at {default}, and there are several others; name one of them:{listed}")
    if not others:
        check_permission(SYSTEM_STATE_DIRECTORY)
    return others[0] if others else default


def _answers(directory: str) -> bool:
    try:
        connection_to(directory, AGENT_SOCKET, _TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def silence(directory: str, instead: str) -> str:
    """What to say before an answer that no agent gave, or before what was done without one.

    Args:
        directory: Where the agent's state is.
        instead: Where the answer is from, or what was done, with `{}` for the directory.
    """
    said = f"{_NOBODY}: {instead.format(printable(directory))}"
    try:
        stored = os.stat(os.path.join(directory, STEP_NAME)).st_mtime
    except OSError:
        return said
    from auditwatch.web.wording import ago

    moment = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(stored))
    return f"{said}, last stored {ago(stored, time.time())} ({moment})"


def _decoded(where: str, body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AgentSilent(f"{printable(where)} answers, but is not auditwatch; see --url")
    return found


def fetch_locally(directory: str, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
    """The body of one answer of the agent with this state directory; None if no agent listens there.

    Raises:
        UsageError: The agent does not understand the query.
        AgentSilent: It does not answer in time, or with an error.
    """
    try:
        sock = connection_to(directory, AGENT_SOCKET, _TIMEOUT_SECONDS)
    except OSError:
        return None
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("agent")
    connection.sock = sock
    where = f"the agent of {printable(directory)}"
    try:
        connection.request("GET", _asked(path, query))
        response = connection.getresponse()
        body = response.read(_LARGEST_ANSWER)
    except (OSError, HTTPException) as error:
        raise AgentSilent(f"{where} does not answer: {error or type(error).__name__}") from None
    finally:
        connection.close()
    _check(where, response.status, response.reason, body)
    return body


def fetch(url: str, path: str, query: Mapping[str, str] | None = None) -> bytes:
    """The body of one answer of the agent at a URL.

    Raises:
        UsageError: The URL is not one, or the agent does not understand the query.
        AgentSilent: Nothing answers there, or the answer is an error.
    """
    import urllib.error  # a third of the start, where only the state directory is read
    import urllib.request

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is not a URL; it should look like {EXAMPLE_URL}")
    # The agent is asked directly: for a proxy named in the environment, 127.0.0.1 is another host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url.rstrip("/") + _asked(path, query), timeout=_TIMEOUT_SECONDS) as found:
            body: bytes = found.read(_LARGEST_ANSWER)
    except urllib.error.HTTPError as error:
        _check(url, error.code, error.reason, error.read(500))
        raise AgentSilent(f"{url} answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:  # an answer that is not HTTP is a ValueError or an HTTPException
        raise AgentSilent(f"{url} does not answer: {getattr(error, 'reason', error)}; is the agent running?") from None
    return body


def _asked(path: str, query: Mapping[str, str] | None) -> str:
    return path + (f"?{urlencode(query)}" if query else "")


def _check(where: str, status: int, reason: str, body: bytes) -> None:
    if status == 400:
        raise UsageError(body[:500].decode(errors="replace").strip())
    if status != 200:
        raise AgentSilent(f"{where} answers {status} {reason}")
