"""Our WebSockets and those of picows, whose event loop runs in a thread beside ours.

It has two: listeners, which see frames and do not compress, and an API after that of websockets,
which does. Both are tried, and our listeners with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import anyio.from_thread
import picows
import picows.websockets.asyncio as picows_websockets
import pytest
from anyio.from_thread import BlockingPortal

from wsproto_async import (
    Deflate,
    FrameListener,
    FrameSocket,
    WebSocket,
    WSMsgType,
    connect,
    connect_frames,
    serve,
    serve_frames,
)

_PATIENCE = 10.0
_NOISE = random.Random(6).randbytes(300_000)
MESSAGES: list[str | bytes] = [
    "",
    "Grüße, 世界, \U0001f388, \0",
    "a" * 125,
    "a" * 126,
    "b" * 65535,
    "c" * 65536,
    "Hello" * 100_000,
    b"",
    bytes(range(256)),
    _NOISE,
    b"\0" * 65536,
]
COMPRESSIONS = [
    pytest.param(None, False, id="plain"),
    pytest.param(None, True, id="declined"),
    pytest.param("deflate", False, id="not-offered"),
    pytest.param("deflate", True, id="deflate"),
    # What its server need not agree to; other parameters it leaves out, though it must not.
    pytest.param("deflate", Deflate(client_no_context_takeover=True), id="no-takeover"),
]


@pytest.fixture
def their_loop() -> Iterator[BlockingPortal]:
    """The event loop of picows."""
    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        yield portal


async def on(loop: BlockingPortal, talk: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine function on their loop, while ours goes on."""
    with anyio.fail_after(_PATIENCE):
        return await anyio.to_thread.run_sync(partial(loop.call, talk))


async def their_echo(ws: picows_websockets.ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def our_echo(ws: WebSocket) -> None:
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)


class TheirListener(picows.WSListener):
    """Echoes, or notes what comes."""

    def __init__(self, *, echoes: bool) -> None:
        self.echoes = echoes
        self.frames: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind, payload = frame.msg_type, frame.get_payload_as_bytes()
        self.frames.put_nowait((kind, payload, frame.fin))
        if kind == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind != picows.WSMsgType.PONG and self.echoes:
            transport.send(kind, payload, frame.fin)


class OurListener(FrameListener):
    """Echoes, and notes what comes."""

    def __init__(self, *, echoes: bool) -> None:
        self.echoes = echoes
        self.frames: list[tuple[WSMsgType, bytes, bool]] = []

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        self.frames.append((kind, bytes(payload), last))
        if self.echoes and kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            socket.send(kind, payload)


@contextlib.contextmanager
def their_server(
    loop: BlockingPortal, make: Callable[[picows.WSUpgradeRequest], picows.WSListener]
) -> Iterator[str]:
    """Run a server of listeners; give its URL."""

    async def start() -> asyncio.Server:
        return await picows.ws_create_server(make, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()
        # Connections are told that they are lost a turn later.
        await asyncio.sleep(0)

    server = loop.call(start)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        loop.call(stop)


@contextlib.contextmanager
def their_coroutines(loop: BlockingPortal, **options: Any) -> Iterator[str]:
    """Run a server of the other API; give its URL."""
    serving = picows_websockets.serve(their_echo, "127.0.0.1", 0, **options)
    with loop.wrap_async_context_manager(serving) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize(("theirs", "ours"), COMPRESSIONS)
async def test_our_client_is_echoed(
    their_loop: BlockingPortal, theirs: str | None, ours: Deflate | bool
) -> None:
    with their_coroutines(their_loop, compression=theirs) as url:
        async with connect(url, compress=ours) as ws:
            assert bool(ws.compress) == bool(theirs and ours)
            for message in MESSAGES:
                await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
                assert (await ws.receive(_PATIENCE)).data == message


@pytest.mark.parametrize(("theirs", "ours"), COMPRESSIONS)
async def test_our_server_echoes(
    their_loop: BlockingPortal, theirs: str | None, ours: Deflate | bool
) -> None:
    async def talk() -> list[Any]:
        received = []
        async with picows_websockets.connect(url, proxy=None, compression=theirs) as ws:
            for message in MESSAGES:
                await ws.send(message)
                received.append(await ws.recv())
        return received

    async with serve(our_echo, "127.0.0.1", compress=ours) as server:
        url = f"ws://127.0.0.1:{server.port}/"
        assert await on(their_loop, talk) == MESSAGES


async def test_our_client_and_their_listener(their_loop: BlockingPortal) -> None:
    with their_server(their_loop, lambda request: TheirListener(echoes=True)) as url:
        async with connect(url) as ws:
            for message in MESSAGES:
                await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
                assert (await ws.receive(_PATIENCE)).data == message
            for piece in ("Grü", "", "ße"):
                await ws.send_fragment(piece, last=piece == "ße")
            await ws.ping(b"are you there?")
            await ws.send_str("behind the ping")
            assert await ws.receive_str(timeout=_PATIENCE) == "Grüße"
            assert await ws.receive_str(timeout=_PATIENCE) == "behind the ping"
            assert ws.latency is not None
            assert await ws.close(code=4000, message=b"enough")
            assert ws.close_code == 4000


async def test_our_server_and_their_listener(their_loop: BlockingPortal) -> None:
    ended: list[int | None] = []

    async def echo(ws: WebSocket) -> None:
        await our_echo(ws)
        ended.append(ws.close_code)

    async def talk() -> list[tuple[Any, ...]]:
        transport, listener = await picows.ws_connect(lambda: TheirListener(echoes=False), url)
        assert isinstance(listener, TheirListener)
        # Fragments, with a ping between them.
        transport.send(picows.WSMsgType.TEXT, b"Gr\xc3", fin=False)
        transport.send_ping(b"between")
        transport.send(picows.WSMsgType.CONTINUATION, b"\xbc\xc3\x9fe", fin=True)
        transport.send(picows.WSMsgType.BINARY, _NOISE)
        transport.send(picows.WSMsgType.BINARY, b"")
        transport.send_close(picows.WSCloseCode.GOING_AWAY, b"bye")
        await transport.wait_disconnected()
        return [listener.frames.get_nowait() for _ in range(listener.frames.qsize())]

    async with serve(echo, "127.0.0.1") as server:
        url = f"ws://127.0.0.1:{server.port}/"
        frames = await on(their_loop, talk)
        kinds = picows.WSMsgType
        assert sorted(frames, key=str) == sorted(
            [
                (kinds.PONG, b"between", True),
                (kinds.TEXT, "Grüße".encode(), True),
                (kinds.BINARY, _NOISE, True),
                (kinds.BINARY, b"", True),
                (kinds.CLOSE, b"\x03\xe9", True),
            ],
            key=str,
        )
        assert frames[-1][0] == kinds.CLOSE
    assert ended == [1001]


async def test_listeners_of_both(their_loop: BlockingPortal) -> None:
    """Ours as the client of theirs."""
    with their_server(their_loop, lambda request: TheirListener(echoes=True)) as url:
        # An echo of an echo has no end.
        ours = OurListener(echoes=False)
        async with connect_frames(url, ours) as socket:
            socket.send(WSMsgType.TEXT, "Grüße".encode())
            socket.send(WSMsgType.BINARY, _NOISE)
            await socket.drain()
            with anyio.fail_after(_PATIENCE):
                await socket.close(3456, "enough")
        assert ours.frames == [
            (WSMsgType.TEXT, "Grüße".encode(), True),
            (WSMsgType.BINARY, _NOISE, True),
        ]
        assert socket.close_code == 3456


async def test_listeners_of_both_other_way(their_loop: BlockingPortal) -> None:
    """Theirs as the client of ours."""
    listeners: list[OurListener] = []

    def make(request: Any) -> OurListener:
        listeners.append(OurListener(echoes=True))
        return listeners[-1]

    async def talk() -> list[tuple[Any, ...]]:
        transport, listener = await picows.ws_connect(lambda: TheirListener(echoes=False), url)
        assert isinstance(listener, TheirListener)
        transport.send(picows.WSMsgType.TEXT, "Grüße".encode())
        transport.send_ping(b"ping")
        transport.send(picows.WSMsgType.BINARY, _NOISE)
        frames = [await listener.frames.get() for _ in range(3)]
        transport.send_close(picows.WSCloseCode.OK)
        await transport.wait_disconnected()
        return frames

    async with serve_frames(make, "127.0.0.1") as server:
        url = f"ws://127.0.0.1:{server.port}/"
        frames = await on(their_loop, talk)
    kinds = picows.WSMsgType
    assert frames == [
        (kinds.TEXT, "Grüße".encode(), True),
        (kinds.PONG, b"ping", True),
        (kinds.BINARY, _NOISE, True),
    ]
    assert [frame[0] for frame in listeners[0].frames] == [
        WSMsgType.TEXT,
        WSMsgType.PING,
        WSMsgType.BINARY,
    ]
