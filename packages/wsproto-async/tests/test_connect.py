"""The client: URLs, the opening handshake, and what servers do wrong in it."""

from __future__ import annotations

import re
import ssl
from typing import Any

import anyio
import pytest

from httpcore_proto import LocalProtocolError
from httpcore_proto.aio import LinkLostError, current_runtime
from wsproto_async import (
    Deflate,
    FrameListener,
    WebSocket,
    WSHandshakeError,
    WSMsgType,
    connect,
    connect_frames,
    serve,
)
from wsproto_async._handshake import _accept
from wsproto_async._target import Target, parse_target

from .conftest import Peer, RunServer


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://host", Target(False, "host", 80, [("Host", "host")], "/")),
        ("wss://host", Target(True, "host", 443, [("Host", "host")], "/")),
        ("http://HOST:80/", Target(False, "host", 80, [("Host", "host")], "/")),
        ("https://host:8/a", Target(True, "host", 8, [("Host", "host:8")], "/a")),
        ("ws://[::1]:9/?q=1", Target(False, "::1", 9, [("Host", "[::1]:9")], "/?q=1")),
        ("ws://h/a b/%20?c d#", Target(False, "h", 80, [("Host", "h")], "/a%20b/%20?c%20d")),
        ("ws://h/\u20ac?\u20ac", Target(False, "h", 80, [("Host", "h")], "/%E2%82%AC?%E2%82%AC")),
        ("ws://b\u00fccher/", Target(False, "xn--bcher-kva", 80, [("Host", "xn--bcher-kva")], "/")),
        (
            "ws://user%40:pa%3Ass@h/",
            Target(
                False, "h", 80, [("Host", "h"), ("Authorization", "Basic dXNlckA6cGE6c3M=")], "/"
            ),
        ),
        (
            "ws://user@h/",
            Target(False, "h", 80, [("Host", "h"), ("Authorization", "Basic dXNlcjo=")], "/"),
        ),
    ],
)
def test_targets(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "scheme '' of a WebSocket, expected ws or wss"),
        ("ftp://host/", "scheme 'ftp'"),
        ("ws:///path", "no host"),
        ("ws://host/#part", "fragment"),
        ("ws://host:x/", "[Pp]ort"),
        ("ws://host:70000/", "[Pp]ort"),
        ("ws://[::1/", "Invalid IPv6"),
        ("ws://\u00fc..x/", "empty|label"),
        ("ws://a%0d:b@h/", "control characters"),
    ],
)
def test_wrong_targets(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        parse_target(url)


def test_hostile_target() -> None:
    for piece in ("%", "?", "/", "@", ":", "\u20ac"):
        assert len(parse_target("ws://host/" + piece * 200_000).path) >= 200_000


async def test_wrong_arguments_open_nothing() -> None:
    with pytest.raises(ValueError, match="expected ws or wss"):
        await connect("ftp://host/")
    with pytest.raises(TypeError, match="unknown option 'hartbeat', known are autoclose, auto"):
        connect("ws://host/", hartbeat=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="hartbeat"):
        connect_frames("ws://host/", FrameListener(), hartbeat=1)  # type: ignore[call-arg]
    with pytest.raises(LocalProtocolError, match="not a token"):
        connect("ws://host/", protocols=["a b"])
    with pytest.raises(LocalProtocolError):
        await connect("ws://host/", headers=[("X", "a\r\nb")])


def answer(head: bytes, status: bytes = b"101 Switching Protocols", more: bytes = b"") -> bytes:
    """Return a server's answer to a handshake."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
    assert key is not None
    return (
        b"HTTP/1.1 %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (status, _accept(key[1].decode()).encode(), more)
    )


async def test_request(raw_server: RunServer) -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        heads.append(await peer.until(b"\r\n\r\n"))
        # A hint, and a message in the same write as the answer.
        early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
        protocol = b"Sec-WebSocket-Protocol: two\r\n"
        await peer.stream.send(early + answer(heads[0], more=protocol) + b"\x81\x05hello")
        await peer.stream.receive()

    async with raw_server(script) as port:
        async with connect(
            f"ws://127.0.0.1:{port}/chat?room=1",
            protocols=["one", "two"],
            headers={"X-Own": "1"},
            origin="https://example.com",
            compress=Deflate(client_max_window_bits=10),
            timeout_close=0.01,
        ) as ws:
            assert ws.protocol == "two"
            assert ws.compress == 0  # the server has not agreed
            assert (await ws.receive()).data == "hello"
    head = heads[0].decode()
    assert head.startswith(f"GET /chat?room=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")
    for line in (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: one, two",
        "Origin: https://example.com",
        "X-Own: 1",
    ):
        assert f"\r\n{line}\r\n" in head
    assert "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10" in head


@pytest.mark.parametrize("awaits", [True, False])
async def test_refusal(raw_server: RunServer, awaits: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.until(b"\r\n\r\n")
        await peer.stream.send(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\nno")
        # The client closes, and waits for nothing.
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await peer.stream.receive()

    async with raw_server(script) as port:
        with pytest.raises(WSHandshakeError, match="the server answered 401") as caught:
            if awaits:
                await connect(f"ws://127.0.0.1:{port}/")
            else:
                async with connect(f"ws://127.0.0.1:{port}/"):
                    raise AssertionError
    assert caught.value.status == 401
    assert caught.value.rule == "status"
    assert caught.value.headers == (("WWW-Authenticate", "Basic"),)


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        (b"\x16\x03\x01\x02\x00", None),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "upgrade"),
        (b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "accept"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "status"),
    ],
)
async def test_answers_that_are_none(raw_server: RunServer, sent: bytes, rule: str | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.until(b"\r\n\r\n")
        await peer.stream.send(sent)
        await peer.stream.receive()

    async with raw_server(script) as port:
        with pytest.raises(WSHandshakeError) as caught:
            await connect(f"ws://127.0.0.1:{port}/")
    assert rule is None or caught.value.rule == rule


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 10"])
async def test_server_that_closes(raw_server: RunServer, sent: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.until(b"\r\n\r\n")
        if sent:
            await peer.stream.send(sent)

    async with raw_server(script) as port:
        with pytest.raises(LinkLostError, match="lost during the handshake"):
            await connect(f"ws://127.0.0.1:{port}/")


async def test_server_that_resets(raw_server: RunServer) -> None:
    async def script(peer: Peer) -> None:
        raw = peer.stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SOL_SOCKET, SO_LINGER: on, 0 seconds

    async with raw_server(script) as port:
        with pytest.raises(OSError):  # noqa: PT011 - where it is noticed is the loop's
            await connect(f"ws://127.0.0.1:{port}/")


async def spawns(runtime: Any) -> bool:
    """Whether a runtime has tasks of its own."""
    try:
        runtime.spawn(anyio.lowlevel.checkpoint())
    except RuntimeError:
        return False
    await anyio.lowlevel.checkpoint()
    return runtime.soon is None


async def test_server_that_is_silent(
    raw_server: RunServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtimes: list[Any] = []

    def record() -> Any:
        runtimes.append(current_runtime())
        return runtimes[-1]

    monkeypatch.setattr("wsproto_async._connect.current_runtime", record)

    async def script(peer: Peer) -> None:
        await peer.until(b"\r\n\r\n")
        await peer.stream.receive()

    async with raw_server(script) as port:
        for heartbeat in (None, 1):
            with pytest.raises(TimeoutError):
                await connect(f"ws://127.0.0.1:{port}/", timeout=0.02, heartbeat=heartbeat)
            assert not await spawns(runtimes[-1])


async def test_nobody_listens() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    await listener.aclose()
    with pytest.raises(OSError):  # noqa: PT011 - its number is the system's
        await connect(f"ws://127.0.0.1:{port}/")


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send_bytes(message.data)


async def test_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with serve(echo, "127.0.0.1", ssl=server_tls) as server:
        async with connect(f"wss://127.0.0.1:{server.port}/", ssl=client_tls) as ws:
            await ws.send_bytes(bytes(300_000))
            assert len(await ws.receive_bytes()) == 300_000
            assert ws.get_extra_info("ssl_object") is not None
        assert ws.close_code == 1000
        with pytest.raises(ssl.SSLError):
            await connect(
                f"wss://127.0.0.1:{server.port}/", ssl=client_tls, server_hostname="other.test"
            )


async def test_tls_without_a_context_verifies_the_server(server_tls: ssl.SSLContext) -> None:
    async with serve(echo, "127.0.0.1", ssl=server_tls) as server:
        for _ in range(2):
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(f"wss://127.0.0.1:{server.port}/")


async def test_violation_in_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """TLS has no half-closed state; the client's end of the connection is waited for."""
    messages: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        messages.extend([message async for message in ws])

    async with serve(handler, "127.0.0.1", ssl=server_tls, max_msg_size=10) as server:
        async with connect(f"wss://127.0.0.1:{server.port}/", ssl=client_tls) as ws:
            await ws.send_bytes(bytes(11))
            assert await ws.receive() == (WSMsgType.CLOSE, 1009, "")
    assert [message.type for message in messages] == [WSMsgType.ERROR]


async def test_own_socket() -> None:
    async with serve(echo, "127.0.0.1") as server:
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        sock = stream.extra(anyio.abc.SocketAttribute.raw_socket).dup()
        await stream.aclose()
        async with connect("ws://name.test/", sock=sock) as ws:
            await ws.send_bytes(b"1")
            assert await ws.receive_bytes() == b"1"


async def test_heartbeat_has_what_it_needs() -> None:
    """On trio a client has no task that reads, unless the heart does, in a runtime of its own."""
    release = anyio.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.ping(b"you?")
        async for message in ws:
            await ws.send_str(message.data)
            release.set()

    async with serve(handler, "127.0.0.1") as server:
        async with connect(f"ws://127.0.0.1:{server.port}/", heartbeat=0.02) as ws:
            with anyio.fail_after(5):
                while ws.latency is None:
                    await anyio.lowlevel.checkpoint()
                (other,) = server.connections
                while other.latency is None:
                    await anyio.lowlevel.checkpoint()
            await ws.send_str("hello")
            assert await ws.receive_str() == "hello"
        assert ws.close_code == 1000
        assert not await ws.close()
        assert not await spawns(ws._runtime)
