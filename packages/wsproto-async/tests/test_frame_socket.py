"""The lowest level: a call per frame."""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import pytest

from httpcore_proto import LocalProtocolError, Request
from httpcore_proto.aio import memory_link_pair
from wsproto_async import (
    Deflate,
    FrameListener,
    FrameSocket,
    Role,
    WebSocketConnection,
    WebSocketError,
    WSMsgType,
    connect,
    connect_frames,
    serve_frames,
)

from .conftest import PATIENCE, Far, close_frame

TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
PING, PONG = WSMsgType.PING, WSMsgType.PONG


class Recorder(FrameListener):
    """Notes what it is called with."""

    def __init__(self) -> None:
        self.frames: list[tuple[WSMsgType, bytes, bool]] = []
        self.opened_with: list[FrameSocket] = []
        self.closed_with: list[FrameSocket] = []
        self.paused_behind: bytes | None = None
        self.failing: str = ""

    def opened(self, socket: FrameSocket) -> None:
        self.opened_with.append(socket)
        if self.failing == "opened":
            raise ValueError(self.failing)

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        assert payload.readonly
        self.frames.append((kind, bytes(payload), last))
        if payload == self.paused_behind:
            socket.pause_reading()
        if self.failing == "frame_received":
            raise ValueError(self.failing)

    def closed(self, socket: FrameSocket) -> None:
        self.closed_with.append(socket)
        if self.failing == "closed":
            raise ValueError(self.failing)


def make(
    near: Role = Role.SERVER,
    *,
    deflate: Deflate | None = None,
    pieces: bool = False,
    failing: str = "",
    trailing: bytes = b"",
    eof: bool = False,
) -> tuple[FrameSocket, Recorder, Far]:
    machine = WebSocketConnection(near, deflate=deflate, decode_text=False, max_msg_size=100_000)
    machine.streaming = pieces
    listener = Recorder()
    listener.failing = failing
    socket = FrameSocket(machine, listener)
    far = Far(near)
    link, _ = memory_link_pair(Far(near), far, facts={"peername": "far"})
    link.hand_over(socket)
    socket.start(trailing, eof)
    return socket, listener, far


@pytest.mark.parametrize("near", Role)
async def test_frames_are_handed_on_as_they_come(near: Role) -> None:
    socket, listener, far = make(near)
    assert listener.opened_with == [socket]
    await far.send((0x81, b"\xe2\x82\xac"), (0x02, b"tw"), (0x89, b"?"), (0x80, b"o"), (0x8A, b"!"))
    assert listener.frames == [
        (TEXT, b"\xe2\x82\xac", True),
        (PING, b"?", True),
        (BINARY, b"two", True),
        (PONG, b"!", True),
    ]
    assert await far.frame() == (0x8A, b"?")
    assert socket.get_extra_info("peername") == "far"
    assert socket.get_extra_info("nothing", 1) == 1
    assert socket.protocol is None
    assert socket.request is None


async def test_pieces() -> None:
    _, listener, far = make(pieces=True)
    whole = far.encode(0x82, b"0123456789")
    for piece in (whole[:8], whole[8:12], whole[12:]):
        await far.write(piece)
    assert [last for _, _, last in listener.frames] == [False] * (len(listener.frames) - 1) + [True]
    assert b"".join(payload for _, payload, _ in listener.frames) == b"0123456789"
    assert len(listener.frames) > 1


async def test_what_came_behind_the_handshake() -> None:
    socket, listener, _ = make(trailing=Far(Role.SERVER).encode(0x81, b"early"), eof=True)
    assert listener.frames == [(TEXT, b"early", True)]
    await socket.wait_closed()
    assert listener.closed_with == [socket]
    assert socket.close_code == 1006
    assert socket.exc is None


@pytest.mark.parametrize("near", Role)
async def test_sending(near: Role) -> None:
    socket, _, far = make(near, deflate=Deflate())
    socket.send(TEXT, b"text", compress=False)
    socket.send(BINARY, memoryview(b"binary"), compress=False)
    socket.send(PING, b"ping")
    socket.send(PONG, bytearray(b"pong"))
    socket.send(BINARY, bytes(100))
    assert socket.needs_drain
    await socket.drain()
    assert not socket.needs_drain
    assert [await far.frame() for _ in range(4)] == [
        (0x81, b"text"),
        (0x82, b"binary"),
        (0x89, b"ping"),
        (0x8A, b"pong"),
    ]
    assert (await far.frame()).first == 0xC2
    with pytest.raises(LocalProtocolError, match="UTF-8"):
        socket.send(TEXT, b"\xff")
    with pytest.raises(ValueError, match="only TEXT, BINARY, PING and PONG"):
        socket.send(WSMsgType.CLOSE, b"")
    with pytest.raises(TypeError):
        socket.send(BINARY, "text")  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        socket.send_close(1006)


async def test_pause() -> None:
    """What came already waits as well, also from within the call."""
    socket, listener, far = make()
    listener.paused_behind = b"1"
    await far.send((0x81, b"1"), (0x81, b"2"), (0x81, b"1"), (0x81, b"4"))
    assert [payload for _, payload, _ in listener.frames] == [b"1"]
    socket.resume_reading()
    assert [payload for _, payload, _ in listener.frames] == [b"1", b"2", b"1"]
    with anyio.move_on_after(0.001):
        await far.send((0x81, b"5"))
    assert len(listener.frames) == 3
    socket.resume_reading()
    await far.send((0x81, b"6"))
    assert [payload for _, payload, _ in listener.frames] == [b"1", b"2", b"1", b"4", b"5", b"6"]


async def test_resume_within_the_call() -> None:
    class Resuming(Recorder):
        def frame_received(
            self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
        ) -> None:
            super().frame_received(socket, kind, payload, last)
            socket.pause_reading()
            socket.resume_reading()
            self.frames.append((PONG, b"left", True))

    machine = WebSocketConnection(Role.SERVER, decode_text=False)
    listener = Resuming()
    socket = FrameSocket(machine, listener)
    far = Far(Role.SERVER)
    link, _ = memory_link_pair(Far(Role.SERVER), far)
    link.hand_over(socket)
    socket.start()
    await far.send((0x81, b"1"), (0x81, b"2"))
    assert [payload for _, payload, _ in listener.frames] == [b"1", b"left", b"2", b"left"]


async def test_close_frame_is_answered() -> None:
    socket, listener, far = make()
    await far.send(close_frame(4000, b"bye"), (0x81, b"never"))
    assert await far.frame() == close_frame(4000)
    await socket.wait_closed()
    assert await far.end() == b""
    assert listener.frames == []
    assert listener.closed_with == [socket]
    assert socket.close_code == 4000
    assert socket.close_reason == "bye"
    assert socket.exc is None
    await socket.close()
    socket.send_close()
    with pytest.raises(LocalProtocolError):
        socket.send(TEXT, b"")


async def test_close() -> None:
    socket, listener, far = make(Role.CLIENT)

    async def answer() -> None:
        assert await far.frame() == close_frame(4001, b"so long")
        await far.send((0x89, b"?"), (0x81, b"still"), close_frame(4002))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer)
        await socket.close(4001, "so long")
    assert listener.closed_with == [socket]
    assert listener.frames == [(PING, b"?", True), (TEXT, b"still", True)]
    assert socket.close_code == 4002
    assert await far.end() == b""


@pytest.mark.parametrize("by", ["time", "cancelling"])
async def test_close_without_an_answer(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "time":
        monkeypatch.setattr("wsproto_async._frame_socket._CLOSE_TIMEOUT", 0.01)
    socket, listener, far = make()
    with anyio.move_on_after(None if by == "time" else 0.01) as scope:  # type: ignore[arg-type]
        await socket.close()
    assert scope.cancelled_caught is (by == "cancelling")
    assert listener.closed_with == [socket]
    assert socket.close_code == 1006
    await far.end()


@pytest.mark.parametrize("ours", [False, True])
async def test_violation(ours: bool) -> None:
    socket, listener, far = make()
    if ours:
        socket.send_close(1000)
    await far.write(far.encode(0x81, b"good") + b"\xff\xff")
    assert await far.frame() == close_frame(1000 if ours else 1002)
    await socket.wait_closed()
    assert listener.frames == [(TEXT, b"good", True)]
    assert listener.closed_with == [socket]
    assert isinstance(socket.exc, WebSocketError)
    assert await far.end() == b""


@pytest.mark.parametrize("failing", ["opened", "frame_received"])
async def test_listener_that_raises(failing: str, caplog: pytest.LogCaptureFixture) -> None:
    socket, listener, far = make(failing=failing)
    await far.send((0x81, b"1"), (0x81, b"2"))
    assert await far.frame() == close_frame(1011)
    await socket.wait_closed()
    assert len(listener.frames) == (failing == "frame_received")
    assert listener.closed_with == [socket]
    assert isinstance(socket.exc, ValueError)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is socket.exc


async def test_listener_that_raises_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    socket, listener, far = make(failing="closed")
    far.link.close()
    await socket.wait_closed()
    socket.link_lost(None)
    assert listener.closed_with == [socket]
    assert len(caplog.records) == 1


async def test_loss() -> None:
    socket, listener, far = make()
    socket.pause_reading()
    with anyio.move_on_after(0.001):
        await far.send((0x81, b"unread"))
    reason = OSError("cable cut")
    socket.link_lost(reason)
    assert socket.exc is reason
    assert listener.closed_with == [socket]
    assert socket.close_code == 1006


async def test_abort() -> None:
    socket, _, far = make()
    socket.abort()
    await far.end()
    await socket.wait_closed()
    assert socket.close_code == 1006


async def test_link_that_was_lost_before() -> None:
    socket, listener, far = make()
    far.link.close()
    await far.link.wait_closed()
    fresh = FrameSocket(socket._machine, listener)
    socket.link.hand_over(fresh)
    fresh.start()
    assert listener.closed_with == [socket, fresh]


def test_listener_may_leave_out_what_it_does_not_need() -> None:
    socket: Any = None
    listener = FrameListener()
    listener.opened(socket)
    listener.frame_received(socket, TEXT, memoryview(b""), True)
    listener.closed(socket)


# Client and server.


class Echo(FrameListener):
    """Sends back what comes."""

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        if kind in (TEXT, BINARY):
            socket.send(kind, payload)


class Counter(Recorder):
    """Sends messages that are answered, one after the other, and closes."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.left = count
        self.size = size

    def opened(self, socket: FrameSocket) -> None:
        super().opened(socket)
        socket.send(BINARY, bytes(self.size))

    def frame_received(
        self, socket: FrameSocket, kind: WSMsgType, payload: memoryview, last: bool
    ) -> None:
        assert len(payload) == self.size
        self.left -= 1
        if self.left:
            socket.send(BINARY, payload)
        else:
            socket.send_close(4000)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("size", [0, 16, 65536])
async def test_echo(compress: bool, size: int) -> None:
    targets: list[str] = []

    def make_listener(request: Request) -> FrameListener:
        targets.append(request.target)
        return Echo()

    with anyio.fail_after(PATIENCE):
        async with serve_frames(make_listener, "127.0.0.1", protocols=["echo"]) as server:
            listener = Counter(20, size)
            socket = await connect_frames(
                f"ws://127.0.0.1:{server.port}/here",
                listener,
                compress=compress,
                protocols=["echo"],
            )
            await socket.wait_closed()
            assert listener.left == 0
            assert socket.protocol == "echo"
            assert socket.close_code == 4000
            assert listener.closed_with == [socket]
            while server.connections:
                await anyio.lowlevel.checkpoint()
    assert targets == ["/here"]


async def test_pieces_between_client_and_server() -> None:
    with anyio.fail_after(PATIENCE):
        async with serve_frames(lambda request: Recorder(), "127.0.0.1", pieces=True) as server:
            async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
                (served,) = server.connections
                listener = served._listener
                assert isinstance(listener, Recorder)
                await ws.send_fragment(b"one", last=False)
                while not listener.frames:
                    await anyio.lowlevel.checkpoint()
                await ws.send_fragment(b"two", last=True)
    assert listener.frames == [(BINARY, b"one", False), (BINARY, b"two", True)]


async def test_server_closes_its_clients() -> None:
    listeners: list[Recorder] = []

    def make_listener(request: Request) -> FrameListener:
        listeners.append(Recorder())
        return listeners[-1]

    with anyio.fail_after(PATIENCE):
        async with serve_frames(make_listener, "127.0.0.1", pieces=True) as server:
            url = f"ws://127.0.0.1:{server.port}/"
            async with connect(url) as ws, connect_frames(url, Recorder()) as socket:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(socket.wait_closed)
                    tasks.start_soon(server.close)
                    assert await ws.receive() == (WSMsgType.CLOSE, 1001, "")
                assert socket.close_code == 1001
    assert len(listeners) == 2
    for listener in listeners:
        (served,) = listener.closed_with
        assert served.request is not None
        assert served.close_code == 1001


async def test_listener_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    def make_listener(request: Request) -> FrameListener:
        raise ValueError("no")

    with anyio.fail_after(PATIENCE):
        async with serve_frames(make_listener, "127.0.0.1") as server:
            # Whether the 101 still leaves is the loop's.
            with contextlib.suppress(OSError):
                socket = await connect_frames(f"ws://127.0.0.1:{server.port}/", Recorder())
                await socket.wait_closed()
                assert socket.close_code == 1006
            assert not server.connections
    (record,) = caplog.records
    assert record.getMessage() == "no WebSocket could be made"


async def test_wrong_options() -> None:
    with pytest.raises(TypeError, match="heartbeat"):
        serve_frames(lambda request: Recorder(), heartbeat=1)  # type: ignore[call-arg]
