"""The endpoints. Each only reads the newest snapshot; being "ready" does not depend on any trail."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditwatch.host.clock import Clock
from auditwatch.runbooks import runbook, runbook_names
from auditwatch.trail.kinds import Kind, Violation
from auditwatch.web.collector import Exposition, SnapshotSource
from auditwatch.web.page import render_page
from auditwatch.web.snapshot import Snapshot
from auditwatch.web.status import FINDINGS_PER_ANSWER, FindingsQuery, findings_json, status_json

STATIC: Final = {
    "auditwatch.css": "text/css; charset=utf-8",
    "auditwatch.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""All files that are served, with their types."""

AGES_SECONDS: Final = 15
"""An unchanged answer is rendered again after this long, because the ages in it have grown."""

_MOST_DIGITS: Final = 10

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(slots=True)
class Endpoints:
    """What answers.

    Attributes:
        source: Gives the newest snapshot.
        is_healthy: Whether the agent's loop has turned within the last 30 s.
        is_ready: Whether configuration, state and listener are in place; nothing about trails.
        clock: Seconds since 1970.
    """

    source: SnapshotSource
    is_healthy: Callable[[], bool]
    is_ready: Callable[[], bool]
    clock: Clock = time.time
    _exposition: Exposition = field(init=False)
    _page: tuple[str, bytes] = ("", b"")
    _drawing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._exposition = Exposition(self.source, self.clock)

    async def page(self, request: Request) -> Response:
        """The page; rendered once per snapshot, however many people look."""
        snapshot, now = self.source(), self.clock()
        tag = etag(snapshot, now)
        if _is_known(request, tag):
            return _not_modified(tag)
        return _tagged(await self._drawn(tag, snapshot, now), tag, "text/html; charset=utf-8")

    async def _drawn(self, tag: str, snapshot: Snapshot, now: float) -> bytes:
        """Drawing a thousand trails takes 0.4 s: done in a thread, so that scrapes do not wait, and one at a time."""
        async with self._drawing:
            if self._page[0] != tag:
                self._page = (tag, (await asyncio.to_thread(render_page, snapshot, now)).encode())
            return self._page[1]

    async def metrics(self, request: Request) -> Response:
        """The scrape, in the format that the scraper asks for."""
        body, content_type = self._exposition.scrape(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def healthy(self, _: Request) -> Response:
        """Whether the loop turns."""
        return _answer(self.is_healthy(), "healthy")

    async def ready(self, _: Request) -> Response:
        """Whether the agent is up."""
        return _answer(self.is_ready(), "ready")

    async def status(self, request: Request) -> Response:
        """Every trail's verdict and what it rests on."""
        snapshot, now = self.source(), self.clock()
        tag = etag(snapshot, now)
        if _is_known(request, tag):
            return _not_modified(tag)
        return _json(await asyncio.to_thread(status_json, snapshot, now), tag)

    async def findings(self, request: Request) -> Response:
        """Places and kinds of damage."""
        snapshot = self.source()
        wanted = _wanted(request, snapshot)
        tag = etag(snapshot, 0)
        if _is_known(request, tag):
            return _not_modified(tag)
        return _json(await asyncio.to_thread(findings_json, snapshot, wanted), tag)


def create_app(
    source: SnapshotSource,
    is_healthy: Callable[[], bool],
    is_ready: Callable[[], bool],
    clock: Clock = time.time,
) -> Starlette:
    """The app that `Server` serves.

    Args:
        source: Gives the newest snapshot.
        is_healthy: Whether the agent's loop has turned within the last 30 s.
        is_ready: Whether configuration, state and listener are in place; nothing about trails.
        clock: Seconds since 1970.
    """
    ends = Endpoints(source, is_healthy, is_ready, clock)
    routes = [
        Route("/", ends.page),
        Route("/metrics", ends.metrics),
        Route("/-/healthy", ends.healthy),
        Route("/-/ready", ends.ready),
        Route("/api/v1/status", ends.status),
        Route("/api/v1/findings", ends.findings),
        *(Route(f"/static/{name}", _static(name, kind)) for name, kind in STATIC.items()),
        *(Route(f"/runbooks/{alert}", _runbook(alert)) for alert in runbook_names()),
    ]
    handlers: dict[Any, Any] = {HTTPException: _refuse}
    app = Starlette(routes=routes, middleware=[Middleware(_Guarded)], exception_handlers=handlers)
    app.router.redirect_slashes = False  # a redirect would repeat the Host header that the client made up
    return app


def etag(snapshot: Snapshot, now: float) -> str:
    """Changes with the agent, its snapshot and, slowly, the clock."""
    return f'"{int(snapshot.agent.started * 1000):x}-{snapshot.revision:x}-{int(now // AGES_SECONDS):x}"'


class _Guarded:
    """Adds the headers that keep a browser from doing more than showing the page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)


def _wanted(request: Request, snapshot: Snapshot) -> FindingsQuery:
    """The query as a filter.

    Raises:
        HTTPException: 400, if a value is not understood or the trail is not known.
    """
    query = request.query_params
    trail = query.get("trail")
    if trail is not None and trail not in {known.name for known in snapshot.trails}:
        raise HTTPException(400, "trail: no trail has this name")
    return FindingsQuery(
        trail=trail,
        kind=_kind(query["kind"]) if "kind" in query else None,
        since=_since(query.get("since", "0")),
        open_only=_flag(query.get("open", "false"), "open"),
        inherited_only=_flag(query.get("inherited", "false"), "inherited"),
        newest_first=_flag(query.get("newest", "false"), "newest"),
        limit=min(_number(query.get("limit", str(FINDINGS_PER_ANSWER)), "limit"), FINDINGS_PER_ANSWER),
        offset=_number(query.get("offset", "0"), "offset"),
    )


def _kind(text: str) -> Kind | Violation:
    for family in (Kind, Violation):
        if text in {member.value for member in family}:
            return family(text)
    raise HTTPException(400, "kind: not a known kind; `auditwatch explain` lists them")


def _since(text: str) -> float:
    try:
        since = float(text)
    except ValueError:
        since = -1.0
    if not 0 <= since < 1e12:
        raise HTTPException(400, "since: give seconds since 1970")
    return since


def _flag(text: str, name: str) -> bool:
    if text not in ("", "1", "true", "0", "false"):
        raise HTTPException(400, f"{name}: give true or false")
    return text not in ("0", "false")


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise HTTPException(400, f"{name}: give a number of at most {_MOST_DIGITS} digits")
    return int(text)


def _is_known(request: Request, tag: str) -> bool:
    return tag in request.headers.get("if-none-match", "")


def _tagged(body: bytes, tag: str, media_type: str) -> Response:
    return Response(body, headers={"Content-Type": media_type, "ETag": tag, "Cache-Control": "no-cache"})


def _not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-cache"})


def _json(value: dict[str, Any], tag: str) -> Response:
    return _tagged(orjson.dumps(value) + b"\n", tag, "application/json")


def _answer(is_so: bool, name: str) -> Response:
    return PlainTextResponse(f"{name}\n" if is_so else f"not {name}\n", 200 if is_so else 503)


async def _refuse(_: Request, error: HTTPException) -> Response:
    return PlainTextResponse(f"{error.detail}\n", error.status_code, dict(error.headers or {}))


def _runbook(alert: str) -> Callable[[Request], Any]:
    text = runbook(alert)

    async def serve(_: Request) -> Response:
        return PlainTextResponse(text)

    return serve


def _static(name: str, media_type: str) -> Callable[[Request], Any]:
    body = files("auditwatch.web").joinpath("static", name).read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'

    async def serve(request: Request) -> Response:
        return _not_modified(tag) if _is_known(request, tag) else _tagged(body, tag, media_type)

    return serve
