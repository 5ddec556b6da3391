"""The server on real sockets: silent, trickling and greedy clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from auditwatch.errors import ListenError, UsageError
from auditwatch.web import server as server_module
from auditwatch.web.app import create_app
from auditwatch.web.server import Server, listen, url_of

pytestmark = pytest.mark.concurrency

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: agent\r\n\r\n"
DEADLINE_SECONDS = 30.0


def app(snapshot: Any) -> Any:
    return create_app(lambda: snapshot, lambda: True, lambda: True)


@asynccontextmanager
async def serving(asgi: Any) -> AsyncIterator[int]:
    sock = listen("127.0.0.1:0")
    server = Server(asgi, sock)
    running = asyncio.create_task(server.serve())
    try:
        yield sock.getsockname()[1]
    finally:
        server.stop()
        await asyncio.wait_for(running, DEADLINE_SECONDS)


async def ask(port: int, request: bytes = REQUEST) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    answer = b""
    with suppress(ConnectionError):  # a server that has refused need not read the rest
        while piece := await reader.read(1 << 16):
            answer += piece
    writer.close()
    return answer


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_SECONDS))


def test_it_answers_and_stops(populated: Any) -> None:
    async def test() -> None:
        async with serving(app(populated)) as port:
            answer = await ask(port)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"healthy\n")
            assert b"uvicorn" not in answer.lower()
            head = await ask(port, REQUEST.replace(b"GET", b"HEAD"))
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert head.endswith(b"\r\n\r\n"), "a head and no body"
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(port)

    run(test())


def test_silent_clients_neither_stop_a_scrape_nor_stay(populated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 1.0)

    async def test() -> None:
        async with serving(app(populated)) as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
            assert (await ask(port)).startswith(b"HTTP/1.1 200")
            assert all(await asyncio.gather(*(is_closed(reader) for reader, _ in silent)))
            assert (await ask(port)).startswith(b"HTTP/1.1 200")
            for _, writer in silent:
                writer.close()

    run(test())


def test_the_longest_silent_client_makes_room(populated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 5)

    async def test() -> None:
        async with serving(app(populated)) as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            assert all(await asyncio.gather(*(is_closed(reader) for reader, _ in silent[:15])))
            assert (await ask(port)).startswith(b"HTTP/1.1 200")
            for _, writer in silent:
                writer.close()

    run(test())


def test_a_head_that_trickles_is_cut_off_however_often_a_byte_comes(
    populated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.5)

    async def test() -> None:
        async with serving(app(populated)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            assert (await reader.readuntil(b"healthy\n")).startswith(b"HTTP/1.1 200")
            closed = asyncio.create_task(is_closed(reader))
            writer.write(b"GET / HTTP/1.1\r\nX: ")
            while not closed.done():
                writer.write(b"a")
                await asyncio.wait({closed}, timeout=0.05)
            assert closed.result()
            writer.close()

    run(test())


def test_a_client_that_never_reads_its_answer_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "ANSWER_SECONDS", 0.5)
    gone = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await asyncio.wait_for(_sent(send, receive), None)) is not None:
            pass
        gone.set()

    async def test() -> None:
        async with serving(endless) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(REQUEST)
            await gone.wait()
            writer.close()

    run(test())


async def _sent(send: Any, receive: Any) -> bool | None:
    await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    waiting = asyncio.ensure_future(receive())
    done, _ = await asyncio.wait({waiting}, timeout=0)
    waiting.cancel()
    return None if any(task.result()["type"] == "http.disconnect" for task in done) else True


def test_it_stops_while_clients_hold_on(populated: Any) -> None:
    async def test() -> None:
        async with serving(app(populated)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n")
            await ask(port)
        assert await is_closed(reader)
        writer.close()

    run(test())


def test_garbage_is_refused_and_harms_nobody(populated: Any) -> None:
    async def test() -> None:
        async with serving(app(populated)) as port:
            assert (await ask(port, b"\x16\x03\x01\x00\xff\r\n\r\n")).startswith(b"HTTP/1.1 400")
            endless = await ask(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n")
            assert endless[:12] in (b"HTTP/1.1 400", b"")
            assert (await ask(port)).startswith(b"HTTP/1.1 200")

    run(test())


def test_signals_stay_with_whoever_had_them(populated: Any) -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    async def test() -> None:
        async with serving(app(populated)) as port:
            await ask(port)
            assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))[0] == before[0]

    run(test())
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize(
    "address", ["", "host", "host:", "host:port", "host:65536", "host:-1", "::1:80", "a:" + "9" * 5000]
)
def test_an_address_that_is_none_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match=r"listen address .* is not HOST:PORT"):
        listen(address)


def test_port_zero_takes_a_free_one_and_the_url_says_which() -> None:
    with listen("127.0.0.1:0") as sock:
        assert url_of(sock) == f"http://127.0.0.1:{sock.getsockname()[1]}/"
        assert sock.getsockname()[1] != 0


def test_a_connection_does_not_hold_back_an_answer_until_its_head_is_acknowledged() -> None:
    with listen("127.0.0.1:0") as sock, socket.create_connection(sock.getsockname()):
        connection, _ = sock.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_all_interfaces_are_reached_on_loopback() -> None:
    with listen(":0") as sock:
        assert url_of(sock).startswith("http://127.0.0.1:")
        socket.create_connection(("127.0.0.1", sock.getsockname()[1])).close()


def test_an_address_in_use_says_what_to_do() -> None:
    with listen("127.0.0.1:0") as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(ListenError, match=rf"cannot listen on {address}: another program .* choose another port"):
            listen(address)


def test_an_address_of_another_host_says_what_to_do() -> None:
    with pytest.raises(ListenError, match="no interface on this host"):
        listen("192.0.2.1:9973")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_an_unknown_host_name_is_a_listen_error(host: str) -> None:
    with pytest.raises(ListenError, match="host name is unknown"):
        listen(f"{host}:9973")
