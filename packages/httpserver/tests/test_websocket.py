"""WebSockets of the server, against a client that is nothing but the protocol."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import httpserver as web
from httpcore_proto import NEED_DATA, ConnectionClosed, LocalProtocolError
from wsproto_async import ClientHandshake, Role, WebSocket, WebSocketConnection

from .conftest import Answer, Origin, Peer

# Of RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def handshake(
    *fields: str,
    method: str = "GET",
    path: str = "/",
    version: str = "1.1",
    without: str = "-",
    body: bytes = b"",
) -> bytes:
    """Return a request for a WebSocket; fields replace those of their name."""
    lines = {
        "host": "Host: a",
        "upgrade": "Upgrade: websocket",
        "connection": "Connection: Upgrade",
        "sec-websocket-version": "Sec-WebSocket-Version: 13",
        "sec-websocket-key": f"Sec-WebSocket-Key: {KEY}",
    }
    lines |= {field.split(":")[0].lower(): field for field in fields}
    lines.pop(without, None)
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines.values(), "", ""]).encode() + body


class Client:
    """The client's end of a WebSocket."""

    def __init__(self, peer: Peer, machine: WebSocketConnection, answer: Answer) -> None:
        self.peer = peer
        self.machine = machine
        self.answer = answer

    async def send(self, data: bytes) -> None:
        await self.peer.send(data)

    async def text(self, text: str) -> None:
        await self.send(self.machine.send_text(text))

    async def receive(self) -> Any:
        """Return the next event."""
        while (event := self.machine.next_event()) is NEED_DATA:
            with anyio.fail_after(10):
                try:
                    self.machine.receive_data(await self.peer.stream.receive())
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    self.machine.receive_eof()
        return event

    async def close_code(self) -> int:
        """Answer the server's close frame, wait for the end, and return the code."""
        message = await self.receive()
        assert message.type is web.WSMsgType.CLOSE, message
        await self.send(self.machine.send_close_reply())
        assert await self.end() is None
        return int(message.data)

    async def end(self) -> Any:
        """Return what comes, None if it is an orderly end."""
        event = await self.receive()
        return None if type(event) is ConnectionClosed else event


async def open_socket(
    origin: Origin,
    *fields: str,
    path: str = "/",
    compress: bool = False,
    protocols: tuple[str, ...] = (),
    behind: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> Client:
    shake = ClientHandshake(compress=compress, protocols=protocols)
    lines = [f"{name}: {value}" for name, value in shake.headers]
    peer = await origin.connect(tls=tls)
    await peer.send(handshake(*lines, *fields, path=path) + behind)
    answer = await peer.answer(bodiless=True)
    assert answer.status == 101, answer
    agreed = shake.check(101, answer.headers)
    machine = WebSocketConnection(Role.CLIENT, deflate=agreed.deflate)
    machine.receive_data(bytes(peer._data))
    return Client(peer, machine, answer)


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(protocols=("chat", "old"))
    await ws.prepare(request)
    async for message in ws:
        if message.type is web.WSMsgType.TEXT:
            await ws.send_str(message.data + "/answer")
        else:
            await ws.send_bytes(message.data)
    return ws


@pytest.fixture
def serve(serve: Any) -> Any:
    """Serve, and let no client wait for the close frames of the server's end."""

    @asynccontextmanager
    async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Origin]:
        async with serve(*args, **kwargs) as origin:
            try:
                yield origin
            finally:
                for peer in origin._peers:
                    await peer.close()

    return run


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


class Served:
    """A WebSocket whose handler waits until it is told to go on."""

    def __init__(self) -> None:
        self.ready = anyio.Event()
        self.go = anyio.Event()
        self.done = anyio.Event()
        self.cancelled = False
        self.socket = web.WebSocketResponse()
        self.received: list[Any] = []

    async def wait(self, request: web.Request) -> web.WebSocketResponse:
        """Do nothing until told."""
        await self.socket.prepare(request)
        self.ready.set()
        try:
            await self.go.wait()
        except BaseException:
            self.cancelled = True
            raise
        finally:
            self.done.set()
        return self.socket

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        """Keep what comes, the end included."""
        await self.socket.prepare(request)
        self.ready.set()
        try:
            while not self.received or self.received[-1].type < 0x100:
                self.received.append(await self.socket.receive())
        finally:
            self.done.set()
        return self.socket


# The handshake.


async def test_head_of_the_handshake(serve: Any) -> None:
    facts = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        ws.headers["X-Own"] = "1"
        ws.headers["Content-Length"] = "7"
        ws.set_cookie("a", "b")
        await ws.prepare(request)
        facts.extend([ws.prepared, ws.status, ws.reason, ws.keep_alive])
        await ws.prepare(request)
        return ws

    async with serve(handler) as origin:
        answer = await origin.ask(handshake(), bodiless=True)

    assert facts == [True, 101, "Switching Protocols", False]
    assert answer.status_line == "HTTP/1.1 101 Switching Protocols"
    headers = answer.headers
    assert headers.pop("Date")
    assert headers.pop("Server")
    assert sorted(headers.items()) == [
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Set-Cookie", "a=b; Path=/"),
        ("Upgrade", "websocket"),
        ("X-Own", "1"),
    ]


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (handshake(without="upgrade"), 400, "Upgrade does not say websocket\n"),
        (handshake("Upgrade: h2c"), 400, "Upgrade does not say websocket\n"),
        (handshake("Connection: keep-alive"), 400, "Connection does not say upgrade\n"),
        (
            handshake("Sec-WebSocket-Version: 12"),
            400,
            "Sec-WebSocket-Version is not one of 13, 8, 7\n",
        ),
        (handshake(without="sec-websocket-key"), 400, "Sec-WebSocket-Key is missing\n"),
        (
            handshake("Sec-WebSocket-Key: YWJj"),
            400,
            "Sec-WebSocket-Key is not base64 of 16 octets\n",
        ),
        (handshake(version="1.0"), 400, "a WebSocket handshake needs HTTP/1.1\n"),
        (handshake(method="HEAD"), 405, ""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Upgrade does not say websocket\n"),
    ],
)
async def test_handshake_that_is_none(serve: Any, request_: bytes, status: int, text: str) -> None:
    async with serve(echo) as origin:
        answer = await origin.ask(request_, bodiless=request_.startswith(b"HEAD"))

    assert (answer.status, answer.text) == (status, text)
    assert answer.headers.get("Sec-WebSocket-Version") == (
        "13, 8, 7" if "not one of" in text else None
    )


async def test_refused_connection_carries_further_requests(serve: Any) -> None:
    async with serve(echo) as origin:
        peer = await origin.connect()
        for _ in range(2):
            await peer.send(handshake("Sec-WebSocket-Version: 1"))
            assert (await peer.answer()).status == 400
        await peer.send(handshake())
        assert (await peer.answer(bodiless=True)).status == 101


@pytest.mark.parametrize("version", ["13", "8", "7"])
async def test_versions(serve: Any, version: str) -> None:
    async with serve(echo) as origin:
        request = handshake(f"Sec-WebSocket-Version: {version}")
        assert (await origin.ask(request, bodiless=True)).status == 101


async def test_can_prepare(serve: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=["b", "a"])
        ready = ws.can_prepare(request)
        if not ready:
            return web.Response(text=repr(ready))
        ws.headers["X-Ready"] = repr(ready)
        await ws.prepare(request)
        with pytest.raises(RuntimeError, match="Already started"):
            ws.can_prepare(request)
        return ws

    async with serve(handler) as origin:
        answer = await origin.ask(handshake("Sec-WebSocket-Protocol: x, a, b"), bodiless=True)
        assert answer.headers["X-Ready"] == "WebSocketReady(ok=True, protocol='a')"
        answer = await origin.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.text == "WebSocketReady(ok=False, protocol=None)"


@pytest.mark.parametrize(
    ("offered", "chosen", "warned"),
    [
        (("new", "chat", "old"), "chat", False),
        (("old", "chat"), "old", False),
        (("new",), None, True),
        ((), None, False),
    ],
)
async def test_sub_protocol(
    serve: Any,
    caplog: pytest.LogCaptureFixture,
    offered: tuple[str, ...],
    chosen: str | None,
    warned: bool,
) -> None:
    caplog.set_level(logging.WARNING, "httpserver.websocket")
    chosen_by_server = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("chat", "old"))
        assert ws.ws_protocol is None
        await ws.prepare(request)
        chosen_by_server.append(ws.ws_protocol)
        return ws

    async with serve(handler) as origin:
        client = await open_socket(origin, protocols=offered)
        assert client.answer.headers.get("Sec-WebSocket-Protocol") == chosen
        assert await client.close_code() == 1000

    assert chosen_by_server == [chosen]
    assert bool(caplog.record_tuples) is warned
    assert all("of which none is among" in text for _, _, text in caplog.record_tuples)


@pytest.mark.parametrize(
    ("wish", "offer", "value", "compress"),
    [
        (True, "permessage-deflate", "permessage-deflate", 15),
        (True, None, None, 0),
        (False, "permessage-deflate", None, 0),
        (
            web.Deflate(server_max_window_bits=10),
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=10",
            10,
        ),
        (
            True,
            "permessage-deflate; x, permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
            15,
        ),
    ],
)
async def test_compression_is_agreed_on(
    serve: Any, wish: Any, offer: str | None, value: str | None, compress: int
) -> None:
    seen = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=wish)
        assert ws.compress == wish
        await ws.prepare(request)
        seen.append(ws.compress)
        return ws

    async with serve(handler) as origin:
        fields = [] if offer is None else [f"Sec-WebSocket-Extensions: {offer}"]
        answer = await origin.ask(handshake(*fields), bodiless=True)

    assert answer.headers.get("Sec-WebSocket-Extensions") == value
    assert seen == [compress]


async def test_body_of_the_handshake_is_read_first(serve: Any) -> None:
    """It would be taken for frames otherwise."""

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(await request.text())
        return ws

    async with serve(handler) as origin:
        peer = await origin.connect()
        request = handshake("Content-Length: 5", method="POST", body=b"hello")
        await peer.send(request[:-2])
        await anyio.wait_all_tasks_blocked()
        await peer.send(request[-2:])
        answer = await peer.answer(bodiless=True)
        assert answer.status == 101
        assert await peer.exactly(7) == b"\x81\x05hello"


async def test_client_that_waits_for_100_gets_it(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        return ws

    async with serve(web.Application()) as origin:
        # Nobody answered the Expect field before the handler.
        origin.server.handler = handler
        peer = await origin.connect()
        await peer.send(handshake("Content-Length: 2", "Expect: 100-continue", method="POST"))
        assert await peer.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"ab")
        assert (await peer.answer(bodiless=True)).status == 101


async def test_body_of_the_handshake_is_bounded(serve: Any) -> None:
    app = web.Application(client_max_size=10)
    app.router.add_post("/", echo)
    async with serve(app) as origin:
        request = handshake("Content-Length: 11", method="POST", body=b"12345678901")
        assert (await origin.ask(request)).status == 413


async def test_frames_behind_the_request_are_received(serve: Any) -> None:
    machine = WebSocketConnection(Role.CLIENT)
    async with serve(echo) as origin:
        client = await open_socket(origin, behind=machine.send_text("early"))
        assert (await client.receive()).data == "early/answer"


async def test_flood_behind_the_request_is_received(serve: Any) -> None:
    """Reading stops while a handler thinks about the handshake, and has to go on behind it."""
    go = anyio.Event()
    sizes: list[int] = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        await go.wait()
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        sizes.extend([len(message.data) async for message in ws])
        return ws

    machine = WebSocketConnection(Role.CLIENT)
    frames = b"".join(machine.send_bytes(bytes(10_000)) for _ in range(400))
    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        await peer.send(handshake())
        tasks.start_soon(peer.stream.send, frames + machine.send_close())
        await anyio.wait_all_tasks_blocked()
        go.set()
        assert (await peer.answer(bodiless=True)).status == 101
        await origin.no_connections()

    assert sizes == [10_000] * 400


async def test_hook_sees_the_whole_head(serve: Any) -> None:
    seen = []

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        seen.append((response.status, dict(response.headers)))
        response.headers["X-Hook"] = "1"
        response.enable_chunked_encoding()
        response.enable_compression()

    app = web.Application()
    app.router.add_get("/", echo)
    app.on_response_prepare.append(prepare)
    async with serve(app) as origin:
        client = await open_socket(origin)
        assert client.answer.headers["X-Hook"] == "1"
        assert "Transfer-Encoding" not in client.answer.headers
        await client.text("a")
        assert (await client.receive()).data == "a/answer"

    assert [status for status, _ in seen] == [101]
    assert {"Upgrade", "Connection", "Sec-WebSocket-Accept", "Date", "Server"} == set(seen[0][1])


async def test_field_that_cannot_be_sent_leaves_no_trace(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        ws.headers["X-Bad"] = "a\r\nb"
        with pytest.raises(LocalProtocolError):
            await ws.prepare(request)
        assert not ws.prepared
        return web.Response(text="sorry")

    async with serve(handler) as origin:
        assert (await origin.ask(handshake())).text == "sorry"


async def test_prepare_with_the_client_gone(serve: Any, reset: Any) -> None:
    raised = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        await reset(peer)
        await request.disconnected()
        ws = web.WebSocketResponse()
        try:
            await ws.prepare(request)
        except ConnectionResetError as exc:
            raised.append(exc)
            raise
        return ws

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(handshake())
        await origin.no_connections()

    assert len(raised) == 1


async def test_handler_that_does_not_prepare(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        return web.WebSocketResponse()

    async with serve(handler) as origin:
        assert await (await open_socket(origin)).close_code() == 1000


async def test_tls(serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with serve(echo, ssl_context=server_tls) as origin:
        client = await open_socket(origin, tls=client_tls)
        await client.text("a")
        assert (await client.receive()).data == "a/answer"
        await client.send(client.machine.send_close(4000))
        assert (await client.receive()).data == 4000
        assert await client.end() is None


# Messages.


@pytest.mark.parametrize("compress", [False, True])
async def test_all_kinds_of_messages(serve: Any, compress: bool) -> None:
    text = "text " * 20

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert ws.get_extra_info("peername")[0] == "127.0.0.1"
        await ws.send_str(await ws.receive_str())
        await ws.send_str(text, compress=False)
        await ws.send_bytes(await ws.receive_bytes(timeout=5))
        await ws.send_json(await ws.receive_json())
        await ws.send_json_bytes({"a": 1}, dumps=lambda data: repr(data).encode())
        await ws.send_frame(b"raw", web.WSMsgType.TEXT)
        async for piece in ws.fragments():
            await ws.send_fragment(piece.data, last=piece.last)
        await ws.ping(b"pi")
        await ws.pong(b"po")
        return ws

    async with serve(handler) as origin:
        client = await open_socket(origin, compress=compress)
        machine = client.machine
        await client.text(text)
        await client.send(machine.send_bytes(b"\0\1"))
        await client.text("[1, 2]")
        await client.send(machine.send_fragment("ab", last=False))
        await client.send(machine.send_fragment("cd", last=True))
        received = [(await client.receive())[:2] for _ in range(9)]
        kinds = web.WSMsgType
        assert received == [
            (kinds.TEXT, text),
            (kinds.TEXT, text),
            (kinds.BINARY, b"\0\1"),
            (kinds.TEXT, "[1, 2]"),
            (kinds.BINARY, b"{'a': 1}"),
            (kinds.TEXT, "raw"),
            (kinds.TEXT, "abcd"),
            (kinds.PING, b"pi"),
            (kinds.PONG, b"po"),
        ]
        assert await client.close_code() == 1000


async def test_undecoded_text(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(decode_text=False)
        await ws.prepare(request)
        await ws.send_bytes((await ws.receive()).data)
        await ws.send_bytes(await ws.receive_str())  # type: ignore[arg-type]  # so in aiohttp
        await ws.send_json(await ws.receive_json())
        return ws

    async with serve(handler) as origin:
        client = await open_socket(origin)
        for text, answer in (("ä", "ä".encode()), ("b", b"b"), ("[1]", "[1]")):
            await client.text(text)
            assert (await client.receive()).data == answer


async def test_ping_is_answered_while_the_handler_is_busy(serve: Any) -> None:
    served = Served()
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        await client.send(client.machine.send_ping(b"there?"))
        assert (await client.receive())[:2] == (web.WSMsgType.PONG, b"there?")
        served.go.set()
        assert await client.close_code() == 1000


async def test_pings_without_autoping(serve: Any) -> None:
    served = Served()
    served.socket = web.WebSocketResponse(autoping=False)
    async with serve(served.listen) as origin:
        client = await open_socket(origin)
        await client.send(client.machine.send_ping(b"1") + client.machine.send_pong(b"2"))
        await client.send(client.machine.send_close())
        await origin.no_connections()

    assert [message[:2] for message in served.received] == [
        (web.WSMsgType.PING, b"1"),
        (web.WSMsgType.PONG, b"2"),
        (web.WSMsgType.CLOSE, 1000),
        (web.WSMsgType.CLOSED, None),
    ]


async def test_pings_and_pongs_without_payload(serve: Any) -> None:
    served = Served()
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        await served.socket.ping()
        assert (await client.receive())[:2] == (web.WSMsgType.PING, b"")
        await served.socket.pong()
        assert (await client.receive())[:2] == (web.WSMsgType.PONG, b"")
        served.go.set()
        assert await client.close_code() == 1000


async def test_loop_of_messages(serve: Any) -> None:
    """Text, binary and the close code go both ways in a plain loop."""
    codes = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            if message.type == web.WSMsgType.text:
                if message.data == "close":
                    await ws.close(code=4001)
                else:
                    await ws.send_str(message.data + "/answer")
            elif message.type == web.WSMsgType.binary:
                await ws.send_bytes(message.data)
        codes.append(ws.close_code)
        return ws

    async with serve(handler) as origin:
        for closes in ("client", "server"):
            client = await open_socket(origin)
            await client.text("a")
            assert (await client.receive()).data == "a/answer"
            await client.send(client.machine.send_bytes(b"b"))
            assert (await client.receive()).data == b"b"
            if closes == "server":
                await client.text("close")
                assert await client.close_code() == 4001
            else:
                await client.send(client.machine.send_close(4000))
                assert (await client.receive()).data == 4000
        await origin.no_connections()

    assert codes == [4000, 4001]


async def test_latency(serve: Any) -> None:
    served = Served()
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        assert served.socket.latency is None
        await served.socket.ping(b"1")
        ping = await client.receive()
        await client.send(client.machine.send_pong(ping.data) + client.machine.send_text(""))
        assert (await served.socket.receive()).data == ""
        assert served.socket.latency is not None
        assert 0 <= served.socket.latency < 10
        served.go.set()
        assert await client.close_code() == 1000


@pytest.mark.parametrize(
    ("call", "frame"),
    [
        (lambda ws: ws.receive_str(), b"\x82\x80abcd"),
        (lambda ws: ws.receive_bytes(), b"\x81\x80abcd"),
        (lambda ws: ws.receive_json(), b"\x82\x80abcd"),
        (lambda ws: ws.receive_str(), b"\x88\x80abcd"),
    ],
)
async def test_message_of_another_type(serve: Any, call: Any, frame: bytes) -> None:
    served = Served()
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        await client.send(frame)
        with pytest.raises(web.WSMessageTypeError):
            await call(served.socket)
        served.go.set()
        await client.receive()


async def test_receive_in_two_tasks(serve: Any) -> None:
    served = Served()
    async with serve(served.listen) as origin:
        client = await open_socket(origin)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError):
            await served.socket.receive()
        await client.send(client.machine.send_close())
        await origin.no_connections()


async def test_receive_in_time(serve: Any) -> None:
    """The socket lives on, and its close code is not set."""
    served = Served()
    served.socket = ws = web.WebSocketResponse(receive_timeout=0.01)
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        with pytest.raises(TimeoutError):
            await ws.receive()
        assert (ws.closed, ws.close_code, ws.exception()) == (False, None, None)
        await client.text("late")
        assert await ws.receive_str(timeout=5) == "late"
        served.go.set()
        assert await client.close_code() == 1000


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x01a", 1002),
        (b"\x83\x80abcd", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x82\xfe\x10\x01abcd", 1009),
    ],
)
async def test_fault_of_the_client(serve: Any, frame: bytes, code: int) -> None:
    served = Served()
    served.socket = ws = web.WebSocketResponse(max_msg_size=4096)
    async with serve(served.listen) as origin:
        client = await open_socket(origin)
        await client.send(frame)
        message = await client.receive()
        assert message[:2] == (web.WSMsgType.CLOSE, code)
        await client.peer.close()
        await origin.no_connections()

    assert served.received[0].type is web.WSMsgType.ERROR
    assert served.received[0].data is ws.exception()
    assert isinstance(ws.exception(), web.WebSocketError)
    assert ws.close_code == code


async def test_message_as_long_as_allowed(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=4096)
        await ws.prepare(request)
        await ws.send_str(str(len(await ws.receive_bytes())))
        return ws

    async with serve(handler) as origin:
        client = await open_socket(origin)
        await client.send(client.machine.send_bytes(bytes(4096)))
        assert (await client.receive()).data == "4096"


async def test_slow_client_stops_the_handler(serve: Any) -> None:
    sent = 0

    async def handler(request: web.Request) -> web.WebSocketResponse:
        nonlocal sent
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        while sent < 1000:
            await ws.send_bytes(bytes(100_000))
            sent += 1
        return ws

    async with serve(handler) as origin:
        client = await open_socket(origin)
        await anyio.wait_all_tasks_blocked()
        assert sent < 200
        for _ in range(1000):
            assert len((await client.receive()).data) == 100_000
        assert await client.close_code() == 1000


# Before the handshake.


@pytest.mark.parametrize(
    "call",
    [
        lambda ws: ws.receive(),
        lambda ws: ws.receive_str(),
        lambda ws: ws.receive_bytes(),
        lambda ws: ws.receive_json(),
        lambda ws: ws.__anext__(),
        lambda ws: ws.send_str(""),
        lambda ws: ws.send_bytes(b""),
        lambda ws: ws.send_json(1),
        lambda ws: ws.send_json_bytes(1, dumps=lambda data: b"1"),
        lambda ws: ws.send_frame(b"", web.WSMsgType.TEXT),
        lambda ws: ws.send_fragment(b"", last=True),
        lambda ws: ws.ping(),
        lambda ws: ws.pong(),
        lambda ws: ws.close(),
        lambda ws: ws.write_eof(),
    ],
)
async def test_calls_before_prepare(call: Any) -> None:
    ws = web.WebSocketResponse()

    with pytest.raises(RuntimeError, match=r"Call \.prepare\(\) first"):
        await call(ws)


async def test_facts_before_prepare() -> None:
    ws = web.WebSocketResponse(compress=False)

    assert (ws.prepared, ws.closed, ws.close_code, ws.ws_protocol) == (False, False, None, None)
    assert (ws.compress, ws.latency, ws.exception(), ws.status) == (False, None, None, 101)
    assert ws.get_extra_info("peername", "nobody") == "nobody"
    with pytest.raises(RuntimeError, match=r"Call \.prepare\(\) first"):
        ws.fragments()
    with pytest.raises(RuntimeError, match=r"Cannot call \.write\(\)"):
        await ws.write(b"")


# The end.


@asynccontextmanager
async def ended(serve: Any, handler: Any, **kwargs: Any) -> AsyncIterator[Client]:
    """Open a WebSocket, and wait until the server has let go of it."""
    async with serve(handler, **kwargs) as origin:
        client = await open_socket(origin)
        yield client
        await client.peer.close()
        await origin.no_connections()


async def test_close_frame_of_the_client(serve: Any) -> None:
    served = Served()
    async with ended(serve, served.listen) as client:
        await client.send(client.machine.send_close(4001, "enough"))
        assert (await client.receive())[:2] == (web.WSMsgType.CLOSE, 4001)
        assert await client.end() is None
        await served.done.wait()

    assert served.received == [
        (web.WSMsgType.CLOSE, 4001, "enough"),
        (web.WSMsgType.CLOSED, None, None),
    ]
    assert (served.socket.closed, served.socket.close_code) == (True, 4001)
    assert served.socket.exception() is None


async def test_closed_socket_says_so_four_times(serve: Any) -> None:
    served = Served()
    async with ended(serve, served.wait) as client:
        await client.send(client.machine.send_close())
        ws = served.socket
        assert (await ws.receive()).type is web.WSMsgType.CLOSE
        for _ in range(4):
            assert (await ws.receive()).type is web.WSMsgType.CLOSED
        for _ in range(2):
            with pytest.raises(RuntimeError, match="closed"):
                await ws.receive()
        served.go.set()


async def test_close_from_another_task(serve: Any) -> None:
    served = Served()
    async with ended(serve, served.listen) as client, anyio.create_task_group() as tasks:
        await anyio.wait_all_tasks_blocked()
        closed = []

        async def close() -> None:
            closed.append(await served.socket.close(code=4000, message="bye"))

        tasks.start_soon(close)
        message = await client.receive()
        assert message == (web.WSMsgType.CLOSE, 4000, "bye")
        await client.send(client.machine.send_close_reply())
        assert await client.end() is None
        await served.done.wait()
        await anyio.wait_all_tasks_blocked()
        assert closed == [True]
        assert await served.socket.close() is False

    assert [message.type for message in served.received] == [web.WSMsgType.CLOSING]


async def test_handler_that_returns_while_another_task_closes(serve: Any) -> None:
    """The client still has its time to answer."""
    served = Served()
    async with ended(serve, served.wait) as client, anyio.create_task_group() as tasks:
        await served.ready.wait()
        tasks.start_soon(served.socket.close)
        assert (await client.receive()).data == 1000
        served.go.set()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        await client.send(client.machine.send_close_reply())
        assert await client.end() is None

    assert served.socket.close_code == 1000


async def test_close_is_bounded(serve: Any) -> None:
    served = Served()
    served.socket = ws = web.WebSocketResponse(timeout=0.05)
    async with ended(serve, served.wait) as client:
        served.go.set()
        assert (await client.receive()).data == 1000
        assert type(await client.receive()) is ConnectionClosed

    assert ws.close_code == 1006


async def test_send_behind_the_end(serve: Any) -> None:
    raised = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.close()
        try:
            await ws.send_str("late")
        except ConnectionResetError as exc:
            raised.append(exc)
        return ws

    async with ended(serve, handler) as client:
        assert await client.close_code() == 1000

    assert len(raised) == 1


async def test_write_eof_closes_once(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.write_eof()
        assert ws.closed
        await ws.write_eof()
        return ws

    async with ended(serve, handler) as client:
        assert await client.close_code() == 1000


async def fail(request: web.Request, ws: web.WebSocketResponse) -> Any:
    raise ValueError("a bug")


async def time_out(request: web.Request, ws: web.WebSocketResponse) -> Any:
    await ws.receive(timeout=0.01)


async def forget(request: web.Request, ws: web.WebSocketResponse) -> Any:
    return None


async def redirect(request: web.Request, ws: web.WebSocketResponse) -> Any:
    raise web.HTTPFound("/")


async def respond(request: web.Request, ws: web.WebSocketResponse) -> Any:
    return web.Response(text="another")


async def stream(request: web.Request, ws: web.WebSocketResponse) -> Any:
    response = web.StreamResponse()
    await response.prepare(request)
    return response


@pytest.mark.parametrize(
    ("action", "logged"),
    [
        (fail, "error handling <Request GET '/'>"),
        (time_out, None),
        (forget, "error handling <Request GET '/'>"),
        (redirect, "error while sending the response to <Request GET '/'>"),
        (respond, "error while sending the response to <Request GET '/'>"),
        (stream, "error handling <Request GET '/'>"),
    ],
)
async def test_handler_that_fails_closes_with_1011(
    serve: Any, caplog: pytest.LogCaptureFixture, action: Any, logged: str | None
) -> None:
    async def handler(request: web.Request) -> Any:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        return await action(request, ws)

    async with ended(serve, handler) as client:
        assert await client.close_code() == 1011

    assert errors(caplog) == ([] if logged is None else [logged])


async def test_handler_that_sends_to_nobody_is_not_logged(
    serve: Any, caplog: pytest.LogCaptureFixture, reset: Any
) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        while True:
            await ws.send_bytes(bytes(100_000))

    async with ended(serve, handler) as client:
        await reset(client.peer)

    assert errors(caplog) == []


async def test_client_lost(serve: Any, reset: Any) -> None:
    served = Served()
    async with ended(serve, served.listen) as client:
        await reset(client.peer)

    assert [message.type for message in served.received] == [web.WSMsgType.CLOSED]
    assert served.socket.closed
    assert served.socket.close_code == 1006
    assert isinstance(served.socket.exception(), ConnectionResetError)
    assert served.socket.get_extra_info("peername", "gone") == "gone"


async def test_client_closes_without_a_frame(serve: Any) -> None:
    served = Served()
    async with ended(serve, served.listen) as client:
        await client.peer.close()

    assert [message.type for message in served.received] == [web.WSMsgType.CLOSED]
    assert served.socket.close_code == 1006


# The connection and the server.


async def test_connection_is_known_until_both_are_done(serve: Any, reset: Any) -> None:
    served = Served()
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        assert len(origin.server.connections) == 1
        await reset(client.peer)
        await anyio.wait_all_tasks_blocked()
        assert len(origin.server.connections) == 1
        served.go.set()
        await origin.no_connections()


async def test_access_log_has_one_line(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "httpserver.access")
    async with ended(serve, echo) as client:
        await client.text("a")
        await client.receive()
        await client.send(client.machine.send_close())
        await client.receive()

    lines = [record.getMessage() for record in caplog.records if record.name.endswith("access")]
    assert len(lines) == 1
    assert '"GET / HTTP/1.1" 101 ' in lines[0]


async def test_request_tells_that_the_client_is_gone(serve: Any, reset: Any) -> None:
    gone = anyio.Event()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await request.disconnected()
        gone.set()
        return ws

    async with ended(serve, handler) as client:
        await reset(client.peer)
        await gone.wait()


async def test_handler_is_cancelled_if_it_wants_that(serve: Any, reset: Any) -> None:
    served = Served()
    async with ended(serve, served.wait, handler_cancellation=True) as client:
        await reset(client.peer)
        await served.done.wait()

    assert served.cancelled


@pytest.mark.parametrize("closes", ["client", "server", "nobody"])
async def test_handler_that_knows_of_the_end_is_not_cancelled(serve: Any, closes: str) -> None:
    """Else what it does behind its loop would be cut short."""
    finished = False

    async def handler(request: web.Request) -> web.WebSocketResponse:
        nonlocal finished
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        if closes == "client":
            assert (await ws.receive()).type is web.WSMsgType.CLOSE
        else:
            await ws.close()
        await request.disconnected()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        finished = True
        return ws

    async with serve(handler, handler_cancellation=True) as origin:
        client = await open_socket(origin)
        if closes == "client":
            await client.send(client.machine.send_close())
        assert (await client.receive()).type is web.WSMsgType.CLOSE
        if closes == "server":
            await client.send(client.machine.send_close_reply())
        if closes == "nobody":
            await client.peer.close()
        else:
            await client.end()
        await origin.no_connections()

    assert finished


async def test_handler_timeout_is_for_responses(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        if request.path == "/slow":
            await anyio.sleep_forever()
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(await ws.receive_str())
        return ws

    async with serve(handler, handler_timeout=0.01, sweep_interval=0.01) as origin:
        client = await open_socket(origin)
        assert (await origin.ask(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")).status == 504
        assert (await origin.ask(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")).status == 504
        await client.text("there")
        assert (await client.receive()).data == "there"


async def test_client_that_does_not_close_is_cut_off(serve: Any) -> None:
    """Both have sent their close frames, but the client keeps the connection open."""
    async with serve(echo) as origin:
        client = await open_socket(origin)
        await client.send(client.machine.send_close())
        await origin.no_connections()
        assert (await client.receive()).type is web.WSMsgType.CLOSE


async def test_shutdown_closes_with_1001(serve: Any) -> None:
    served = Served()
    async with serve(served.listen) as origin, anyio.create_task_group() as tasks:
        client = await open_socket(origin)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(origin.runner.cleanup)
        assert await client.close_code() == 1001

    assert [message.type for message in served.received] == [web.WSMsgType.CLOSING]
    assert served.socket.close_code == 1001


async def test_shutdown_leaves_the_first_word_to_the_application(serve: Any) -> None:
    served = Served()

    async def restart(app: web.Application) -> None:
        await served.socket.close(code=web.WSCloseCode.SERVICE_RESTART, message="soon back")

    app = web.Application()
    app.router.add_get("/", served.listen)
    app.on_shutdown.append(restart)
    async with serve(app) as origin, anyio.create_task_group() as tasks:
        client = await open_socket(origin)
        tasks.start_soon(origin.runner.cleanup)
        message = await client.receive()
        assert message == (web.WSMsgType.CLOSE, 1012, "soon back")
        await client.send(client.machine.send_close_reply())


async def test_handler_that_returns_while_the_server_ends(serve: Any) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await request.shutdown.wait()
        return ws

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        client = await open_socket(origin)
        tasks.start_soon(origin.runner.cleanup)
        assert await client.close_code() == 1001


async def test_socket_that_is_opened_while_the_server_ends(serve: Any) -> None:
    served = Served()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        served.ready.set()
        await request.shutdown.wait()
        return await served.listen(request)

    async with serve(handler) as origin, anyio.create_task_group() as tasks:
        peer = await origin.connect()
        await peer.send(handshake())
        await served.ready.wait()
        tasks.start_soon(origin.runner.cleanup)
        assert (await peer.answer(bodiless=True)).status == 101
        assert await peer.exactly(4) == b"\x88\x02\x03\xe9"
        await peer.close()


@pytest.mark.parametrize("answers", [False, True])
async def test_shutdown_is_bounded(serve: Any, answers: bool) -> None:
    """Neither a client that does not answer nor a handler that does not end delays it."""
    served = Served()
    async with serve(served.wait, shutdown_timeout=0.1) as origin:
        client = await open_socket(origin)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(origin.runner.cleanup)
            assert (await client.receive()).data == 1001
            if answers:
                await client.send(client.machine.send_close_reply())
            assert type(await client.receive()) is ConnectionClosed

    assert served.cancelled


async def test_shutdown_with_the_client_gone_already(serve: Any, reset: Any) -> None:
    served = Served()
    async with serve(served.wait, shutdown_timeout=0.1) as origin:
        client = await open_socket(origin)
        await reset(client.peer)
        (connection,) = origin.server.connections
        while not connection._lost:
            await anyio.lowlevel.checkpoint()

    assert served.cancelled


async def test_close_that_fails_is_logged(
    serve: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a task of its own, which must not raise."""

    async def close(self: WebSocket, *, code: int) -> bool:
        raise ValueError("broken")

    monkeypatch.setattr(WebSocket, "close", close)
    served = Served()
    async with serve(served.wait, shutdown_timeout=0.1) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        await origin.runner.cleanup()
        assert type(await client.receive()) is ConnectionClosed

    assert served.cancelled
    assert [text.partition("<")[0] for text in errors(caplog)] == ["error while closing "]


async def test_cut_connection_ends_the_handler(serve: Any) -> None:
    served = Served()
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        await served.ready.wait()
        (connection,) = origin.server.connections
        connection.abort()
        await origin.no_connections()
        assert type(await client.receive()) is ConnectionClosed

    assert served.cancelled


async def test_heartbeat(serve: Any) -> None:
    """The client that answers stays, however slow the handler; that which does not, goes."""
    served = Served()
    served.socket = ws = web.WebSocketResponse(heartbeat=0.05)
    async with serve(served.wait) as origin:
        client = await open_socket(origin)
        for _ in range(3):
            ping = await client.receive()
            assert ping.type is web.WSMsgType.PING
            await client.send(client.machine.send_pong(ping.data))
        assert not ws.closed
        assert (await client.receive()).type is web.WSMsgType.PING
        assert type(await client.receive()) is ConnectionClosed
        message = await ws.receive()
        assert message.type is web.WSMsgType.ERROR
        assert isinstance(message.data, TimeoutError)
        assert ws.close_code == 1006
        served.go.set()
        await origin.no_connections()


async def test_heartbeat_waits_for_the_handshake(serve: Any) -> None:
    """A handshake may take longer than the heartbeat's time."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        with anyio.move_on_after(0.05):
            await anyio.sleep_forever()

    served = Served()
    served.socket = web.WebSocketResponse(heartbeat=0.01)
    app = web.Application()
    app.router.add_get("/", served.wait)
    app.on_response_prepare.append(prepare)
    async with serve(app) as origin:
        client = await open_socket(origin)
        for _ in range(3):
            ping = await client.receive()
            assert ping.type is web.WSMsgType.PING
            await client.send(client.machine.send_pong(ping.data))
        assert not served.socket.closed
        served.go.set()


async def test_application_of_websockets_declines(serve: Any) -> None:
    """What a client sends behind a request whose upgrade is declined is HTTP."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    async with serve(handler) as origin:
        peer = await origin.connect()
        await peer.send(handshake(path="/1") + handshake(path="/2"))
        assert [(await peer.answer()).text for _ in range(2)] == ["/1", "/2"]
