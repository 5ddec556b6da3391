"""Serve the app on a socket of our own, however silent or slow clients are.

uvicorn waits forever for a request head and keeps as many connections as arrive (measured: 500 silent clients stayed).
Here a connection has ten seconds for a whole request, and when there are too many, the one that has been silent longest
makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Generator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from auditwatch.errors import ListenError, UsageError
from auditwatch.host.addresses import parse_address

IDLE_SECONDS: Final = 10.0
"""How long a connection may take for a whole request head, however slowly its bytes trickle; also between requests."""

ANSWER_SECONDS: Final = 60.0
"""How long a client may take to read an answer."""

MAX_CONNECTIONS: Final = 256
STOP_SECONDS: Final = 3

_CAUSES: Final = {
    errno.EADDRINUSE: "another program is listening there (`ss -ltnp` names it): stop it or choose another port",
    errno.EADDRNOTAVAIL: "no interface on this host has this address: choose one that it has, such as 127.0.0.1",
    errno.EACCES: "ports below 1024 are reserved for root: choose a higher one",
}


def listen(address: str) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one.

    Its connections send what is written at once (TCP_NODELAY, which they inherit): uvicorn writes head and body one
    after the other, and asyncio does not see that a socket of `create_server` is one of TCP. The body would wait until
    the client acknowledges the head, which takes 40 ms on a connection that is kept.

    Raises:
        UsageError: If the address is not understood.
        ListenError: If it is in use, not on this host or not allowed; the message says what to do.
    """
    try:
        host, port = parse_address(address)
    except ValueError as error:
        raise UsageError(f"listen address {address!r} {error}") from None
    try:
        sock = _bound(host, port)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {address}: {_cause(error)} (--web.listen-address)") from error
    return sock


def _bound(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _cause(error: OSError | UnicodeError) -> str:
    """A resolver's errors have negative numbers (netdb.h); a name that cannot even be looked up is a UnicodeError."""
    number = -1 if isinstance(error, UnicodeError) else error.errno or 0
    return "the host name is unknown" if number < 0 else _CAUSES.get(number, os.strerror(number))


def url_of(sock: socket.socket) -> str:
    """The address to type into a browser on this host."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104  read, not bound
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Impatient(H11Protocol):
    """HTTP/1.1 with a deadline in every state that waits for the client."""

    timer: asyncio.TimerHandle | None = None
    waits_since = 0.0

    @property
    def is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the parent
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        was_busy = self.is_busy
        super().data_received(data)
        if self.is_busy and not was_busy:
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Restart the clock: only a whole request or a whole answer does so, never single bytes."""
        if self.timer is not None:
            self.timer.cancel()
        self.waits_since = self.loop.time()
        reads_answer = self.is_busy or self.transport.get_write_buffer_size() > 0
        self.timer = self.loop.call_later(ANSWER_SECONDS if reads_answer else IDLE_SECONDS, self.transport.abort)

    def _make_room(self) -> None:
        waiting = [other for other in self.connections if isinstance(other, _Impatient) and not other.is_busy]
        min(waiting, key=lambda other: other.waits_since).transport.abort()


class _Uvicorn(uvicorn.Server):
    """A uvicorn that leaves signals alone and sleeps until it is asked to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def main_loop(self) -> None:
        """The parent wakes ten times a second for a date header that we do not send."""
        await self.stopping.wait()
        self.should_exit = True


class Server:
    """The app on a socket.

    Args:
        app: What answers.
        sock: Bound, from `listen`; closed when `serve` ends.
    """

    def __init__(self, app: ASGIApp, sock: socket.socket) -> None:
        self._sock = sock
        self._uvicorn = _Uvicorn(_config(app))

    @property
    def url(self) -> str:
        """Where the page is."""
        return url_of(self._sock)

    async def serve(self) -> None:
        """Answer until `stop` is called, then end within a few seconds, whatever clients do."""
        try:
            await self._uvicorn.serve([self._sock])
        finally:
            for connection in list(self._uvicorn.server_state.connections):
                connection.transport.abort()
            self._sock.close()

    def stop(self) -> None:
        """Make `serve` end; call it from the loop's thread."""
        self._uvicorn.stopping.set()


def _config(app: ASGIApp) -> uvicorn.Config:
    quiet: dict[str, Any] = {"log_config": None, "log_level": "error", "access_log": False}
    return uvicorn.Config(
        app,
        http=_Impatient,
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=int(IDLE_SECONDS),
        timeout_graceful_shutdown=STOP_SECONDS,
        **quiet,
    )
