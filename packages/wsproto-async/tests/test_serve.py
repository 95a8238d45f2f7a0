"""The server: handshakes it takes and refuses, handlers, and its end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from httpcore_proto.aio import LinkLostError
from wsproto_async import (
    WS_CLOSED_MESSAGE,
    WebSocket,
    WebSocketServer,
    WSMsgType,
    connect,
    serve,
)

from .conftest import PATIENCE, Peer

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: host.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await (ws.send_str if message.type is WSMsgType.TEXT else ws.send_bytes)(message.data)


def url(server: WebSocketServer, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


@asynccontextmanager
async def raw_client(server: WebSocketServer) -> AsyncIterator[Peer]:
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            yield Peer(stream)


async def ask(server: WebSocketServer, request: bytes) -> bytes:
    """Return all that comes for a request."""
    async with raw_client(server) as peer:
        await peer.stream.send(request)
        return await rest(peer)


async def rest(peer: Peer) -> bytes:
    """Return what comes up to an orderly end."""
    try:
        while True:
            peer.data += await peer.stream.receive()
    except anyio.EndOfStream:
        return peer.data


def reset(stream: SocketStream) -> None:
    """Have the connection end with a reset."""
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER: on, 0 seconds


@pytest.mark.parametrize("compress", [True, False])
async def test_echo(compress: bool) -> None:
    async with serve(echo, "127.0.0.1", compress=compress) as server:
        async with connect(url(server), compress=True) as ws:
            assert bool(ws.compress) is compress
            for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
                await ws.send_str("x" * size)
                assert await ws.receive_str() == "x" * size
                await ws.send_bytes(bytes(size))
                assert await ws.receive_bytes() == bytes(size)
        assert ws.close_code == 1000
        assert ws.closed
        assert not server.openings


async def test_many_at_once() -> None:
    async with serve(echo, "127.0.0.1") as server:

        async def talk(number: int) -> None:
            async with connect(url(server)) as ws:
                for count in range(20):
                    await ws.send_str(f"{number} {count}")
                    assert await ws.receive_str() == f"{number} {count}"

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(talk, number)


async def test_both_send_all_at_once() -> None:
    """Neither side reads before it has sent: drains keep the other direction going."""

    async def flood(ws: WebSocket) -> None:
        for _ in range(20):
            await ws.send_bytes(bytes(100_000))

    async def handler(ws: WebSocket) -> None:
        await flood(ws)
        for _ in range(20):
            await ws.receive_bytes()

    async with serve(handler, "127.0.0.1", max_queue=2**22) as server:
        async with connect(url(server), max_queue=2**22) as ws:
            await flood(ws)
            for _ in range(20):
                assert len(await ws.receive_bytes()) == 100_000
            assert (await ws.receive()).type is WSMsgType.CLOSE


async def test_handler_sees_the_request() -> None:
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        assert ws.request is not None
        seen.extend([ws.request.target, ws.request.headers["X-Own"], ws.protocol])
        seen.append(ws.get_extra_info("peername")[0])

    async with serve(handler, "127.0.0.1", protocols=["b", "a"]) as server:
        async with connect(url(server, "/p?q"), protocols=["a", "b"], headers={"X-Own": "1"}) as ws:
            assert ws.protocol == "a"
            assert await ws.receive() == (WSMsgType.CLOSE, 1000, "")
    assert seen == ["/p?q", "1", "a", "127.0.0.1"]


@pytest.mark.parametrize("error", [ValueError, OSError])
async def test_handler_that_raises(
    caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    async def handler(ws: WebSocket) -> None:
        raise error("handler's own")

    async with serve(handler, "127.0.0.1") as server:
        async with connect(url(server)) as ws:
            assert await ws.receive() == (WSMsgType.CLOSE, 1011, "")
    (record,) = caplog.records
    assert record.name == "wsproto_async"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "handler's own"


async def test_handler_whose_client_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """That is nobody's fault, and not logged."""
    ended = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send_bytes(bytes(100_000))
        finally:
            ended.set()

    async with serve(handler, "127.0.0.1") as server:
        async with raw_client(server) as peer:
            await peer.stream.send(HANDSHAKE + b"\r\n")
            await peer.until(b"\r\n\r\n")
            reset(peer.stream)
        with anyio.fail_after(PATIENCE):
            await ended.wait()
            while server.connections:
                await anyio.lowlevel.checkpoint()
    assert not caplog.records


async def test_loss_is_told_while_receiving() -> None:
    ended = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert ws.close_code == 1006
        assert isinstance(ws.exception(), LinkLostError)
        ended.set()

    async with serve(handler, "127.0.0.1") as server:
        for resets in (False, True):
            ended = anyio.Event()
            async with raw_client(server) as peer:
                await peer.stream.send(HANDSHAKE + b"\r\n")
                await peer.until(b"\r\n\r\n")
                if resets:
                    reset(peer.stream)
            with anyio.fail_after(PATIENCE):
                await ended.wait()


async def test_octet_by_octet_and_all_at_once() -> None:
    sent = HANDSHAKE + b"\r\n\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0"
    async with serve(echo, "127.0.0.1") as server:
        whole = await ask(server, sent)
        async with raw_client(server) as peer:
            for octet in sent:
                await peer.stream.send(bytes([octet]))
            assert await rest(peer) == whole
    head, _, frames = whole.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"Connection: Upgrade",
    ]
    assert frames == b"\x81\x02hi\x88\x00"


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, b"Upgrade"),
        (HANDSHAKE.replace(b"13", b"12") + b"\r\n", 426, b"Sec-WebSocket-Version: 13, 8, 7"),
        (HANDSHAKE.replace(b"GET", b"POST") + b"\r\n", 405, b"Allow: GET"),
        (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", 400, b"HTTP/1.1"),
        (HANDSHAKE + b"Content-Length: 2\r\n\r\nhi", 400, b"no body"),
        (HANDSHAKE + b"Origin: https://evil.test\r\n\r\n", 403, b"origin"),
        (b"nonsense\r\n\r\n", 400, b""),
        (HANDSHAKE + b"X: " + b"a" * 100_000, 431, b""),
    ],
)
async def test_refusals(
    request_: bytes, status: int, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told, and sees the end at once."""
    monkeypatch.setattr("wsproto_async._accepting._LINGER", 1000)
    async with serve(echo, "127.0.0.1") as server:
        answer = await ask(server, request_)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert words in answer
        assert b"\r\nConnection: close\r\n" in answer
        assert not server.connections


@pytest.mark.parametrize(
    ("origin", "origins", "allowed"),
    [
        (None, (), True),
        ("http://host.test", (), True),
        ("https://other.test", ["https://other.test"], True),
        ("https://evil.test", ["https://other.test"], False),
        ("https://evil.test", ["*"], True),
    ],
)
async def test_origins(origin: str | None, origins: Any, allowed: bool) -> None:
    line = b"" if origin is None else f"Origin: {origin}\r\n".encode()
    async with serve(echo, "127.0.0.1", origins=iter(origins)) as server:
        for _ in range(2):
            async with raw_client(server) as peer:
                await peer.stream.send(HANDSHAKE + line + b"\r\n")
                answer = await peer.until(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 101" if allowed else b"HTTP/1.1 403")


async def test_slow_handshake_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsproto_async._accepting._SWEEP_INTERVAL", 0.01)
    async with serve(echo, "127.0.0.1", timeout=0.02) as server:
        async with raw_client(server) as peer:
            await peer.stream.send(HANDSHAKE)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await peer.stream.receive()
        async with connect(url(server)) as ws:
            await anyio.sleep(0.05)  # the limit is the handshake's alone
            await ws.send_str("hi")
            assert await ws.receive_str() == "hi"


async def test_refused_client_that_stays_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsproto_async._accepting._SWEEP_INTERVAL", 0.01)
    monkeypatch.setattr("wsproto_async._accepting._LINGER", 0.02)
    async with serve(echo, "127.0.0.1") as server:
        async with raw_client(server) as peer:
            await peer.stream.send(b"nonsense\r\n\r\n")
            await peer.until(b"\r\n\r\n")
            with anyio.fail_after(PATIENCE):
                while server.openings:
                    try:
                        await peer.stream.send(b"more of it")
                    except anyio.BrokenResourceError:
                        pass
                    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"])
async def test_client_that_leaves_during_the_handshake(sent: bytes) -> None:
    async with serve(echo, "127.0.0.1") as server:
        async with raw_client(server) as peer:
            if sent:
                await peer.stream.send(sent)
            with anyio.fail_after(PATIENCE):
                while not server.openings:
                    await anyio.lowlevel.checkpoint()
        with anyio.fail_after(PATIENCE):
            while server.openings:
                await anyio.lowlevel.checkpoint()


async def test_close_tells_every_client() -> None:
    """1001 to all, handlers end by themselves, also those that do not receive."""
    ended: list[str] = []
    quiet = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        assert ws.request is not None
        if ws.request.target == "/quiet":
            await quiet.wait()
        else:
            received = [message async for message in ws]
            assert received == []
            assert (await ws.receive()) == WS_CLOSED_MESSAGE
        ended.append(ws.request.target)

    async with serve(handler, "127.0.0.1") as server:
        loud_url = url(server)
        loud, silent = await connect(loud_url), await connect(url(server, "/quiet"))
        codes: list[int] = []

        async def client(ws: WebSocket) -> None:
            message = await ws.receive()
            codes.append(message.data)
            if len(codes) == 2:
                quiet.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client, loud)
            tasks.start_soon(client, silent)
            while len(server.connections) < 2:
                await anyio.lowlevel.checkpoint()
            await server.close()
    assert codes == [1001, 1001]
    assert sorted(ended) == ["/", "/quiet"]
    assert not server.connections
    with pytest.raises(OSError):  # noqa: PT011 - its number is the system's
        await connect(loud_url)


async def test_close_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Handlers that do not end are cancelled, clients that do not answer dropped."""
    cancelled: list[bool] = []

    async def handler(ws: WebSocket) -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            cancelled.append(True)
            raise

    server = serve(handler, "127.0.0.1", close_timeout=0.05)
    async with server:
        async with raw_client(server) as peer:
            await peer.stream.send(HANDSHAKE + b"\r\n")
            await peer.until(b"\r\n\r\n")
            while not server.connections:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            await server.close()
            assert peer.data + await peer.stream.receive() == b"\x88\x02\x03\xe9"
    assert cancelled == [True]
    assert not server.connections
    assert not caplog.records


async def test_close_that_is_cancelled() -> None:
    """What is left is cancelled at once, and the server's tasks are gone."""
    entered = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        entered.set()
        await anyio.sleep_forever()

    server = serve(handler, "127.0.0.1")
    async with server:
        async with raw_client(server) as peer:
            await peer.stream.send(HANDSHAKE + b"\r\n")
            await entered.wait()
            with anyio.move_on_after(0.02) as scope:
                await server.close()
            assert scope.cancelled_caught
            assert not server.connections


async def test_close_goes_on_reading_when_the_receiver_is_cancelled() -> None:
    """On trio nobody else does: of the tasks that wait one reads, and another takes over."""
    go_on = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        await go_on.wait()
        assert (await ws.receive()).type is WSMsgType.CLOSE

    async with serve(handler, "127.0.0.1") as server:
        ws = await connect(url(server))
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as receiving:
                receiving.start_soon(ws.receive)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(ws.close)
                await anyio.wait_all_tasks_blocked()
                receiving.cancel_scope.cancel()
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        assert ws.close_code == 1000


async def test_serve_forever() -> None:
    async with serve(echo, "127.0.0.1") as server:
        with anyio.move_on_after(0.01) as scope:
            await server.serve_forever()
    assert scope.cancelled_caught


async def test_addresses() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    sock = listener.extra(SocketAttribute.raw_socket).dup()
    await listener.aclose()
    async with serve(echo, sock=sock) as server:
        assert server.socknames == [("127.0.0.1", server.port)]
        with pytest.raises(OSError):  # noqa: PT011 - its number is the system's
            async with serve(echo, "127.0.0.1", server.port):
                raise AssertionError
        async with connect(url(server)) as ws:
            await ws.send_str("hi")
            assert await ws.receive_str() == "hi"


async def test_wrong_options() -> None:
    with pytest.raises(TypeError, match="unknown option 'hartbeat'"):
        serve(echo, hartbeat=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="compress_level=10, expected 1 to 9"):
        serve(echo, compress_level=10)


async def test_end_that_is_cancelled() -> None:
    """A client that takes nothing holds up no handler that is cancelled."""
    results: list[Any] = []
    done = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        assert (await ws.receive()).data == b"go"
        ws._link.write(bytes(20_000_000))
        with anyio.move_on_after(0.02) as scope:
            await ws.receive()
        results.extend([scope.cancelled_caught, ws.closed, await ws.receive()])
        done.set()

    async with serve(handler, "127.0.0.1") as server:
        async with raw_client(server) as peer:
            frames = b"\x82\x82\0\0\0\0go" + b"\x88\x82\0\0\0\0\x03\xe8"
            await peer.stream.send(HANDSHAKE + b"\r\n" + frames)
            await done.wait()
    assert results == [True, True, WS_CLOSED_MESSAGE]


async def test_client_that_never_takes_the_end() -> None:
    """Its time is `timeout_close`; then the link is aborted."""
    results: list[Any] = []
    done = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        assert (await ws.receive()).data == b"go"
        ws._link.write(bytes(20_000_000))
        results.append((await ws.receive()).type)
        results.append(ws.closed)
        done.set()

    async with serve(handler, "127.0.0.1", timeout_close=0.02) as server:
        async with raw_client(server) as peer:
            frames = b"\x82\x82\0\0\0\0go" + b"\x88\x82\0\0\0\0\x03\xe8"
            await peer.stream.send(HANDSHAKE + b"\r\n" + frames)
            await done.wait()
    assert results == [WSMsgType.CLOSE, True]


async def test_violation_reaches_a_client_that_goes_on_sending() -> None:
    """The close frame is not lost to the reset that unread octets cause."""

    async with serve(echo, "127.0.0.1", max_msg_size=1000) as server:
        async with raw_client(server) as peer:
            await peer.stream.send(HANDSHAKE + b"\r\n")
            await peer.until(b"\r\n\r\n")
            await peer.stream.send(b"\x82\xff" + (10**6).to_bytes(8, "big") + bytes(4))
            for _ in range(10):
                await peer.stream.send(bytes(100_000))
            assert await rest(peer) == b"\x88\x02\x03\xf1"


def test_logger() -> None:
    assert logging.getLogger("wsproto_async").handlers == []
