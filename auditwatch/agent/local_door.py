"""The agent's own socket in its state directory: its commands come in here, whatever the port asks of others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from starlette.types import ASGIApp

from auditwatch.agent.logbook import OnWarning
from auditwatch.config.places import AGENT_SOCKET
from auditwatch.host.local_sockets import listening
from auditwatch.web.server import Server

LOOK_SECONDS: Final = 2.0
"""How often we look whether it is still there: a state directory that was removed is made again by others."""


class LocalDoor:
    """Answers on the socket for as long as it runs, and makes it again where it was removed.

    Args:
        app: What answers.
        directory: The state directory.
        is_ours: Whether no other agent has taken the directory meanwhile; its socket is left alone then.
        warn: Told once, if there can be no socket.
    """

    def __init__(self, app: ASGIApp, directory: str, is_ours: Callable[[], bool], warn: OnWarning) -> None:
        self._app = app
        self._directory = directory
        self._is_ours = is_ours
        self._path = os.path.join(directory, AGENT_SOCKET)
        self._warn = warn
        self._is_warned = False
        self._server: Server | None = None
        self._answering: asyncio.Task[None] | None = None
        self._known: tuple[int, int] | None = None

    async def run(self) -> None:
        """Keep it open until cancelled; then the socket is gone."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                if self._is_ours() and (self._known is None or self._identity() != self._known):
                    await self._close()
                    self.open()
        finally:
            await self._close()

    def open(self) -> None:
        """Listen, before anybody is told that the agent is there."""
        try:
            sock = listening(self._directory, AGENT_SOCKET)
        except OSError as error:
            self._complain(error)
            return
        self._server, self._known = Server(self._app, sock), self._identity()
        self._answering = asyncio.create_task(self._server.serve())

    async def _close(self) -> None:
        server, answering, known = self._server, self._answering, self._known
        self._server = self._answering = self._known = None
        if server is None or answering is None:
            return
        if self._identity() == known:
            with suppress(OSError):
                os.unlink(self._path)
        server.stop()
        await answering

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.lstat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _complain(self, error: OSError) -> None:
        if not self._is_warned:
            self._is_warned = True
            said = f"{self._path}: commands cannot ask this agent here: {error.strerror}; they read its state"
            self._warn("socket", said)
