"""Where answers about trails come from: the running agent, or else the state directory, which is only read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from auditwatch.cli.options import DEFAULT_URL
from auditwatch.errors import AgentSilent, UsageError

_TIMEOUT_SECONDS: Final = 10.0
_LARGEST_ANSWER: Final = 256 << 20  # 1,000 trails and 1,000 findings are a few MB


def chosen_state_dir(state_dir: str | None) -> str:
    """The state directory that was named, or where the agent keeps it by default."""
    if state_dir:
        return os.path.abspath(state_dir)
    from auditwatch.config.places import default_state_directory

    return default_state_directory(os.environ, os.getuid())


def from_agent(
    url: str | None, state_dir: str | None, path: str, query: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """What the running agent answers; None if the state directory is to be read instead.

    Args:
        url: From the command line: only this agent is asked.
        state_dir: From the command line: no agent is asked.
        path: Of the endpoint.
        query: Parameters of the request.

    Raises:
        UsageError: Both were given, or the URL is not one.
        AgentSilent: The URL was given and no agent answers there.
    """
    if url and state_dir:
        raise UsageError("--url asks the agent and --state-dir reads its state: give only one of them")
    if state_dir:
        return None
    try:
        answer = json.loads(fetch(url or DEFAULT_URL, path, query))
    except AgentSilent:
        if url:
            raise
        return None
    except ValueError:
        raise AgentSilent(f"{url or DEFAULT_URL} answers, but is not auditwatch; see --url") from None
    return answer if isinstance(answer, dict) else None


def fetch(url: str, path: str, query: Mapping[str, str] | None = None) -> bytes:
    """The body of one answer.

    Raises:
        UsageError: The URL is not one, or the agent does not understand the query.
        AgentSilent: Nothing answers there, or the answer is an error.
    """
    import urllib.error  # a third of the start, where only the state directory is read
    import urllib.request

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is not a URL; it should look like {DEFAULT_URL}")
    asked = url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
    # The agent is asked directly: for a proxy named in the environment, 127.0.0.1 is another host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read(_LARGEST_ANSWER)
    except urllib.error.HTTPError as error:
        if error.code == 400:
            raise UsageError(error.read(500).decode(errors="replace").strip()) from None
        raise AgentSilent(f"{url} answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:  # an answer that is not HTTP is a ValueError or an HTTPException
        raise AgentSilent(f"{url} does not answer: {getattr(error, 'reason', error)}; is the agent running?") from None
    return body
