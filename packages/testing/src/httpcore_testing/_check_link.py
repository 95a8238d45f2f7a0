"""The contract of links (`httpcore_proto.aio.Link`) as checks, for ours and for yours.

A check takes a factory of joined links and raises `AssertionError` if they break the clause
that it is named after. Every check ends within a bounded time, whatever the links do.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final

import anyio

from httpcore_proto.aio import BusyError, Link, Receiver

#: Makes two links, each the other's far end, and closes what is left of them.
MakePair = Callable[[Receiver, Receiver], AbstractAsyncContextManager[tuple[Link, Link]]]

# Seconds after which a check that hangs has failed.
_PATIENCE: Final = 15.0
# More than the buffers of any socket take.
_HUGE: Final = 48 * 2**20
_PIECE: Final = bytes(range(256)) * 256


class RecordingReceiver:
    """A receiver that keeps what it is told, and checks the order of calls.

    Attributes:
        link: The link, once made.
        data: All bytes received.
        eof: Whether the end was received.
        lost: How often the loss was told.
        discard: Count bytes instead of keeping them.
        size: Number of bytes received.
    """

    link: Link

    def __init__(self, *, discard: bool = False) -> None:
        self.data: bytearray = bytearray()
        self.size: int = 0
        self.made: int = 0
        self.eof: bool = False
        self.lost: int = 0
        self.exc: Exception | None = None
        self.discard: bool = discard
        self._inside = False

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Calls of the link inside this block must not call the receiver."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def _called(self, name: str) -> None:
        assert not self._inside, f"{name} from inside a call of the link"
        assert not self.lost, f"{name} after link_lost"
        assert self.made == (name != "link_made"), f"{name} out of order"

    def link_made(self, link: Link) -> None:
        """Keep the link."""
        self._called("link_made")
        self.made += 1
        self.link = link

    def bytes_received(self, data: bytes) -> None:
        """Keep bytes."""
        self._called("bytes_received")
        assert not self.eof, "bytes after eof_received"
        assert isinstance(data, bytes), f"{type(data).__name__} instead of bytes"
        assert data, "empty bytes_received"
        self.size += len(data)
        if not self.discard:
            self.data += data

    def eof_received(self) -> None:
        """Note the end."""
        self._called("eof_received")
        assert not self.eof, "eof_received twice"
        self.eof = True

    def link_lost(self, exc: Exception | None) -> None:
        """Note the loss."""
        self._called("link_lost")
        self.lost += 1
        self.exc = exc

    async def until(self, condition: Callable[[], bool]) -> None:
        """Await `more` until `condition()` holds; the loss of the link ends it, too."""
        while not condition() and not self.lost:
            await self.link.more()
        assert condition(), "the link was lost before what had to come"


@asynccontextmanager
async def _pair(
    make_pair: MakePair, *, discard: bool = False
) -> AsyncIterator[tuple[RecordingReceiver, RecordingReceiver]]:
    one, other = RecordingReceiver(discard=discard), RecordingReceiver(discard=discard)
    timed_out = True
    with anyio.move_on_after(_PATIENCE):
        async with make_pair(one, other):
            yield one, other
        timed_out = False
    assert not timed_out, f"not done after {_PATIENCE} s"


async def _send(receiver: RecordingReceiver, data: bytes) -> None:
    with receiver.calling():
        receiver.link.write(data)
    await receiver.link.drain()


async def check_both_directions(make_pair: MakePair) -> None:
    """Bytes arrive in both directions, whole and in order; link_made comes first."""
    async with _pair(make_pair) as (one, other):
        await _send(one, b"ping")
        await other.until(lambda: other.data == b"ping")
        with other.calling():
            other.link.writelines([b"po", b"", b"ng"])
        await other.link.drain()
        await one.until(lambda: one.data == b"pong")


async def check_large_transfer(make_pair: MakePair) -> None:
    """Megabytes arrive unchanged."""
    data = _PIECE * 64
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(_send, one, data)
        await other.until(lambda: other.size == len(data))
    assert hashlib.sha256(other.data).digest() == hashlib.sha256(data).digest()


async def check_empty_write(make_pair: MakePair) -> None:
    """An empty write is legal and delivers nothing."""
    async with _pair(make_pair) as (one, other):
        await _send(one, b"")
        await _send(one, b"x")
        await other.until(lambda: other.data == b"x")


async def check_busy_more(make_pair: MakePair) -> None:
    """A second task in `more` gets `BusyError`; the first goes on waiting."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: bool(one.data))
        await anyio.wait_all_tasks_blocked()
        await _expect(BusyError, one.link.more)
        await _send(other, b"x")


async def check_busy_drain(make_pair: MakePair) -> None:
    """A second task in `drain` gets `BusyError`."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await _block(one, other, group)
        await _expect(BusyError, one.link.drain)
        group.cancel_scope.cancel()


async def check_cancelled_more(make_pair: MakePair) -> None:
    """Cancelling `more` loses no byte and leaves the link usable."""
    async with _pair(make_pair) as (one, other):
        for number in range(20):
            async with anyio.create_task_group() as group:
                group.start_soon(one.link.more)
                await anyio.wait_all_tasks_blocked()
                if number % 2:
                    await _send(other, b"x")
                group.cancel_scope.cancel()
            if not number % 2:
                await _send(other, b"x")
        await one.until(lambda: one.size == 20)


async def check_pause(make_pair: MakePair) -> None:
    """Nothing is delivered while reading is paused, and all of it afterwards."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        await _send(one, b"1")
        await other.until(lambda: other.data == b"1")
        with other.calling():
            other.link.pause_reading()
        await _send(one, b"2")
        group.start_soon(other.until, lambda: other.data == b"12")
        # A round trip in the other direction: time enough for the bytes to arrive.
        await _send(other, b"x")
        await one.until(lambda: one.data == b"x")
        await anyio.wait_all_tasks_blocked()
        assert other.data == b"1", "bytes were delivered while reading was paused"
        with other.calling():
            other.link.resume_reading()


async def check_close(make_pair: MakePair) -> None:
    """`close` sends what is queued; both sides learn of the loss once, as their last call."""
    async with _pair(make_pair) as (one, other):
        await _send(one, b"last words")
        with one.calling():
            one.link.close()
            one.link.close()
        assert one.link.closing
        await other.until(lambda: other.data == b"last words")
        await one.link.wait_closed()
        assert one.lost == 1, "link_lost was not told at close"
        with other.calling():
            other.link.close()
        await other.link.wait_closed()
        assert other.lost == 1
        await one.link.wait_closed()


async def check_abort(make_pair: MakePair) -> None:
    """`abort` ends the link now, also while a `drain` is blocked."""
    async with _pair(make_pair, discard=True) as (one, other):
        async with anyio.create_task_group() as group:
            await _block(one, other, group, expect=OSError)
            with one.calling():
                one.link.abort()
                one.link.abort()
        await one.link.wait_closed()
        assert one.lost == 1
        with other.calling():
            other.link.abort()
        await other.link.wait_closed()
        assert other.lost == 1


async def check_write_after_loss(make_pair: MakePair) -> None:
    """Writing to a lost link is ignored, `more` returns, and `drain` raises OSError."""
    async with _pair(make_pair) as (one, _):
        with one.calling():
            one.link.close()
        await one.link.wait_closed()
        with one.calling():
            one.link.write(b"nobody hears this")
            one.link.write_eof()
            one.link.pause_reading()
            one.link.resume_reading()
            one.link.close()
            one.link.abort()
        await one.link.more()
        assert one.link.needs_drain, "callers look at needs_drain before they drain"
        await _expect(OSError, one.link.drain)


async def check_peer_close(make_pair: MakePair) -> None:
    """The peer's close ends what waits in `more`."""
    async with _pair(make_pair) as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.until, lambda: one.eof or one.lost > 0)
        await anyio.wait_all_tasks_blocked()
        other.link.close()
        await other.link.wait_closed()


async def check_half_close(make_pair: MakePair) -> None:
    """After `write_eof` the peer sees the end, and can still answer."""
    async with _pair(make_pair) as (one, other):
        with one.calling():
            one.link.write(b"question")
            one.link.write_eof()
            one.link.write_eof()
        await one.link.drain()
        await other.until(lambda: other.eof)
        assert other.data == b"question"
        await _send(other, b"answer")
        await one.until(lambda: one.data == b"answer")


async def check_two_writers(make_pair: MakePair) -> None:
    """Two sides that write at each other before they read do not block each other."""

    async def write_then_read(receiver: RecordingReceiver) -> None:
        await _send(receiver, bytes(_HUGE))
        await receiver.until(lambda: receiver.size == _HUGE)

    async with (
        _pair(make_pair, discard=True) as (one, other),
        anyio.create_task_group() as group,
    ):
        group.start_soon(write_then_read, one)
        group.start_soon(write_then_read, other)


async def check_deadline(make_pair: MakePair) -> None:
    """Past `deadline`, `more` raises TimeoutError, and loses nothing."""
    async with _pair(make_pair) as (one, other):
        one.link.deadline = anyio.current_time() + 0.01
        await _expect(TimeoutError, one.link.more)
        one.link.deadline = None
        await _send(other, b"x")
        await one.until(lambda: one.data == b"x")


async def check_drain_deadline(make_pair: MakePair) -> None:
    """Past `deadline`, a blocked `drain` raises TimeoutError."""
    async with _pair(make_pair, discard=True) as (one, other):
        one.link.deadline = anyio.current_time() + 0.05
        async with anyio.create_task_group() as group:
            await _block(one, other, group, expect=TimeoutError)
        one.link.abort()


async def _block(
    one: RecordingReceiver,
    other: RecordingReceiver,
    group: anyio.abc.TaskGroup,
    *,
    expect: type[Exception] | None = None,
) -> None:
    """Start a task that is blocked in `one.link.drain()`."""
    other.link.pause_reading()
    # In pieces: asyncio's TLS transport does not count what it passes on in one write.
    for _ in range(_HUGE // len(_PIECE)):
        one.link.write(_PIECE)

    async def drain() -> None:
        if expect is None:
            await one.link.drain()
            raise AssertionError("drain returned although the peer reads nothing")
        await _expect(expect, one.link.drain)

    group.start_soon(drain)
    await anyio.wait_all_tasks_blocked()


async def _expect(error: type[Exception], function: Callable[[], Awaitable[object]]) -> None:
    try:
        await function()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


#: Every check that holds for every link; `check_half_close` is for those that can.
CHECKS: Final = (
    check_both_directions,
    check_large_transfer,
    check_empty_write,
    check_busy_more,
    check_busy_drain,
    check_cancelled_more,
    check_pause,
    check_close,
    check_abort,
    check_write_after_loss,
    check_peer_close,
    check_two_writers,
    check_deadline,
    check_drain_deadline,
)


async def check_link(make_pair: MakePair, *, can_half_close: bool = True) -> None:
    """Check the whole contract of links.

    Args:
        make_pair: Makes two joined links for two receivers, as an async context manager;
            called once for every check.
        can_half_close: Whether the links have `write_eof`; TLS has not.

    Raises:
        AssertionError: A link breaks its contract.
    """
    for check in CHECKS:
        await check(make_pair)
    if can_half_close:
        await check_half_close(make_pair)
