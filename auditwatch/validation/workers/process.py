"""A worker process: takes a descriptor and a range, answers with the verdict, and dies with its parent.

Started by `pool` as `python -m auditwatch.validation.workers.process PARENT [background]` with its end of the socket
pair as standard input.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

import msgspec

from auditwatch.errors import Unreadable
from auditwatch.files.reading import fingerprint, page_cache_as_found
from auditwatch.trail.report import Report
from auditwatch.trail.verdict import Trouble
from auditwatch.validation.ranges import judge_archive, judge_range
from auditwatch.validation.workers.messages import (
    LENGTH,
    AnyRequest,
    ArchiveRequest,
    PrintRequest,
    RangeAnswer,
    RangeRequest,
    decode_request,
    encode_answer,
    framed,
)

_PR_SET_PDEATHSIG: Final = 1
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
_IOPRIO_IDLE: Final = 3 << 13
_NICE: Final = 10

_BACKGROUND: Final = "background"
"""Second argument of a worker that gives other processes priority for CPU and disk."""


def main() -> int:
    """Answer requests until the other end of the socket is closed."""
    _die_with_parent(int(sys.argv[1]))
    if _BACKGROUND in sys.argv[2:]:
        _step_back()
    with socket.socket(fileno=os.dup(0)) as connection:
        spent = 0.0
        with suppress(ConnectionError):
            while (received := _receive(connection)) is not None:
                request, descriptor = received
                answer = _answer(request, descriptor, spent)
                spent = _cpu_seconds()
                connection.sendall(framed(encode_answer(answer)))
    return 0


def _answer(request: AnyRequest, descriptor: int, spent: float) -> RangeAnswer:
    answer = RangeAnswer(Report(), b"", 0.0, 0)
    try:
        answer = _answered(request, descriptor)
    except Unreadable as error:
        answer = msgspec.structs.replace(answer, trouble=Trouble.of(error))
    finally:
        os.close(descriptor)
    cost = {"cpu_seconds": _cpu_seconds() - spent, "max_resident_bytes": _max_resident_bytes()}
    return msgspec.structs.replace(answer, **cost)


def _answered(request: AnyRequest, descriptor: int) -> RangeAnswer:
    match request:
        case ArchiveRequest():
            return _archive(request, descriptor)
        case PrintRequest(offset=offset, length=length):
            with page_cache_as_found(descriptor, offset, offset + length):
                return RangeAnswer(Report(), fingerprint(descriptor, offset, length), 0.0, 0)
        case RangeRequest():
            return _range(request, descriptor)


def _range(request: RangeRequest, descriptor: int) -> RangeAnswer:
    found = judge_range(
        descriptor,
        request.start,
        request.end,
        request.rules,
        final=request.final,
        hashed=request.hashed,
        recorded=request.recorded,
        before=request.before,
    )
    return RangeAnswer(found.report, found.digest, 0.0, 0, marks=found.marks, blocks=found.blocks, edges=found.edges)


def _archive(request: ArchiveRequest, descriptor: int) -> RangeAnswer:
    found = judge_archive(
        descriptor,
        request.start,
        request.end,
        request.rules,
        request.spans,
        final=request.final,
        before=request.before,
    )
    return RangeAnswer(
        found.report,
        found.digest,
        0.0,
        0,
        size=found.size,
        prints=found.prints,
        is_cut=found.is_cut,
        distinct=found.distinct,
        blocks=found.blocks,
    )


def _receive(connection: socket.socket) -> tuple[AnyRequest, int] | None:
    """The next request with its descriptor; None if there will be no more."""
    head, descriptors, _, _ = socket.recv_fds(connection, LENGTH.size, 1)
    if not head or not descriptors:
        return None
    head += _read(connection, LENGTH.size - len(head))
    return decode_request(_read(connection, LENGTH.unpack(head)[0])), descriptors[0]


def _read(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = connection.recv(size)
        if not part:
            raise ConnectionResetError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _die_with_parent(parent: int) -> None:
    """End with the parent even in the middle of a block; a closed socket is only noticed between two blocks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and then closes the socket
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def _step_back() -> None:
    """Give other processes priority for CPU and disk."""
    os.nice(_NICE)
    call = _IOPRIO_SET.get(platform.machine())
    if call is not None:
        ctypes.CDLL(None).syscall(call, 1, 0, _IOPRIO_IDLE)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _max_resident_bytes() -> int:
    """The peak memory of this process alone: `ru_maxrss` would include what the parent held when it forked."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
