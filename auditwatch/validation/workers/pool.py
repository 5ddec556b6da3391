"""A pool of worker processes that judge ranges of open files for an asyncio program.

Processes, because judging holds the interpreter lock. Over a socket pair, because it is closed when this process is
killed; the workers of an executor would stay for ever.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from auditwatch.errors import Unreadable, WorkerDied
from auditwatch.trail.rules import Rules
from auditwatch.validation.ranges import Hashed, JudgedArchive, JudgedRange, Span
from auditwatch.validation.workers.messages import (
    LENGTH,
    AnyRequest,
    ArchiveRequest,
    PrintRequest,
    RangeAnswer,
    RangeRequest,
    decode_answer,
    encode_request,
    framed,
)

IDLE_WORKER_SECONDS: Final = 30.0
"""An idle worker is ended after this time."""

_RECEIVE_BYTES: Final = 1 << 16

_LAST_WAIT_SECONDS: Final = 5.0
"""How long a worker whose socket was closed may take to end before it is killed."""


class WorkerPool:
    """At most `size` workers, started when needed and ended when idle. Belongs to one event loop.

    The workers of the agent give way to the programs that it watches (niced, idle I/O). The workers of a command that
    a person waits for have the priority of that command.

    Attributes:
        size: Most workers at once.
        cpu_seconds: CPU time of all workers so far.
        max_resident_bytes: The most memory that any worker ever held.
    """

    def __init__(self, size: int, idle_seconds: float = IDLE_WORKER_SECONDS, *, background: bool = True) -> None:
        self.size = size
        self.cpu_seconds = 0.0
        self.max_resident_bytes = 0
        self._idle_seconds = idle_seconds
        self._background = background
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def judge(  # noqa: PLR0913  every optional argument has a sensible default
        self,
        fd: int,
        start: int,
        end: int,
        rules: Rules,
        final: bool = False,
        *,
        hashed: bool = True,
        recorded: bytes = b"",
        before: Hashed | None = None,
    ) -> JudgedRange:
        """Judge the bytes from `start` to `end` of an open file.

        Args:
            fd: Stays the caller's, who may close it once this has returned.
            start: First byte of a line.
            end: End of the range; may be beyond the end of the file: the report says how many bytes there were.
            rules: What the lines are judged by.
            final: Whether bytes after the last newline are a torn line.
            hashed: Whether to compute the digest of the range.
            recorded: If all bytes together have this digest, the answer is only that: their report is already known.
            before: What is remembered of the bytes before them, if digests of blocks are wanted.

        Raises:
            Unreadable: The file cannot be read.
            WorkerDied: The worker ended before it answered; the next call starts another.
        """
        answer = await self._answer(fd, RangeRequest(start, end, rules, final, hashed, recorded, before))
        return JudgedRange(answer.report, answer.digest, answer.marks, answer.blocks, answer.edges)

    async def judge_archive(
        self,
        fd: int,
        start: int,
        end: int,
        rules: Rules,
        spans: Sequence[Span],
        *,
        final: bool = False,
        before: Hashed | None = None,
    ) -> JudgedArchive:
        """Read a compressed file once: `auditwatch.validation.ranges.judge_archive`.

        Raises:
            Unreadable: The file cannot be read.
            WorkerDied: The worker ended before it answered; the next call starts another.
        """
        answer = await self._answer(fd, ArchiveRequest(start, end, rules, tuple(spans), final, before))
        return JudgedArchive(
            answer.size,
            answer.prints,
            answer.report,
            answer.is_cut,
            answer.digest,
            answer.distinct,
            answer.blocks,
        )

    async def fingerprint(self, fd: int, offset: int, length: int) -> bytes:
        """BLAKE3-256 of these bytes of an open file, or of those that it still has.

        Raises:
            Unreadable: The file cannot be read.
            WorkerDied: The worker ended before it answered; the next call starts another.
        """
        return (await self._answer(fd, PrintRequest(offset, length))).digest

    async def _answer(self, fd: int, request: AnyRequest) -> RangeAnswer:
        async with self._free:
            answer = await self._ask(fd, request)
        self.cpu_seconds += answer.cpu_seconds
        self.max_resident_bytes = max(self.max_resident_bytes, answer.max_resident_bytes)
        if answer.trouble is not None:
            raise Unreadable(answer.trouble.reason, answer.trouble.message)
        return answer

    async def close(self) -> None:
        """End all idle workers and wait until every worker has ended."""
        while self._idle:
            self._end(self._idle.pop())
        while self._ending:
            await asyncio.gather(*self._ending)

    async def _ask(self, fd: int, request: AnyRequest) -> RangeAnswer:
        worker = self._idle.pop() if self._idle else _Worker(self._background)
        try:
            answer = await worker.ask(fd, request)
        except (OSError, EOFError) as error:
            self._end(worker, at_once=True)
            raise WorkerDied(f"worker {worker.pid} ended before it answered; the next call starts another") from error
        except BaseException:
            self._end(worker, at_once=True)  # after a cancelled request, an answer would still be on its way
            raise
        self._rest(worker)
        return answer

    def _rest(self, worker: _Worker) -> None:
        self._idle.append(worker)
        worker.ends_at = asyncio.get_running_loop().call_later(self._idle_seconds, self._retire, worker)

    def _retire(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            self._end(worker)

    def _end(self, worker: _Worker, *, at_once: bool = False) -> None:
        task = asyncio.get_running_loop().create_task(worker.end(at_once=at_once))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class _Worker:
    """One worker process and our end of its socket."""

    def __init__(self, background: bool) -> None:
        self.ends_at: asyncio.TimerHandle | None = None
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                # -P: a file in the current directory must not be taken for a module
                [sys.executable, "-P", "-m", "auditwatch.validation.workers.process", *_arguments(background)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at the terminal is for the parent only
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, fd: int, request: AnyRequest) -> RangeAnswer:
        """Send the request with the descriptor and wait for the answer."""
        if self.ends_at is not None:
            self.ends_at.cancel()
        loop = asyncio.get_running_loop()
        message = framed(encode_request(request))
        sent = socket.send_fds(self._socket, [message], [fd])
        if sent < len(message):
            await loop.sock_sendall(self._socket, message[sent:])
        return decode_answer(await self._received(loop))

    async def end(self, *, at_once: bool) -> None:
        """Close the socket, which ends the worker, and reap the process."""
        if self.ends_at is not None:
            self.ends_at.cancel()
        self._socket.close()
        if at_once:
            self._process.kill()
        await asyncio.to_thread(self._reap)

    async def _received(self, loop: asyncio.AbstractEventLoop) -> bytes:
        """The body of the next message."""
        message, size = bytearray(), LENGTH.size
        while len(message) < size:
            part = await loop.sock_recv(self._socket, _RECEIVE_BYTES)
            if not part:
                raise EOFError
            message += part
            if len(message) >= LENGTH.size:
                size = LENGTH.size + LENGTH.unpack_from(message)[0]
        return bytes(message[LENGTH.size :])

    def _reap(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WAIT_SECONDS)
            return
        self._process.kill()
        self._process.wait()


def _arguments(background: bool) -> list[str]:
    return [str(os.getpid()), *(["background"] if background else [])]
