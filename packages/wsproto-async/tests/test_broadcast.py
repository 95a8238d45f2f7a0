"""One message to many, some of whom are slow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from httpcore_proto import LocalProtocolError
from httpcore_proto.aio import AnyioRuntime, LinkLostError
from wsproto_async import (
    WS_CLOSED_MESSAGE,
    Deflate,
    Role,
    WebSocket,
    WebSocketServer,
    broadcast,
    connect,
    serve,
)

from .conftest import PATIENCE, MakePair, close_frame


@asynccontextmanager
async def crowd(count: int) -> AsyncIterator[tuple[WebSocketServer, list[WebSocket]]]:
    """A server whose handlers only receive, and its clients."""

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            pass

    with anyio.fail_after(PATIENCE):
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(
                serve(handler, "127.0.0.1", timeout_close=0.1, close_timeout=1)
            )
            url = f"ws://127.0.0.1:{server.port}/"
            options: dict[str, Any] = {"compress": True, "timeout_close": 0.1}
            clients = [
                await stack.enter_async_context(connect(url, **options)) for _ in range(count)
            ]
            while len(server.connections) < count:
                await anyio.lowlevel.checkpoint()
            yield server, clients


@pytest.mark.parametrize("slow", ["skip", "close", "wait"])
async def test_all_get_it(slow: Any) -> None:
    async with crowd(5) as (server, clients):
        for number in range(100):
            assert await broadcast(server.connections, f"number {number}", slow=slow) == []
        assert await broadcast(server.connections, b"octets", slow=slow) == []
        for client in clients:
            for number in range(100):
                assert await client.receive_str() == f"number {number}"
            assert await client.receive_bytes() == b"octets"


class Drinker:
    """Receives all there is."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self.count = 0

    async def __call__(self) -> None:
        async for _ in self._ws:
            self.count += 1


async def fill(server: WebSocketServer, fast: Drinker, slow: Any) -> WebSocket:
    """Broadcast, as `fast` takes it, until the other one misses a message; return it."""
    for number in range(1000):
        missed = await broadcast(server.connections, bytes(100_000), slow=slow)
        while fast.count <= number:
            await anyio.lowlevel.checkpoint()
        if missed:
            assert len(missed) == 1
            return missed[0]
    raise AssertionError


async def test_slow_peers_miss_messages() -> None:
    async with crowd(2) as (server, (one, other)):
        fast = Drinker(one)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fast)
            behind = await fill(server, fast, "skip")
            assert not behind.closed
            assert behind._backlog < 300_000
            # It takes what it was sent, and is no longer slow.
            tasks.start_soon(Drinker(other))
            while behind._backlog:
                await anyio.lowlevel.checkpoint()
            assert await broadcast(server.connections, b"again") == []
            tasks.cancel_scope.cancel()


async def test_slow_peers_are_dropped() -> None:
    async with crowd(2) as (server, (one, _)):
        fast = Drinker(one)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fast)
            dropped = await fill(server, fast, "close")
            while dropped in server.connections:
                await anyio.lowlevel.checkpoint()
            assert dropped.close_code == 1006
            error = dropped.exception()
            assert isinstance(error, LinkLostError)
            assert str(error) == "too slow for a broadcast"
            assert await dropped.receive() == WS_CLOSED_MESSAGE
            assert await broadcast([dropped], b"again", slow="wait") == [dropped]
            tasks.cancel_scope.cancel()


async def test_slow_peers_are_waited_for() -> None:
    async with crowd(2) as (server, clients):
        sent = 0

        async def send() -> None:
            nonlocal sent
            while sent < 300:
                assert await broadcast(server.connections, bytes(100_000), slow="wait") == []
                sent += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            while True:
                before = sent
                await anyio.sleep(0.02)
                if sent == before:
                    break
            assert sent < 300
            for client in clients:
                tasks.start_soon(receive_all, client, 300)
        assert sent == 300


async def receive_all(ws: WebSocket, count: int) -> None:
    for _ in range(count):
        assert len(await ws.receive_bytes()) == 100_000


async def test_who_cannot_get_it(pair: MakePair) -> None:
    """Closed, about to close, lost, or in the middle of a message of its own."""
    lost, far = pair()
    far.link.close()
    await far.link.wait_closed()
    closing, far = pair(autoclose=False)
    closing._machine.send_close()
    half, _ = pair()
    await half.send_fragment("half", last=False)
    good, far = pair()
    assert await broadcast([lost, closing, half, good], "x") == [lost, closing, half]
    assert await far.frame() == (0x81, b"x")


async def test_each_role_in_its_own_way(pair: MakePair) -> None:
    """A client masks; nobody compresses, so that one encoding does for all."""
    pairs = [pair(role, deflate=Deflate()) for role in (Role.SERVER, Role.CLIENT, Role.SERVER)]
    for message in ("text" * 50, b"octets" * 50):
        assert await broadcast((ws for ws, _ in pairs), message) == []
        octets = message.encode() if isinstance(message, str) else message
        for _, far in pairs:
            assert await far.frame() == (0x81 if isinstance(message, str) else 0x82, octets)


async def test_without_tasks_it_waits(pair: MakePair) -> None:
    """A client of trio's has nobody to send for it."""
    ws, far = pair(Role.CLIENT, runtime=AnyioRuntime())
    assert await broadcast([ws], "x") == []
    assert not ws._link.needs_drain
    assert await far.frame() == (0x81, b"x")


async def test_loss_during_a_broadcast(pair: MakePair) -> None:
    ws, far = pair()
    far.link.pause_reading()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: broadcast([ws], bytes(100_000), slow="wait"))
        await anyio.wait_all_tasks_blocked()
        far.link.close()
    with anyio.fail_after(PATIENCE):
        while ws._backlog:
            await anyio.lowlevel.checkpoint()
    assert await ws.receive() == WS_CLOSED_MESSAGE


@pytest.mark.parametrize("connections", [0, 1])
async def test_wrong_arguments(pair: MakePair, connections: int) -> None:
    everybody = [pair()[0] for _ in range(connections)]
    with pytest.raises(TypeError):
        await broadcast(everybody, 1)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        await broadcast(everybody, "\ud800")
    with pytest.raises(ValueError, match="slow='drop', expected skip, close or wait"):
        await broadcast(everybody, "", slow="drop")  # type: ignore[arg-type]


async def test_close_behind_a_broadcast(pair: MakePair) -> None:
    ws, far = pair()
    await broadcast([ws], "x")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ws.close)
        assert await far.frame() == (0x81, b"x")
        assert await far.frame() == close_frame(1000)
        await far.send(close_frame(1000))
