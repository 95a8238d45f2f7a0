"""Streams that are no sockets, what the pump does, and what is left when waits end early."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import ByteStream

from httpcore_proto.aio import AnyioRuntime, Link, LinkLostError
from httpcore_proto.aio._stream_link import StreamLink

# A test that hangs shall say where.
PATIENCE = 10


class Receiver:
    """Keeps what it is told."""

    link: Link

    def __init__(self) -> None:
        self.data = b""
        self.calls: list[str] = []
        self.exc: Exception | None = None

    def link_made(self, link: Link) -> None:
        self.calls.append("made")
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.calls.append("eof")

    def link_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.exc = exc


class Echo(Receiver):
    """Writes back what it gets, and waits for nothing."""

    def bytes_received(self, data: bytes) -> None:
        super().bytes_received(data)
        self.link.write(data)


class Stream(ByteStream):
    """A stream that a test holds the other end of."""

    def __init__(self) -> None:
        self._feed, self._fed = anyio.create_memory_object_stream[bytes](1000)
        self.sent = b""
        self.closed = 0
        self.may_send = anyio.Event()
        self.may_send.set()

    def feed(self, data: bytes) -> None:
        self._feed.send_nowait(data)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._fed.receive()
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        await self.may_send.wait()
        self.sent += item

    async def send_eof(self) -> None:
        self.sent += b"<eof>"

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()  # a stream that waits before it closes
        self._feed.close()
        self._fed.close()
        self.closed += 1


def pulled(receiver: Receiver) -> tuple[Stream, StreamLink]:
    stream = Stream()
    link = StreamLink(stream, receiver, pumped=False)
    link.hand_over(receiver)
    return stream, link


def pumped(receiver: Receiver) -> tuple[Stream, StreamLink]:
    stream = Stream()
    link = StreamLink(stream, receiver, pumped=True)
    link.hand_over(receiver)
    return stream, link


async def eventually(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.lowlevel.checkpoint()


# Streams that are no sockets


async def test_a_stream_without_socket_is_closed_by_wait_closed() -> None:
    receiver = Receiver()
    stream, link = pulled(receiver)
    link.write(b"last words")
    link.write_eof()
    link.close()
    assert receiver.calls == ["made"]
    await link.wait_closed()
    assert stream.sent == b"last words<eof>"
    assert stream.closed
    assert receiver.calls == ["made", "lost"]
    assert link.info("socket") is None


async def test_after_a_cancelled_drain_such_a_stream_sends_no_more() -> None:
    """How much of the message has left only the stream knows."""
    receiver = Receiver()
    stream, link = pulled(receiver)
    stream.may_send = anyio.Event()
    link.write(b"x")
    with anyio.move_on_after(0.01):
        await link.drain()
    assert link.needs_drain
    stream.feed(b"answer")
    link.deadline = anyio.current_time() + PATIENCE
    await link.more()
    assert receiver.data == b"answer"
    with pytest.raises(LinkLostError):
        await link.drain()
    await link.wait_closed()
    assert stream.sent == b""


async def test_an_end_and_a_loss_are_told_in_order() -> None:
    receiver = Receiver()
    stream, link = pulled(receiver)
    stream.feed(b"x")
    stream.feed(b"")
    await link.more()
    await link.more()
    assert receiver.calls == ["made", "eof"]
    link.close()
    await link.more()
    await link.more()
    assert receiver.calls == ["made", "eof", "lost"]
    await link.wait_closed()
    assert stream.closed


# The pump


async def test_the_pump_sends_what_the_receiver_writes() -> None:
    receiver = Echo()
    stream, link = pumped(receiver)
    async with anyio.create_task_group() as group:
        group.start_soon(link.pump)
        stream.feed(b"ping")
        await eventually(lambda: stream.sent == b"ping")
        link.close()
    assert receiver.calls == ["made", "lost"]


async def test_a_receiver_that_only_writes_back_is_stopped_when_nothing_leaves() -> None:
    """A peer that sends pings and takes no pongs filled memory."""
    receiver = Echo()
    stream, link = pumped(receiver)
    stream.may_send = anyio.Event()
    for _ in range(200):
        stream.feed(bytes(4000))
    async with anyio.create_task_group() as group:
        group.start_soon(link.pump)
        await anyio.wait_all_tasks_blocked()
        assert 65_536 < len(receiver.data) < 80_000
        stream.may_send.set()
        await eventually(lambda: len(stream.sent) == 800_000)
        link.abort()


async def test_a_pump_that_is_cancelled_tells_the_loss() -> None:
    receiver = Receiver()
    stream, link = pumped(receiver)
    async with anyio.create_task_group() as group:
        group.start_soon(link.pump)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert receiver.calls == ["made", "lost"]
    assert receiver.exc is None
    assert stream.closed


async def test_a_pump_that_is_cancelled_sends_what_close_left() -> None:
    receiver = Receiver()
    stream, link = pumped(receiver)
    async with anyio.create_task_group() as group:
        group.start_soon(link.pump)
        await anyio.wait_all_tasks_blocked()
        link.write(b"last words")
        link.close()
        group.cancel_scope.cancel()
    assert stream.sent == b"last words"
    assert receiver.calls == ["made", "lost"]


async def test_close_and_abort_in_the_middle_of_a_delivery() -> None:
    class Refuses(Receiver):
        def bytes_received(self, data: bytes) -> None:
            super().bytes_received(data)
            self.link.write(b"400")
            if data == b"bad":
                self.link.close()
            else:
                self.link.abort()

    for data, sent in ((b"bad", b"400"), (b"worse", b"")):
        receiver = Refuses()
        stream, link = pumped(receiver)
        stream.feed(data)
        stream.feed(b"nobody wants this")
        with anyio.fail_after(PATIENCE):
            await link.pump()
        assert receiver.data == data
        assert stream.sent == sent
        assert receiver.calls == ["made", "lost"]


# Sockets

# Asyncio's transports do not let go of their sockets, and keep to themselves what was in
# them when they broke.
only_trio = pytest.mark.parametrize("anyio_backend", ["trio"])


async def connected() -> tuple[Receiver, Link, socket.socket]:
    receiver = Receiver()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        link = await AnyioRuntime().connect_tcp(receiver, *listening.getsockname())
        accepted, _ = listening.accept()
    accepted.settimeout(PATIENCE)
    return receiver, link, accepted


async def test_abort_needs_no_task_to_close_the_socket() -> None:
    receiver, link, peer = await connected()
    with peer:
        link.write(b"x")
        link.abort()
        # asyncio closes in the next turn of the loop, trio at once.
        await anyio.lowlevel.checkpoint()
        assert peer.recv(10) == b""
        assert receiver.calls == ["made"]
        await link.more()
        assert receiver.calls == ["made", "lost"]


@only_trio
async def test_an_answer_that_came_before_a_reset_is_delivered() -> None:
    """A server that refuses a body answers, and then resets; the answer says why."""
    receiver, link, peer = await connected()
    peer.send(b"413")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(LinkLostError):
        while True:
            link.write(bytes(2**20))
            await link.drain()
    assert receiver.data == b"413"
    assert receiver.calls[-1] == "lost"


@only_trio
async def test_a_drain_that_was_cancelled_is_taken_up_again() -> None:
    _, link, peer = await connected()
    data = bytes(range(256)) * 2**16
    received = bytearray()

    def receive() -> None:
        while chunk := peer.recv(2**20):
            received.extend(chunk)

    with peer:
        link.write(data)
        with anyio.move_on_after(0.01) as scope:
            await link.drain()
        assert scope.cancelled_caught
        assert link.needs_drain
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, receive)
            link.write(b"the end")
            await link.drain()
            assert not link.needs_drain
            link.close()
    assert bytes(received) == data + b"the end"
    await link.wait_closed()
