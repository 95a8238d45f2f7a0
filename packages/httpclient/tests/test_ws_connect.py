"""WebSockets of the client, against a server that is nothing but the protocol."""

from __future__ import annotations

import contextlib
import pickle
import ssl
import typing
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from multidict import CIMultiDict
from yarl import URL

import httpclient
from httpclient import WSCloseCode, WSMsgType
from httpclient._connection import ClientHTTPConnection
from httpclient._exchange import Exchange
from httpclient._ws_connect import SocketTasks
from httpcore_proto import NEED_DATA, ConnectionClosed, HttpVersion11, LocalProtocolError
from wsproto_async import Role, WebSocketConnection, WSHandshakeError, accept_handshake

from .conftest import Peer, counts, response
from .test_connection import BreakingLink, NoKeeper, compose

EXTENSIONS = "Sec-WebSocket-Extensions: permessage-deflate; "


class Server:
    """The server's end of a WebSocket."""

    def __init__(self, peer: Peer, head: bytes) -> None:
        self.peer = peer
        line, *lines = head.decode().split("\r\n")[:-1]
        self.method, self.target, _ = line.split(" ")
        self.headers = CIMultiDict(line.split(": ", 1) for line in lines)
        self.machine = WebSocketConnection(Role.SERVER)

    def accept(self, *fields: tuple[str, str], **options: Any) -> bytes:
        """Return the head of the answer; fields replace those of their name."""
        accepted = accept_handshake(
            self.method, HttpVersion11, self.headers, methods=None, **options
        )
        self.machine = WebSocketConnection(Role.SERVER, deflate=accepted.deflate)
        headers = CIMultiDict(accepted.headers)
        for name, value in fields:
            headers[name] = value
        lines = [f"{name}: {value}" for name, value in headers.items() if value]
        return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()

    async def send(self, data: bytes) -> None:
        await self.peer.send(data)

    async def receive(self) -> Any:
        """Return the next event."""
        while (event := self.machine.next_event()) is NEED_DATA:
            try:
                self.machine.receive_data(await self.peer._reader.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                self.machine.receive_eof()
        return event

    async def close(self) -> None:
        """Answer the client's close frame."""
        message = await self.receive()
        assert message.type is WSMsgType.CLOSE
        await self.send(self.machine.send_close_reply())


async def accept(
    peer: Peer, *fields: tuple[str, str], head: bytes | None = None, **options: Any
) -> Server:
    server = Server(peer, await peer.head() if head is None else head)
    await server.send(server.accept(*fields, **options))
    return server


async def echo(peer: Peer) -> None:
    """Answer the handshake, messages, and the close frame."""
    await chat(peer, await peer.head())


async def chat(peer: Peer, head: bytes) -> None:
    """Do that, the head of the handshake being read."""
    server = await accept(peer, head=head, protocols=["chat"])
    while not isinstance(message := await server.receive(), ConnectionClosed):
        if message.type is WSMsgType.CLOSE:
            await server.send(server.machine.send_close_reply())
            return
        if message.type is WSMsgType.TEXT:
            await server.send(server.machine.send_text(message.data + "/answer"))
        elif message.type is WSMsgType.BINARY:
            await server.send(server.machine.send_bytes(message.data))
        elif message.type is WSMsgType.PING:
            await server.send(server.machine.send_pong(message.data))


# The handshake.


async def test_request_of_the_handshake(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url + "chat?a=1") as ws:
            assert not ws.closed
        assert ws.closed

    line, *lines = origin.heads[0].split("\r\n")[:-1]
    headers = CIMultiDict(line.split(": ", 1) for line in lines)
    assert line == "GET /chat?a=1 HTTP/1.1"
    assert headers["Host"] == f"127.0.0.1:{origin.port}"
    assert headers["Upgrade"] == "websocket"
    assert headers["Connection"] == "Upgrade"
    assert headers["Sec-WebSocket-Version"] == "13"
    assert len(headers["Sec-WebSocket-Key"]) == 24
    assert not {"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin"} & set(headers)


async def test_key_is_a_fresh_one(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        for _ in range(2):
            async with session.ws_connect(origin.url, headers={"Sec-WebSocket-Key": "mine"}):
                pass

    keys = {head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0] for head in origin.heads}
    assert len(keys) == 2
    assert "mine" not in keys


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"origin": "https://example.org"}, "Origin: https://example.org"),
        ({"protocols": ("chat", "old")}, "Sec-WebSocket-Protocol: chat, old"),
        ({"headers": {"X-Own": "1"}}, "X-Own: 1"),
        ({"headers": [("X-Own", "1")]}, "X-Own: 1"),
        ({"headers": {"sec-websocket-version": "8"}}, "sec-websocket-version: 8"),
        ({"headers": {"Connection": "upgrade"}}, "Connection: upgrade"),
        ({"headers": {"Upgrade": "WebSocket"}}, "Upgrade: WebSocket"),
        ({"headers": {"Origin": "a"}, "origin": "b"}, "Origin: b"),
        ({"params": {"b": "2"}}, "GET /?b=2 HTTP/1.1"),
        ({"method": "post"}, "POST / HTTP/1.1"),
        (
            {"compress": 15},
            EXTENSIONS + "client_max_window_bits",
        ),
        (
            {"compress": True},
            EXTENSIONS + "client_max_window_bits",
        ),
        (
            {"compress": 9},
            EXTENSIONS + "server_max_window_bits=9; client_max_window_bits=9",
        ),
        (
            {"compress": httpclient.Deflate(client_no_context_takeover=True)},
            EXTENSIONS + "client_no_context_takeover; client_max_window_bits",
        ),
    ],
)
async def test_option_is_sent(serve: Any, options: dict[str, Any], field: str) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, **options):
            pass

    assert field in origin.heads[0].split("\r\n")
    name = field.split(": ")[0]
    assert origin.heads[0].lower().count(f"\r\n{name.lower()}: ") == (": " in field)


async def test_session_has_its_say(serve: Any) -> None:
    """Base URL, fields and cookies of the session are those of the handshake as well."""

    async def script(peer: Peer) -> None:
        server = await accept(peer, ("Set-Cookie", "c=3"))
        await server.close()

    cookies = httpclient.CookieJar(unsafe=True)
    async with (
        serve(script) as origin,
        httpclient.ClientSession(
            URL(origin.url) / "ws/", headers={"X-Session": "1"}, cookie_jar=cookies
        ) as session,
    ):
        cookies.update_cookies({"a": "b"}, URL(origin.url))
        async with session.ws_connect("chat"):
            pass
        assert {cookie.key: cookie.value for cookie in cookies} == {"a": "b", "c": "3"}

    assert origin.heads[0].startswith("GET /ws/chat HTTP/1.1\r\n")
    assert "\r\nX-Session: 1\r\n" in origin.heads[0]
    assert "\r\nCookie: a=b\r\n" in origin.heads[0]


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_schemes(serve: Any, scheme: str) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(f"{scheme}://127.0.0.1:{origin.port}/") as ws:
            await ws.send_str("a")
            assert await ws.receive_str() == "a/answer"


@pytest.mark.parametrize("scheme", ["https", "wss"])
async def test_tls(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, scheme: str
) -> None:
    async with serve(echo, tls=server_tls) as origin, httpclient.ClientSession() as session:
        url = f"{scheme}://127.0.0.1:{origin.port}/"
        async with session.ws_connect(url, ssl=client_tls, server_hostname="name.test") as ws:
            assert ws.get_extra_info("ssl_object") is not None
            await ws.send_str("a")
            assert await ws.receive_str() == "a/answer"


async def test_redirect_is_followed(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        if peer.number:
            await echo(peer)
        else:
            await peer.head()
            await peer.send(
                b"HTTP/1.1 307 Elsewhere\r\nLocation: /there\r\nConnection: close\r\n"
                b"Content-Length: 0\r\n\r\n"
            )

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url) as ws:
            assert [past.status for past in ws.response.history] == [307]

    assert [head.split(" ")[1] for head in origin.heads] == ["/", "/there"]


async def test_middleware_sees_the_handshake(serve: Any) -> None:
    seen: list[Any] = []

    async def middleware(request: httpclient.ClientRequest, handler: Any) -> Any:
        request.headers["X-Added"] = "1"
        response = await handler(request)
        seen.append((request.headers["Upgrade"], response.status, await response.read()))
        return response

    async with (
        serve(echo) as origin,
        httpclient.ClientSession(middlewares=[middleware]) as session,
        session.ws_connect(origin.url) as ws,
    ):
        await ws.send_bytes(b"a")
        assert await ws.receive_bytes() == b"a"

    assert seen == [("websocket", 101, b"")]
    assert "\r\nX-Added: 1\r\n" in origin.heads[0]


async def test_what_comes_while_a_middleware_waits_is_kept(serve: Any) -> None:
    """It is in the machine, or not read at all, until there is a WebSocket."""

    async def script(peer: Peer) -> None:
        server = Server(peer, await peer.head())
        await server.send(server.accept() + server.machine.send_text("1"))
        for _ in range(100):
            await server.send(server.machine.send_bytes(bytes(100_000)))
        await server.send(server.machine.send_close(4000))

    async def middleware(request: Any, handler: Any) -> Any:
        response = await handler(request)
        await anyio.wait_all_tasks_blocked()
        return response

    async with (
        serve(script) as origin,
        httpclient.ClientSession(middlewares=[middleware]) as session,
        session.ws_connect(origin.url) as ws,
    ):
        assert await ws.receive_str() == "1"
        assert [len(message.data) async for message in ws] == [100_000] * 100
        assert ws.close_code == 4000


async def test_server_is_stopped_while_a_middleware_waits(serve: Any) -> None:
    sent = 0
    seen = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        server = await accept(peer)
        while sent < 1000:
            await server.send(server.machine.send_bytes(bytes(100_000)))
            sent += 1
        await server.close()

    async def middleware(request: Any, handler: Any) -> Any:
        nonlocal seen
        response = await handler(request)
        await anyio.wait_all_tasks_blocked()
        seen = sent
        return response

    async with (
        serve(script) as origin,
        httpclient.ClientSession(middlewares=[middleware]) as session,
        session.ws_connect(origin.url) as ws,
    ):
        assert seen < 300
        for _ in range(1000):
            assert len(await ws.receive_bytes()) == 100_000


@pytest.mark.parametrize("secure", [False, True])
async def test_tunnel_through_a_proxy(
    serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
) -> None:
    async with serve(echo, tls=server_tls if secure else None) as origin:

        async def script(peer: Peer) -> None:
            head = await peer.head()
            assert head.startswith(b"CONNECT name.test:%d HTTP/1.1\r\n" % (443 if secure else 80))
            assert b"X-Proxy: 1\r\n" in head
            await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            async with (
                await anyio.connect_tcp("127.0.0.1", origin.port) as stream,
                anyio.create_task_group() as tasks,
            ):

                async def move() -> None:
                    async for data in stream:
                        await peer.send(data)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(move)
                with contextlib.suppress(anyio.EndOfStream):
                    while True:
                        await stream.send(await peer._reader.receive())
                tasks.cancel_scope.cancel()
            await peer.close()

        async with serve(script) as proxy, httpclient.ClientSession() as session:
            async with session.ws_connect(
                f"{'wss' if secure else 'ws'}://name.test/",
                proxy=proxy.url,
                proxy_headers={"X-Proxy": "1"},
                ssl=client_tls,
            ) as ws:
                await ws.send_str("a")
                assert await ws.receive_str() == "a/answer"
        assert "X-Proxy" not in origin.heads[0]
        assert "Host: name.test\r\n" in origin.heads[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"compress": 8}, ValueError),
        ({"compress": 16}, ValueError),
        ({"protocols": ["a b"]}, LocalProtocolError),
        ({"protocols": ["a", "a"]}, LocalProtocolError),
        ({"timeout": 5.0}, TypeError),
        ({"method": "CONNECT"}, ValueError),
        ({"unknown": 1}, TypeError),
    ],
)
async def test_option_that_will_not_do(options: dict[str, Any], error: type[Exception]) -> None:
    async with httpclient.ClientSession() as session:
        with pytest.raises(error):
            await session.ws_connect("ws://127.0.0.1:1/", **options)


async def test_field_that_cannot_be_sent(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        with pytest.raises(LocalProtocolError):
            await session.ws_connect(origin.url, origin="a\r\nX: b")
        async with session.ws_connect(origin.url):
            assert origin.accepted == 1


async def test_closed_session() -> None:
    session = httpclient.ClientSession()
    await session.close()
    with pytest.raises(RuntimeError, match="closed"):
        await session.ws_connect("ws://127.0.0.1:1/")


# What the server answers.


@pytest.mark.parametrize(
    ("offered", "named", "chosen"),
    [
        (("new", "chat"), None, "chat"),
        (("new",), None, None),
        ((), "new, chat", "chat"),
        ((), None, None),
    ],
)
async def test_sub_protocol(
    serve: Any, offered: tuple[str, ...], named: str | None, chosen: str | None
) -> None:
    headers = {} if named is None else {"Sec-WebSocket-Protocol": named}
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, protocols=offered, headers=headers) as ws:
            assert ws.protocol == chosen


@pytest.mark.parametrize(
    ("compress", "accepted", "bits", "no_takeover"),
    [
        (15, True, 15, False),
        (11, True, 11, False),
        (15, httpclient.Deflate(client_max_window_bits=9), 9, False),
        (15, httpclient.Deflate(client_no_context_takeover=True), 15, True),
        (15, False, 0, False),
        (0, True, 0, False),
    ],
)
async def test_compression(
    serve: Any, compress: int, accepted: Any, bits: int, no_takeover: bool
) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer, compress=accepted)
        for _ in range(2):
            message = await server.receive()
            await server.send(server.machine.send_text(message.data))
        await server.close()

    text = "text " * 100
    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, compress=compress) as ws:
            assert (ws.compress, ws.client_notakeover) == (bits, no_takeover)
            for option in (None, False):
                await ws.send_str(text, compress=option)
                assert await ws.receive_str() == text


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ([("Upgrade", "h2c")], "upgrade"),
        ([("Connection", "")], "connection"),
        ([("Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")], "accept"),
        ([("Sec-WebSocket-Accept", "")], "accept"),
        ([("Sec-WebSocket-Protocol", "other")], "protocol"),
        ([("Sec-WebSocket-Extensions", "permessage-deflate")], "extensions"),
    ],
)
async def test_101_that_is_wrong(serve: Any, fields: list[tuple[str, str]], rule: str) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await accept(peer, *fields)
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        with pytest.raises(httpclient.WSServerHandshakeError) as caught:
            await session.ws_connect(origin.url)
        await closed.wait()
        assert counts(session) == (0, 0)

    error = caught.value
    assert error.status == 101
    assert isinstance(error.__cause__, WSHandshakeError)
    assert error.__cause__.rule == rule
    assert error.message == str(error.__cause__)
    assert error.headers is not None
    assert pickle.loads(pickle.dumps(error)).status == 101


@pytest.mark.parametrize(
    ("answer", "idle"),
    [
        (response(b"no", status=b"403 Forbidden"), 1),
        (response(b"yes"), 1),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\nto be continued", 0),
        (b"HTTP/1.1 404 No\r\n\r\nup to the end", 0),
    ],
)
@pytest.mark.parametrize("raises", [False, True])
async def test_refusal(serve: Any, answer: bytes, idle: int, raises: bool) -> None:
    """One that was read whole gives the connection back to the pool, others close it."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        if idle:
            await echo(peer)

    async with (
        serve(script) as origin,
        httpclient.ClientSession(raise_for_status=raises) as session,
    ):
        with pytest.raises(httpclient.WSServerHandshakeError) as caught:
            await session.ws_connect(origin.url)
        assert counts(session) == (0, idle)
        if idle:
            async with session.ws_connect(origin.url) as ws:
                await ws.send_str("a")
                assert await ws.receive_str() == "a/answer"
            assert origin.accepted == 1

    assert caught.value.status == int(answer[9:12])
    assert str(caught.value.request_info.url) == origin.url


async def test_raise_for_status_of_the_programs_own(serve: Any) -> None:
    async def check(response: httpclient.ClientResponse) -> None:
        raise RuntimeError(f"checked {response.status}")

    async def script(peer: Peer) -> None:
        await peer.answer(head=b"X: 1\r\n")

    async with (
        serve(script) as origin,
        httpclient.ClientSession(raise_for_status=check) as session,
    ):
        with pytest.raises(RuntimeError, match="checked 200"):
            await session.ws_connect(origin.url)


async def test_answer_of_a_middleware_is_no_websocket(serve: Any) -> None:
    """It may return another response than the one that the connection is for."""

    async def middleware(request: httpclient.ClientRequest, handler: Any) -> Any:
        await handler(request)
        answer = await handler(request)
        answer.release()
        return answer

    async with (
        serve(echo) as origin,
        httpclient.ClientSession(middlewares=[middleware]) as session,
    ):
        with pytest.raises(httpclient.ServerDisconnectedError):
            await session.ws_connect(origin.url)
        assert counts(session) == (0, 0)


async def test_101_made_by_a_middleware(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)

    async def middleware(request: httpclient.ClientRequest, handler: Any) -> Any:
        answer = await handler(request)
        answer._exchange.close()
        answer._exchange = None
        return answer

    async with (
        serve(script) as origin,
        httpclient.ClientSession(middlewares=[middleware]) as session,
    ):
        with pytest.raises(httpclient.WSServerHandshakeError, match="middleware"):
            await session.ws_connect(origin.url)


async def test_server_that_closes_behind_its_101(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        ws = await session.ws_connect(origin.url)
        assert (await ws.receive()).type is WSMsgType.CLOSED
        assert ws.close_code == 1006
        assert counts(session) == (0, 0)


async def test_connection_lost_while_a_middleware_waits(serve: Any) -> None:
    lost = anyio.Event()

    async def script(peer: Peer) -> None:
        await accept(peer)
        peer.reset()
        await peer.close()
        lost.set()

    async def middleware(request: Any, handler: Any) -> Any:
        answer = await handler(request)
        await lost.wait()
        await anyio.wait_all_tasks_blocked()
        return answer

    async with (
        serve(script) as origin,
        httpclient.ClientSession(middlewares=[middleware]) as session,
    ):
        try:
            ws = await session.ws_connect(origin.url)
        except httpclient.ServerDisconnectedError:
            pass  # an event loop that told it in the meantime
        else:
            assert (await ws.receive()).type is WSMsgType.CLOSED
        assert counts(session) == (0, 0)


class LostLink(BreakingLink):
    """A link that delivers a 101 and breaks, before anybody looks."""

    needs_drain = False

    async def more(self) -> None:
        """Deliver, then break."""
        for data in self._answer:
            self._receiver.bytes_received(data)
        self.abort()

    def pause_reading(self) -> None:
        """There is nothing more to read."""


@pytest.mark.parametrize("pieces", [1, 2])
async def test_connection_lost_before_anybody_looks(pieces: int) -> None:
    keeper = NoKeeper()
    connection = ClientHTTPConnection(keeper, None)
    head = b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    LostLink(connection, *[head, b"\x81\x01a"][:pieces])
    request = compose("GET", b"", {"Upgrade": "websocket", "Connection": "upgrade"})
    answer = await connection.request(request, httpclient.ClientTimeout(), None, 1000)
    assert answer.status == 101
    exchange = Exchange(connection, connection.hold())
    assert not exchange.active
    assert keeper.dropped == 1
    exchange.switch_ended()
    assert keeper.dropped == 1


async def test_switch_leaves_no_deadline_of_the_request() -> None:
    connection = ClientHTTPConnection(NoKeeper(), None)
    link = SwitchedLink(connection, b"")
    link.deadline = 5.0
    Exchange(connection, connection.hold()).switch(connection)
    assert link.deadline is None


class SwitchedLink(LostLink):
    """A link that may be given away."""

    def hand_over(self, receiver: Any) -> None:
        """Nobody is called."""

    def resume_reading(self) -> None:
        """There is nothing to read."""


async def test_plain_request_does_not_keep_a_101(serve: Any) -> None:
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await accept(peer)
        await peer.closed()
        closed.set()

    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    async with serve(script) as origin, httpclient.ClientSession() as session:
        answer = await session.get(origin.url, headers=headers)
        assert answer.status == 101
        assert await answer.read() == b""
        await closed.wait()
        assert counts(session) == (0, 0)


async def test_cancelled_handshake_leaves_nothing(serve: Any) -> None:
    asked = anyio.Event()
    closed = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        asked.set()
        await peer.closed()
        closed.set()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.ws_connect, origin.url)
            await asked.wait()
            tasks.cancel_scope.cancel()
        await closed.wait()
        assert counts(session) == (0, 0)


async def test_total_bounds_the_handshake_alone(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        if peer.number:
            await peer.closed()
        else:
            await echo(peer)

    timeout = httpclient.ClientTimeout(total=0.3, sock_read=0.3)
    async with serve(script) as origin, httpclient.ClientSession(timeout=timeout) as session:
        async with session.ws_connect(origin.url) as ws:
            with pytest.raises(TimeoutError):
                await ws.receive(timeout=0.4)
            await ws.send_str("late")
            assert await ws.receive_str() == "late/answer"
        with pytest.raises(TimeoutError):
            await session.ws_connect(origin.url)


# Messages and the end.


async def test_all_kinds_of_messages(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url) as ws:
            await ws.send_str("a")
            await ws.send_bytes(b"b")
            await ws.send_json([1])
            await ws.send_json_bytes([1], dumps=lambda data: b"[2]")
            await ws.send_frame(b"raw", WSMsgType.TEXT)
            await ws.send_fragment("pie", last=False)
            await ws.send_fragment("ces", last=True)
            received = [(await ws.receive()).data for _ in range(6)]
            assert received[:4] == ["a/answer", b"b", "[1]/answer", b"[2]"]
            assert received[4:] == ["raw/answer", "pieces/answer"]
            await ws.ping()
            await ws.pong()
            await ws.send_str("behind")
            assert await ws.receive_str() == "behind/answer"
            assert ws.latency is not None
            with pytest.raises(httpclient.WSMessageTypeError):
                await ws.send_str("x")
                await ws.receive_bytes()


async def test_pings_and_pongs(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        for kind, payload in (
            (WSMsgType.PING, b""),
            (WSMsgType.PING, b"1"),
            (WSMsgType.PONG, b""),
            (WSMsgType.PONG, b"2"),
        ):
            assert (await server.receive())[:2] == (kind, payload)
        await server.send(server.machine.send_text("good"))
        await server.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url) as ws:
            await ws.ping()
            await ws.ping(b"1")
            await ws.pong()
            await ws.pong(b"2")
            assert await ws.receive_str() == "good"


def test_json_of_a_message_may_be_anything() -> None:
    assert httpclient.WSMessage(WSMsgType.TEXT, "[1]", "").json() == [1]
    assert typing.get_type_hints(httpclient.WSMessage.json)["return"] is Any


async def test_undecoded_text(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, decode_text=False) as ws:
            await ws.send_str("1")
            message = await ws.receive()
            assert type(message) is httpclient.WSMessageTextBytes
            assert message.data == b"1/answer"


async def test_place_in_the_pool_is_taken_until_the_end(serve: Any) -> None:
    connector = httpclient.TCPConnector(limit=1)
    async with (
        serve(echo) as origin,
        httpclient.ClientSession(connector=connector) as session,
    ):
        async with session.ws_connect(origin.url):
            assert counts(session) == (1, 0)
            with pytest.raises(httpclient.PoolTimeoutError):
                await session.get(origin.url, timeout=httpclient.ClientTimeout(pool=0.01))
        assert counts(session) == (0, 0)
        async with session.ws_connect(origin.url):
            assert origin.accepted == 2


async def test_close_by_the_server(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        await server.send(server.machine.send_close(1001, "bye"))
        message = await server.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url) as ws:
            assert await ws.receive() == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY, "bye")
            assert ws.closed
            assert counts(session) == (0, 0)
            for _ in range(6):
                assert (await ws.receive()).type is WSMsgType.CLOSED
            with pytest.raises(httpclient.ClientConnectionResetError):
                await ws.send_str("late")
            assert await ws.close() is False


async def test_close_by_the_client(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        ws = await session.ws_connect(origin.url)
        assert await ws.close(code=4000, message=b"bye") is True
        assert ws.close_code == 4000
        assert counts(session) == (0, 0)
        assert await ws.close() is False


async def test_loop_of_messages(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        await server.send(server.machine.send_text("1") + server.machine.send_bytes(b"2"))
        await server.send(server.machine.send_close())
        await server.receive()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url) as ws:
            assert [message.data async for message in ws] == ["1", b"2"]
            assert ws.close_code == 1000


async def test_close_is_bounded(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        assert (await server.receive()).type is WSMsgType.CLOSE
        assert type(await server.receive()) is ConnectionClosed

    timeout = httpclient.ClientWSTimeout(ws_close=0.05)
    async with serve(script) as origin, httpclient.ClientSession() as session:
        ws = await session.ws_connect(origin.url, timeout=timeout)
        assert await ws.close() is True
        assert ws.close_code == 1006
        assert isinstance(ws.exception(), TimeoutError)
        assert counts(session) == (0, 0)


async def test_receive_in_time(serve: Any) -> None:
    """The socket lives on, and its close code is not set (it is in aiohttp)."""
    timeout = httpclient.ClientWSTimeout(ws_receive=0.01)
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, timeout=timeout) as ws:
            with pytest.raises(TimeoutError):
                await ws.receive()
            assert (ws.closed, ws.close_code) == (False, None)
            await ws.send_str("a")
            assert await ws.receive_str(timeout=5) == "a/answer"


async def test_fault_of_the_server(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        await server.send(b"\x82\x7e\x10\x01")
        message = await server.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, max_msg_size=4096) as ws:
            message = await ws.receive()
            assert message.type is WSMsgType.ERROR
            assert isinstance(message.data, httpclient.WebSocketError)
            assert ws.close_code == message.data.code == 1009


async def test_connection_lost(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        await server.receive()
        peer.reset()
        await peer.close()

    async with serve(script) as origin, httpclient.ClientSession() as session:
        ws = await session.ws_connect(origin.url)
        await ws.send_str("go")
        assert (await ws.receive()).type is WSMsgType.CLOSED
        assert ws.close_code == 1006
        assert isinstance(ws.exception(), httpclient.ClientConnectionResetError)
        assert counts(session) == (0, 0)
        assert ws.get_extra_info("peername") is None


async def test_heartbeat(serve: Any) -> None:
    """A server that answers stays, and one that does not is given up."""

    async def script(peer: Peer) -> None:
        server = await accept(peer)
        for _ in range(3):
            ping = await server.receive()
            assert ping.type is WSMsgType.PING
            await server.send(server.machine.send_pong(ping.data))
        await server.receive()
        assert type(await server.receive()) is ConnectionClosed

    async with serve(script) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url, heartbeat=0.05) as ws:
            message = await ws.receive()
            assert message.type is WSMsgType.ERROR
            assert isinstance(message.data, httpclient.ServerTimeoutError)
            assert ws.close_code == 1006
        assert counts(session) == (0, 0)


async def test_many_heartbeats(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        while (message := await server.receive()).type is WSMsgType.PING:
            await server.send(server.machine.send_pong(message.data))
        await server.send(server.machine.send_close_reply())

    async with serve(script) as origin, httpclient.ClientSession() as session:

        async def connect() -> None:
            async with session.ws_connect(origin.url, heartbeat=0.02) as ws:
                with pytest.raises(TimeoutError):
                    await ws.receive(timeout=0.1)
                assert not ws.closed

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(connect)


async def test_closed_session_leaves_no_task(serve: Any) -> None:
    """On trio heartbeats need a task, and that one a parent."""

    async def script(peer: Peer) -> None:
        await accept(peer)

    async with serve(script) as origin:
        await anyio.wait_all_tasks_blocked()
        before = len(anyio.get_running_tasks())
        session = httpclient.ClientSession()
        for _ in range(2):
            await session.ws_connect(origin.url, heartbeat=10)
        await session.close()
        while len(anyio.get_running_tasks()) > before:
            await anyio.lowlevel.checkpoint()


async def test_runtime_is_entered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = SocketTasks()
    kind = type(await tasks.runtime(entered=False))
    enter = kind.__aenter__
    entered = 0

    async def count(self: Any) -> Any:
        nonlocal entered
        entered += 1
        return await enter(self)

    monkeypatch.setattr(kind, "__aenter__", count)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lambda: tasks.runtime(entered=True))
    assert entered == 1
    await tasks.close()


async def test_session_that_is_closed_ends_its_sockets(serve: Any) -> None:
    async def script(peer: Peer) -> None:
        server = await accept(peer)
        assert type(await server.receive()) is ConnectionClosed

    async with serve(script) as origin:
        session = httpclient.ClientSession()
        ws = await session.ws_connect(origin.url, heartbeat=10)
        await session.close()
        assert (await ws.receive()).type is WSMsgType.CLOSED
        with pytest.raises(httpclient.ClientConnectionResetError):
            await ws.send_str("late")


async def test_class_of_the_programs_own(serve: Any) -> None:
    class Own(httpclient.ClientWebSocketResponse):
        async def receive(self, timeout: float | None = None) -> Any:
            message = await super().receive(timeout)
            return message._replace(data="own")

    async with (
        serve(echo) as origin,
        httpclient.ClientSession(ws_response_class=Own) as session,
        session.ws_connect(origin.url) as ws,
    ):
        assert type(ws) is Own
        await ws.send_str("a")
        assert await ws.receive_str() == "own"


async def test_class_that_fails_leaves_nothing(serve: Any) -> None:
    class Broken(httpclient.ClientWebSocketResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("broken")

    async with (
        serve(echo) as origin,
        httpclient.ClientSession(ws_response_class=Broken) as session,
    ):
        with pytest.raises(RuntimeError, match="broken") as caught:
            await session.ws_connect(origin.url)
        assert counts(session) == (0, 0)
    assert caught.traceback  # which holds the response


async def test_facts_of_the_response(serve: Any) -> None:
    async with serve(echo) as origin, httpclient.ClientSession() as session:
        async with session.ws_connect(origin.url) as ws:
            assert ws.response.status == 101
            assert ws.response.headers["Upgrade"] == "websocket"
            assert ws.get_extra_info("peername") == ("127.0.0.1", origin.port)


async def test_traces_tell_of_the_handshake(serve: Any) -> None:
    told: list[str] = []
    config = httpclient.TraceConfig()

    async def start(session: Any, context: Any, params: Any) -> None:
        told.append(f"{params.method} {params.url}")

    async def end(session: Any, context: Any, params: Any) -> None:
        told.append(str(params.response.status))

    config.on_request_start.append(start)
    config.on_request_end.append(end)
    async with (
        serve(echo) as origin,
        httpclient.ClientSession(trace_configs=[config]) as session,
        session.ws_connect(origin.url),
    ):
        assert told == [f"GET {origin.url}", "101"]


def test_context_is_a_coroutine() -> None:
    async def fail() -> Any:
        raise AssertionError

    context = httpclient.WSConnectContext(fail())
    context.close()
    context = httpclient.WSConnectContext(fail())
    with pytest.raises(KeyError):
        context.throw(KeyError)
    context = httpclient.WSConnectContext(fail())
    with pytest.raises(AssertionError):
        context.send(None)


def test_timeouts() -> None:
    assert httpclient.ClientWSTimeout() == httpclient.ClientWSTimeout(None, None)
    assert repr(httpclient.ClientWSTimeout(1, 2)) == "ClientWSTimeout(ws_receive=1, ws_close=2)"
