"""What a mock answers: bodies, pieces, bad framing, resets, failures, WebSockets, virtual time."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import anyio
import pytest
import trio.testing

import httpserver
from httpclient import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    Retry,
    ServerDisconnectedError,
    SocketTimeoutError,
    WSMsgType,
)
from httpcore_testing import MockConnector
from httpcore_testing._mock_link import MockLink

pytestmark = pytest.mark.anyio

URL_X = "http://api.test/x"


@pytest.mark.parametrize(
    ("reply", "status", "body", "content_type"),
    [
        ({}, 200, b"", None),
        ({"status": 404}, 404, b"", None),
        ({"body": b"\xff"}, 200, b"\xff", "application/octet-stream"),
        ({"body": "\xe9"}, 200, b"\xc3\xa9", "text/plain; charset=utf-8"),
        ({"json": None}, 200, b"null", "application/json"),
        ({"json": [1], "headers": {"content-type": "a/b"}}, 200, b"[1]", "a/b"),
        ({"body": b"x", "headers": [("Content-Type", "a/b")]}, 200, b"x", "a/b"),
        ({"status": 204}, 204, b"", None),
    ],
)
async def test_reply(reply: Any, status: int, body: bytes, content_type: str | None) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reply(**reply)
        async with session.get(URL_X) as response:
            assert response.status == status
            assert await response.read() == body
            if body:
                assert response.headers["Content-Type"] == content_type


async def test_reason_and_repeated_fields() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        mock.get(URL_X, times=2).reply(299, reason="Just So", headers=cookies)
        for _ in range(2):
            async with session.get(URL_X) as response:
                assert response.reason == "Just So"
                assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]


async def test_head_has_no_body() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.head(URL_X).reply(body=b"12345")
        mock.get(URL_X).reply(body=b"next")
        async with session.head(URL_X) as response:
            assert response.headers["Content-Length"] == "5"
            assert await response.read() == b""
        async with session.get(URL_X) as response:
            assert await response.read() == b"next"


@pytest.mark.parametrize("pause", [0, 0.001])
@pytest.mark.parametrize("headers", [{}, {"Content-Length": "3"}])
async def test_chunks_arrive_one_by_one(pause: float, headers: dict[str, str]) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X, times=2).reply_chunks([b"a", b"b", b"c"], pause=pause, headers=headers)
        async with session.get(URL_X) as response:
            assert ("Transfer-Encoding" in response.headers) == (not headers)
            if pause:
                pieces = [await response.content.readany() for _ in range(3)]
                assert pieces == [b"a", b"b", b"c"]
            assert b"abc".endswith(await response.read())
        if not headers:
            async with session.get(URL_X) as response:
                chunks = [chunk async for chunk, _ in response.content.iter_chunks()]
                assert [chunk for chunk in chunks if chunk] == [b"a", b"b", b"c"]
        else:
            await session.get(URL_X)


async def test_chunks_are_sent_one_by_one_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """On asyncio the server gathers what is written in one turn of the loop."""
    received: list[bytes] = []
    receive = MockLink.bytes_received

    def recorded(link: MockLink, data: bytes) -> None:
        received.append(data)
        receive(link, data)

    monkeypatch.setattr(MockLink, "bytes_received", recorded)
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reply_chunks([b"a", b"b", b"c"], headers={"Content-Length": "3"})
        async with session.get(URL_X) as response:
            await response.read()
    assert received[1:] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            ClientResponseError,
        ),
        (b"nonsense\r\n\r\n", ClientResponseError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ServerDisconnectedError),
        (b"", ServerDisconnectedError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", ClientPayloadError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ClientPayloadError),
    ],
)
@pytest.mark.parametrize("reused", [False, True])
async def test_bad_framing_gives_the_typed_error(
    raw: bytes, error: type[Exception], reused: bool
) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        if reused:
            mock.get(URL_X)
            await session.get(URL_X)
        mock.get(URL_X).reply_raw(raw)
        with pytest.raises(error):
            async with session.get(URL_X) as response:
                await response.read()
    assert len(mock.calls) == 1 + reused


async def test_raw_reply_that_is_good() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post(URL_X, times=4).reply_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        mock.post(URL_X + "/old").reply_raw(b"HTTP/1.0 200 OK\r\n\r\nto the end")
        for _ in range(4):
            async with session.post(URL_X, data=b"y") as response:
                assert await response.read() == b"x"
        async with session.post(URL_X + "/old") as response:
            assert await response.read() == b"to the end"


async def test_raw_reply_that_leaves_the_connection_open() -> None:
    """The server's machine knows nothing of the answer: a next request would wait for ever."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post(URL_X, times=2).reply_raw(whole, close=False)
        for _ in range(2):
            async with session.post(URL_X) as response:
                assert await response.read() == b"x"
        mock.get(URL_X).reply_raw(whole[:-1], close=False)
        response = await session.get(URL_X, timeout=ClientTimeout(sock_read=0.05))
        with pytest.raises(SocketTimeoutError):
            await response.read()


@pytest.mark.parametrize("reused", [False, True])
async def test_reset_instead_of_an_answer(reused: bool) -> None:
    """The client retries idempotent requests by itself on connections that it used before."""
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        if reused:
            mock.get(URL_X)
            await session.get(URL_X)
        mock.get(URL_X).reset()
        with pytest.raises(ClientOSError) as caught:
            await session.get(URL_X)
        assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_reset_behind_exact_bytes() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reset(after=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        response = await session.get(URL_X)
        assert response.status == 200
        with pytest.raises(ClientPayloadError, match="ConnectionResetError"):
            await response.read()


async def test_reset_in_the_middle_of_a_body() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reply(body=b"abcdef", headers={"X-A": "b"}, reset_after=3)
        async with session.get(URL_X) as response:
            assert response.headers["X-A"] == "b"
            assert response.content_length == 6
            got = b""
            with pytest.raises(ClientPayloadError, match="ConnectionResetError"):
                while True:
                    got += await response.content.readany()
            assert got == b"abc"


async def test_resets_and_then_success_with_a_retry() -> None:
    retry = Retry(attempts=3, backoff=0)
    async with (
        MockConnector() as mock,
        ClientSession(connector=mock, middlewares=[retry]) as session,
    ):
        mock.get(URL_X).reset().fail(ConnectionRefusedError(111, "refused")).reply(body="good")
        async with session.get(URL_X) as response:
            assert await response.text() == "good"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ConnectionRefusedError(111, "refused"), ClientConnectorError),
        (socket.gaierror(-2, "unknown"), ClientConnectorDNSError),
        (ssl.SSLError(1, "bad"), ClientConnectorSSLError),
        (ssl.SSLCertVerificationError(1, "bad"), ClientConnectorCertificateError),
        (ConnectionTimeoutError("too late"), ConnectionTimeoutError),
        (RuntimeError("of my own"), RuntimeError),
    ],
)
@pytest.mark.parametrize("reused", [False, True])
async def test_fail(error: Exception, raised: type[Exception], reused: bool) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        if reused:
            mock.get(URL_X)
            await session.get(URL_X)
        mock.get(URL_X, times=2).fail(error)
        for _ in range(2):
            with pytest.raises(raised) as caught:
                await session.get(URL_X)
            assert type(caught.value) is raised
            if isinstance(caught.value, ClientConnectorError):
                assert caught.value.os_error is error
                assert caught.value.host == "api.test"


async def test_handler() -> None:
    async def handler(request: httpserver.BaseRequest) -> httpserver.StreamResponse:
        if request.query.get("bad"):
            raise httpserver.HTTPBadRequest(text="bad")
        return httpserver.Response(body=(await request.read())[::-1])

    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.post(URL_X).reply_with(handler)
        mock.post(f"{URL_X}?bad=1").reply_with(handler)
        async with session.post(URL_X, data=b"abc") as response:
            assert await response.read() == b"cba"
        async with session.post(f"{URL_X}?bad=1", data=b"abc") as response:
            assert response.status == 400


@pytest.mark.parametrize("begun", [False, True])
async def test_handler_that_fails(begun: bool) -> None:
    async def handler(request: httpserver.BaseRequest) -> httpserver.StreamResponse:
        if begun:
            await httpserver.StreamResponse().prepare(request)
        raise ZeroDivisionError("of the handler")

    mock = MockConnector()
    with pytest.raises(AssertionError, match=r"a reply failed: ZeroDivisionError\('of the"):
        async with mock, ClientSession(connector=mock) as session:
            mock.get(URL_X).reply_with(handler)
            with pytest.raises((ZeroDivisionError, ClientPayloadError)):
                await (await session.get(URL_X)).read()


async def test_function_that_fails() -> None:
    mock = MockConnector()
    async with ClientSession(connector=mock) as session:
        mock.get(URL_X, body=lambda body: 1 // len(body) > 0)
        with pytest.raises(ZeroDivisionError):
            await session.get(URL_X)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        mock.check()


async def _echo(request: httpserver.BaseRequest) -> httpserver.StreamResponse:
    socket_ = httpserver.WebSocketResponse()
    await socket_.prepare(request)
    async for message in socket_:
        await socket_.send_str(f"{request.query_string} {message.data}")
        if message.data == "fail":
            raise ZeroDivisionError
    return socket_


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_websocket(scheme: str) -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(f"{scheme}://api.test/chat?room=1").reply_with(_echo)
        async with session.ws_connect(f"{scheme}://api.test/chat?room=1") as ws:
            for text in ("a", "b" * 200_000):
                await ws.send_str(text)
                message = await ws.receive()
                assert message.type is WSMsgType.TEXT
                assert message.data == f"room=1 {text}"
        assert ws.close_code == 1000


async def test_websocket_whose_handler_fails() -> None:
    mock = MockConnector()
    with anyio.fail_after(5):
        async with ClientSession(connector=mock) as session:
            mock.get("ws://api.test/chat").reply_with(_echo)
            ws = await session.ws_connect("ws://api.test/chat")
            await ws.send_str("fail")
            assert (await ws.receive()).data == " fail"
            try:
                message = await ws.receive()
            except ZeroDivisionError:
                pass
            else:
                assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        mock.check()


def test_delays_are_virtual_with_a_clock_that_jumps() -> None:
    seconds: list[float] = []

    async def main() -> None:
        async with MockConnector() as mock, ClientSession(connector=mock) as session:
            mock.get(URL_X).reply(delay=1000)
            mock.get(URL_X).reply_chunks([b"a", b"b", b"c"], pause=100, delay=10)
            mock.get(URL_X).reset(delay=5)
            for expected in (1000, 210, 5):
                began = trio.current_time()
                try:
                    async with session.get(URL_X, timeout=ClientTimeout()) as response:
                        await response.read()
                except ClientOSError:
                    assert expected == 5
                seconds.append(trio.current_time() - began)
        first, *_ = mock.calls
        assert [round(call.time - first.time) for call in mock.calls] == [0, 1000, 1210]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert seconds == pytest.approx([1000, 210, 5], abs=0.5)


async def test_large_reply_to_a_slow_reader() -> None:
    async with MockConnector() as mock, ClientSession(connector=mock) as session:
        mock.get(URL_X).reply(body=b"x" * 5_000_000)
        mock.get(URL_X).reply(body=b"x" * 1_000_000, reset_after=999_999)
        async with session.get(URL_X) as response:
            size = 0
            async for piece in response.content.iter_chunked(10_000):
                size += len(piece)
                await anyio.lowlevel.checkpoint()
            assert size == 5_000_000
        with anyio.fail_after(5):
            async with session.get(URL_X) as response:
                for _ in range(20):
                    await anyio.lowlevel.checkpoint()
                with pytest.raises(ClientPayloadError):
                    await response.read()
