"""What becomes of peers that are silent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

import anyio
import pytest

from httpcore_proto.aio import AnyioRuntime, current_runtime
from wsproto_async import WS_CLOSED_MESSAGE, Role, WebSocket, WSMsgType

from .conftest import Far, MakePair, close_frame

PING, PONG = 0x89, 0x8A


class Clock:
    """A runtime of a loop that pushes what it reads, whose time passes by hand."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._sleepers: list[tuple[float, anyio.Event]] = []
        self.time = 100.0
        self.running = 0

    def soon(self, function: Any) -> None:
        raise AssertionError

    def now(self) -> float:
        return self.time

    def waiter(self) -> anyio.Event:
        return anyio.Event()

    async def sleep(self, seconds: float) -> None:
        event = anyio.Event()
        self._sleepers.append((self.time + seconds, event))
        await event.wait()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runtime.spawn(self._run(coroutine))

    async def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.running += 1
        try:
            await coroutine
        finally:
            self.running -= 1

    async def advance(self, seconds: float) -> None:
        await anyio.wait_all_tasks_blocked()
        self.time += seconds
        due = [event for at, event in self._sleepers if at <= self.time]
        self._sleepers = [(at, event) for at, event in self._sleepers if at > self.time]
        for event in due:
            event.set()
        await anyio.wait_all_tasks_blocked()


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    async with current_runtime() as runtime:
        yield Clock(runtime)


async def silent(far: Far) -> bool:
    """Whether nothing comes."""
    with anyio.move_on_after(0.001) as scope:
        await far.frame()
    return scope.cancelled_caught


@pytest.mark.parametrize("near", Role)
async def test_silent_peer_is_asked(pair: MakePair, clock: Clock, near: Role) -> None:
    ws, far = pair(near, runtime=clock, heartbeat=10)
    for seconds in (9, 4, 4):
        await clock.advance(seconds)
        assert await silent(far)
        await clock.advance(1)
        assert await far.frame() == (PING, b"")
        await far.send((PONG, b""))
        await clock.advance(5)
    assert not ws.closed
    assert ws.latency is not None


async def test_any_byte_is_life(pair: MakePair, clock: Clock) -> None:
    """A message that takes long to arrive is no silence."""
    ws, far = pair(runtime=clock, heartbeat=10)
    for octet in far.encode(0x81, b"slowly"):
        await clock.advance(9)
        await far.write(bytes([octet]))
    await clock.advance(9)
    assert await silent(far)
    assert (await ws.receive()).data == "slowly"
    await clock.advance(1)
    assert await far.frame() == (PING, b"")
    await far.write(far.encode(0x81, b"")[:1])
    await clock.advance(5)
    await clock.advance(4)
    assert await silent(far)
    assert not far.lost


class Own(WebSocket):
    """A WebSocket with an error of its own."""

    __slots__ = ()
    pong_error = ZeroDivisionError


@pytest.mark.parametrize(("kind", "error"), [(WebSocket, TimeoutError), (Own, ZeroDivisionError)])
async def test_dead_peer_is_given_up(
    pair: MakePair, clock: Clock, kind: type[WebSocket], error: type[Exception]
) -> None:
    ended: list[int] = []
    ws, far = pair(kind=kind, runtime=clock, heartbeat=10, on_end=lambda: ended.append(1))
    await far.send((0x81, b"last words"))
    await clock.advance(10)
    assert await far.frame() == (PING, b"")
    await clock.advance(4.9)
    assert ended == []
    await clock.advance(0.1)
    await far.end()
    assert ended == [1]
    assert clock.running == 0
    assert (await ws.receive()).data == "last words"
    message = await ws.receive()
    assert message.type is WSMsgType.ERROR
    assert type(message.data) is error
    assert str(message.data) == "No PONG received after 5.0 seconds"
    assert ws.exception() is message.data
    assert ws.close_code == 1006
    assert ws.closed
    assert await ws.receive() == WS_CLOSED_MESSAGE


async def test_receiver_of_a_dead_peer(pair: MakePair, clock: Clock) -> None:
    ws, _ = pair(runtime=clock, heartbeat=10)
    received: list[Any] = []

    async def receive() -> None:
        received.extend([message async for message in ws])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await clock.advance(10)
        await clock.advance(5)
    assert [message.type for message in received] == [WSMsgType.ERROR]


async def test_slow_handler_is_no_dead_peer(pair: MakePair, clock: Clock) -> None:
    """While the queue is full nothing is read, pongs neither, so that nothing is asked."""
    ws, far = pair(runtime=clock, heartbeat=10, max_queue=300)
    await far.send(*[(0x81, b"work")] * 3)
    for _ in range(5):
        await clock.advance(10)
        assert await silent(far)
    for _ in range(3):
        await ws.receive()
    await clock.advance(9)
    assert await silent(far)
    await clock.advance(1)
    assert await far.frame() == (PING, b"")


async def test_queue_that_fills_while_a_pong_is_due(pair: MakePair, clock: Clock) -> None:
    ws, far = pair(runtime=clock, heartbeat=10, max_queue=300)
    await clock.advance(10)
    assert await far.frame() == (PING, b"")
    clock.time -= 5  # nothing was heard since the ping, by the clock
    await far.send(*[(0x81, b"work")] * 3)
    clock.time += 5
    await clock.advance(5)
    assert not ws._lost
    for _ in range(3):
        await ws.receive()
    await far.send((PONG, b""))
    assert ws.latency is not None


@pytest.mark.parametrize("end", ["ours", "theirs", "lost"])
async def test_heart_stops_at_the_end(pair: MakePair, clock: Clock, end: str) -> None:
    ws, far = pair(runtime=clock, heartbeat=10)
    await clock.advance(0)
    assert clock.running == 1
    if end == "lost":
        far.link.close()
        await far.link.wait_closed()
        await clock.advance(0)
    elif end == "theirs":
        await far.send(close_frame(1000))
        await clock.advance(10)
        assert await silent(far)
        assert (await ws.receive()).type is WSMsgType.CLOSE
    else:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ws.close)
            assert await far.frame() == close_frame(1000)
            await clock.advance(10)
            assert clock.running == 0
            await far.send(close_frame(1000))
    assert clock.running == 0


async def test_without_a_heartbeat_there_is_no_task(pair: MakePair, clock: Clock) -> None:
    ws, far = pair(runtime=clock)
    await far.send((0x81, b""))
    await ws.receive()
    await ws.send_str("")
    await clock.advance(1000)
    assert clock.running == 0
    assert await far.frame() == (0x81, b"")
    assert await silent(far)


# Where links are read and written only by who asks, as a client's on trio.


async def test_heart_reads_while_nobody_does(pair: MakePair) -> None:
    async with AnyioRuntime() as runtime:
        ws, far = pair(Role.CLIENT, runtime=runtime, heartbeat=0.05)
        for _ in range(3):
            assert await far.frame() == (PING, b"")
            far.link.write(far.encode(PONG, b""))
        far.link.write(far.encode(PING, b"you?") + far.encode(0x81, b"message"))
        frames = [await far.frame(), await far.frame()]
        assert (PONG, b"you?") in frames
        assert not ws.closed
        assert (await ws.receive()).data == "message"


async def test_heart_while_another_task_receives(pair: MakePair) -> None:
    async with AnyioRuntime() as runtime:
        ws, far = pair(Role.CLIENT, runtime=runtime, heartbeat=0.05)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ws.receive)
            for _ in range(3):
                assert await far.frame() == (PING, b"")
                await far.send((PONG, b""))
            await far.send((0x81, b""))


async def test_dead_peer_where_nobody_reads(pair: MakePair) -> None:
    async with AnyioRuntime() as runtime:
        ws, far = pair(Role.CLIENT, runtime=runtime, heartbeat=0.02)
        message = await ws.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, TimeoutError)
        assert await far.frame() == (PING, b"")
        await far.end()


async def test_dead_peer_that_takes_nothing(pair: MakePair) -> None:
    """Neither the ping nor what was sent before it leaves; the writer is told."""
    async with AnyioRuntime() as runtime:
        ws, far = pair(Role.CLIENT, runtime=runtime, heartbeat=0.02)
        far.link.pause_reading()
        with pytest.raises(ConnectionResetError):
            while True:
                await ws.send_bytes(bytes(50_000))
        assert (await ws.receive()).type is WSMsgType.ERROR


async def test_heartbeat_needs_tasks(pair: MakePair) -> None:
    with pytest.raises(RuntimeError, match="no task group"):
        pair(runtime=AnyioRuntime(), heartbeat=1)
