from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from httpcore_proto.aio import AsyncioRuntime, Link, LinkLostError, current_runtime
from httpcore_proto.aio._deadlines import Deadlines

#: More than the buffers of a socket that nobody reads will take.
HUGE = bytes(32 * 2**20)


# One timer for many waits, on a clock of the test's own.


class Clock:
    """The part of an event loop that keeps timers; its time is what the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[asyncio.TimerHandle] = []
        self.fired = 0

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        loop: Any = self
        timer = asyncio.TimerHandle(when, callback, args, loop, context)
        self.timers.append(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.timers.remove(handle)

    def advance(self, now: float) -> None:
        """Let the timers up to `now` fire, each at its own time."""
        while self.timers and (timer := min(self.timers)).when() <= now:
            self.timers.remove(timer)
            self.now = timer.when()
            self.fired += 1
            timer._run()
        self.now = now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deadlines(clock: Any) -> Deadlines:
    return Deadlines(clock)


def wait_until(deadlines: Deadlines, clock: Any, deadline: float) -> asyncio.Future[None]:
    waiter: asyncio.Future[None] = asyncio.Future(loop=clock)
    deadlines.add(waiter, deadline)
    return waiter


def timed_out(waiter: asyncio.Future[None]) -> bool:
    return waiter.done() and isinstance(waiter.exception(), TimeoutError)


@pytest.mark.parametrize(
    "order", [(101.0, 102.0, 103.0), (103.0, 102.0, 101.0), (102.0, 103.0, 101.0)], ids=str
)
def test_each_wait_ends_at_its_own_deadline(
    deadlines: Deadlines, clock: Clock, order: tuple[float, ...]
) -> None:
    waiters = {deadline: wait_until(deadlines, clock, deadline) for deadline in order}
    for now in (100.9, 101.0, 101.9, 102.0, 102.9, 103.0):
        clock.advance(now)
        for deadline, waiter in waiters.items():
            assert timed_out(waiter) == (deadline <= now), (now, deadline)
    assert clock.timers == []


def test_there_is_one_timer(deadlines: Deadlines, clock: Clock) -> None:
    waiters = [wait_until(deadlines, clock, deadline) for deadline in (103.0, 101.0, 102.0)]
    assert [timer.when() for timer in clock.timers] == [101.0]
    clock.advance(101.0)
    assert [timer.when() for timer in clock.timers] == [102.0]
    clock.advance(103.0)
    assert all(map(timed_out, waiters))


def test_a_discarded_wait_does_not_end(deadlines: Deadlines, clock: Clock) -> None:
    first = wait_until(deadlines, clock, 101.0)
    second = wait_until(deadlines, clock, 102.0)
    deadlines.discard(first)
    deadlines.discard(first)
    clock.advance(101.5)
    assert not first.done()
    assert not second.done()
    clock.advance(102.0)
    assert not first.done()
    assert timed_out(second)


def test_waits_that_end_before_cost_no_timer_each(deadlines: Deadlines, clock: Clock) -> None:
    for number in range(100):
        deadlines.discard(wait_until(deadlines, clock, 130.0 + number / 10))
    last = wait_until(deadlines, clock, 140.0)
    clock.advance(139.0)
    assert clock.fired == 1
    clock.advance(140.0)
    assert timed_out(last)
    assert clock.fired == 2


def test_with_nothing_left_the_timer_is_not_set_again(deadlines: Deadlines, clock: Clock) -> None:
    deadlines.discard(wait_until(deadlines, clock, 101.0))
    clock.advance(101.0)
    assert clock.timers == []
    waiter = wait_until(deadlines, clock, 102.0)
    clock.advance(102.0)
    assert timed_out(waiter)


def test_a_wait_that_is_over_is_left_alone(deadlines: Deadlines, clock: Clock) -> None:
    waiter = wait_until(deadlines, clock, 101.0)
    waiter.set_result(None)
    clock.advance(101.0)
    assert waiter.exception() is None


# Links of all event loops.


class Receiver:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.data = b""

    def link_made(self, link: Link) -> None:
        pass

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        pass

    def link_lost(self, exc: Exception | None) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """Return a listening socket; what connects to it is read only if a test does so."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@asynccontextmanager
async def connected(peer: socket.socket, receiver: Receiver) -> AsyncIterator[Link]:
    async with current_runtime() as runtime:
        link: Link = await runtime.connect_tcp(receiver, *peer.getsockname())
        try:
            yield link
        finally:
            link.abort()
            await link.wait_closed()


async def test_more_ends_at_the_deadline(peer: socket.socket) -> None:
    receiver = Receiver()
    async with connected(peer, receiver) as link:
        link.deadline = current_runtime().now() + 0.01
        with pytest.raises(TimeoutError, match="deadline passed"):
            await link.more()
        # The link is as good as before.
        link.deadline = None
        accepted, _ = peer.accept()
        with accepted:
            accepted.send(b"late")
            await link.more()
        assert receiver.data == b"late"


async def test_more_ends_if_the_deadline_has_passed_before(peer: socket.socket) -> None:
    async with connected(peer, Receiver()) as link:
        link.deadline = current_runtime().now() - 1
        with pytest.raises(TimeoutError):
            await link.more()


async def test_more_before_the_deadline(peer: socket.socket) -> None:
    receiver = Receiver()
    async with connected(peer, receiver) as link:
        accepted, _ = peer.accept()
        with accepted:
            accepted.send(b"early")
            link.deadline = current_runtime().now() + 60
            await link.more()
        assert receiver.data == b"early"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_wait_that_ended_is_not_kept(peer: socket.socket, anyio_backend: str) -> None:
    async with AsyncioRuntime() as runtime:
        link = await runtime.connect_tcp(Receiver(), *peer.getsockname())
        accepted, _ = peer.accept()
        link.deadline = runtime.now() + 60
        with accepted:
            accepted.send(b"x")
            await link.more()
        assert not runtime._deadlines._waits
        link.abort()
        await link.wait_closed()


async def test_drain_ends_at_the_deadline(peer: socket.socket) -> None:
    async with connected(peer, Receiver()) as link:
        link.write(HUGE)
        link.deadline = current_runtime().now() + 0.01
        with pytest.raises(TimeoutError, match="deadline passed"):
            await link.drain()


async def test_each_more_has_the_deadline_of_its_beginning(peer: socket.socket) -> None:
    async with connected(peer, Receiver()) as link:
        for _ in range(3):
            link.deadline = current_runtime().now() + 0.01
            with pytest.raises(TimeoutError):
                await link.more()


async def test_drain_keeps_its_deadline_when_more_ends(peer: socket.socket) -> None:
    """`drain` waited for ever."""
    receiver = Receiver()
    async with connected(peer, receiver) as link:
        accepted, _ = peer.accept()
        timed_out = anyio.Event()

        async def drain() -> None:
            with pytest.raises(TimeoutError):
                await link.drain()
            timed_out.set()

        with accepted:
            link.write(HUGE)
            accepted.send(b"x")
            link.deadline = current_runtime().now() + 0.05
            async with anyio.create_task_group() as group:
                group.start_soon(drain)
                await link.more()
                assert receiver.data == b"x"
                with anyio.fail_after(10):
                    await timed_out.wait()


async def test_more_that_has_no_deadline_gets_none_of_drain(peer: socket.socket) -> None:
    """The deadline of one wait ended the other one, too."""
    async with connected(peer, Receiver()) as link:
        async with anyio.create_task_group() as group:
            group.start_soon(link.more)
            await anyio.wait_all_tasks_blocked()
            link.write(HUGE)
            link.deadline = current_runtime().now() + 0.01
            with pytest.raises(TimeoutError):
                await link.drain()
            link.abort()
        with pytest.raises(LinkLostError):
            await link.drain()
